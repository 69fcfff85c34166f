"""The files of an image as values: paths, kinds and modes here, contents in one spool file.

Nothing is ever created on the host under a name that a package chose.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, Literal

from msgspec import Struct, field

from launcher.errors import InfrastructureError
from launcher.spec.grammars import is_plain_path

_CHUNK = 1 << 20
_MERGED = re.compile(r"(?:bin|sbin|lib|lib32|lib64|libx32)(?:/|$)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_STICKY = 0o1777


class Extent(Struct, frozen=True):
    """Where a file's bytes lie in the spool."""

    offset: int
    size: int


class Spool:
    """Keep file contents in one unnamed temporary file, appended to and read by extent."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._end = 0

    def store(self, data: bytes) -> Extent:
        """Append `data`; return where it lies."""
        self._stream.seek(self._end)
        self._stream.write(data)
        extent = Extent(self._end, len(data))
        self._end += len(data)
        return extent

    def store_chunks(self, chunks: Iterable[bytes]) -> Extent:
        """Append the pieces of one file; return where it lies."""
        self._stream.seek(self._end)
        start = self._end
        for chunk in chunks:
            self._stream.write(chunk)
            self._end += len(chunk)
        return Extent(start, self._end - start)

    def chunks(self, extent: Extent) -> Iterator[bytes]:
        """Yield the bytes of `extent` in order."""
        position, left = extent.offset, extent.size
        while left:
            self._stream.seek(position)
            chunk = self._stream.read(min(left, _CHUNK))
            if not chunk:
                raise InfrastructureError("the build's spool file was cut short", code="image-build-failed")
            yield chunk
            position += len(chunk)
            left -= len(chunk)

    def read(self, extent: Extent) -> bytes:
        """Return the bytes of `extent`."""
        return b"".join(self.chunks(extent))


class Node(Struct, frozen=True):
    """One path of the image; `mode` holds normalised permission bits, never setuid or setgid."""

    kind: Literal["directory", "file", "symlink"]
    mode: int = 0o755
    extent: Extent | None = None
    target: str = ""


class Tree(Struct, frozen=True):
    """The paths of one layer on top of those `below`; relative, `/`-separated, without `.` or `..`."""

    below: Mapping[str, Node] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)

    def get(self, path: str) -> Node | None:
        """Return the node at `path`, in this layer or below."""
        return self.nodes.get(path) or self.below.get(path)

    def add_directory(self, path: str, mode: int = 0o755) -> None:
        """Add a directory; one that exists keeps its mode unless this one is world-writable and sticky."""
        sticky = mode & _STICKY == _STICKY
        node = self.get(path)
        if node is not None and node.kind != "directory":
            raise _refused(f"`{path}` is a {node.kind} and a directory")
        if node is None or (sticky and node.mode != _STICKY):
            self._add_parents(path)
            self.nodes[path] = Node("directory", _STICKY if sticky else 0o755)

    def add_file(self, path: str, extent: Extent, *, executable: bool = False) -> None:
        """Add a regular file."""
        self._add_leaf(path, Node("file", 0o755 if executable else 0o644, extent))

    def add_symlink(self, path: str, target: str) -> None:
        """Add a symbolic link; `target` is read inside the image."""
        if not target or "\0" in target:
            raise _refused(f"the link `{path}` has no usable target")
        self._add_leaf(path, Node("symlink", 0o777, None, target))

    def resolve(self, path: str) -> tuple[str, Node] | None:
        """Follow links inside the image; return the last path and its node, None where it leads nowhere."""
        done: list[str] = []
        todo = path.split("/")[::-1]
        for _ in range(1000):
            if not todo:
                final = "/".join(done)
                node = self.get(final)
                return (final, node) if node else None
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                done = done[:-1]
                continue
            node = self.get("/".join([*done, part]))
            if node is None:
                return None
            if node.kind == "symlink":
                if node.target.startswith("/"):
                    done = []
                todo.extend(node.target.split("/")[::-1])
            else:
                done.append(part)
        return None

    def _add_leaf(self, path: str, node: Node) -> None:
        if not path:
            raise _refused("the image's root is not a directory")
        if self.get(path) is not None:
            raise _refused(f"two packages hold `{path}`")
        self._add_parents(path)
        self.nodes[path] = node

    def _add_parents(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        if not parent:
            return
        node = self.get(parent)
        if node is None:
            self.add_directory(parent)
        elif node.kind != "directory":
            raise _refused(f"`{path}` lies under `{parent}`, which is a {node.kind}")


def image_path(name: str) -> str:
    """Return the path inside the image of an archive member called `name`; empty for the root.

    A leading `./` is dropped, and `/bin`, `/sbin` and `/lib*` go under `/usr` (merged-usr). Raises
    `InfrastructureError` for absolute names, `..`, empty parts, NUL and names that are not UTF-8.
    """
    trimmed = name.removeprefix("./").rstrip("/")
    if trimmed in ("", "."):
        return ""
    if _SURROGATE.search(name) or not is_plain_path(trimmed):
        raise _refused(f"{name!r} leaves the image or is not a plain path")
    return "usr/" + trimmed if _MERGED.match(trimmed) else trimmed


def _refused(message: str) -> InfrastructureError:
    return InfrastructureError(message, code="image-member-refused")
