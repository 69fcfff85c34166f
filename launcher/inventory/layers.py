"""Read the files of interest from one layer's tar, forward only and within bounds; nothing is extracted.

https://github.com/opencontainers/image-spec/blob/v1.1.0/layer.md: a name `.wh.NAME` takes NAME of the layers
below away, `.wh..wh..opq` all that its folder held there.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from msgspec import Struct, field

from launcher.errors import InfrastructureError
from launcher.inventory.elf import library_facts
from launcher.inventory.interest import Interest, interest_in, is_link_of_interest

if TYPE_CHECKING:
    import tarfile

WHITEOUT: Final = ".wh."
OPAQUE: Final = ".wh..wh..opq"
_CHUNK: Final = 1 << 20
_MOST_TAR: Final = 256 << 30
_MOST_MEMBERS: Final = 4_000_000
_MOST_HELD: Final = 50_000
_MOST_BYTES: Final = 160 << 20
_MOST_NAMES: Final = 512 << 20
# Linux takes no longer path; deeper ones would make each look at it slow.
_LONGEST_PATH: Final = 4096
_DEEPEST: Final = 100


class Held(Struct, frozen=True):
    """What is kept of one file: bytes, a digest or facts, as its interest says, or why nothing is."""

    interest: Interest
    data: bytes = b""
    sha256: str = ""
    said: dict[str, str] = {}
    fault: str = ""


class Layer(Struct):
    """One layer: files of interest, links to such, what it takes away, and every name that is no folder.

    Links are to a path relative to the root.
    """

    files: dict[str, Held] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    opaque: set[str] = field(default_factory=set)
    plain: set[str] = field(default_factory=set)


class Budget(Struct):
    """How much more of an image may be looked at and kept."""

    tar: int = _MOST_TAR
    members: int = _MOST_MEMBERS
    held: int = _MOST_HELD
    bytes: int = _MOST_BYTES
    names: int = _MOST_NAMES


def read_layer(chunks: Iterable[bytes], budget: Budget) -> Layer:
    """Return what matters of the layer whose uncompressed tar `chunks` are; they are read to their end.

    Raises `InfrastructureError` (`image-malformed`) for what is no tar, or has too many members.
    """
    import tarfile

    from launcher.archives.tars import BoundedTar

    stream, layer = Forward(_counted(chunks, budget)), Layer()
    try:
        with BoundedTar.open(fileobj=cast("BinaryIO", stream), mode="r:") as archive:
            while (member := archive.next()) is not None:
                # Otherwise every header of the image would be held until the end.
                archive.members.clear()
                _note(layer, member, archive, budget)
        stream.drain()
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise InfrastructureError(f"a layer is no tar: {error}", code="image-malformed") from error
    return layer


def _counted(chunks: Iterable[bytes], budget: Budget) -> Iterator[bytes]:
    """Hand chunks on; what was compressed may be without end."""
    for chunk in chunks:
        budget.tar -= len(chunk)
        if budget.tar < 0:
            raise InfrastructureError("the layers are too large", code="image-malformed")
        yield chunk


def _note(layer: Layer, member: "tarfile.TarInfo", archive: "tarfile.TarFile", budget: Budget) -> None:
    budget.members -= 1
    if budget.members < 0:
        raise InfrastructureError("the layers have too many members", code="image-malformed")
    path = plain_path(member.name)
    if path is None:
        return
    budget.names -= len(path)
    if budget.names < 0:
        raise InfrastructureError("the names in the layers are too long", code="image-malformed")
    folder, _, last = path.rpartition("/")
    if last == OPAQUE:
        layer.opaque.add(folder)
    elif last.startswith(WHITEOUT):
        layer.removed.add(f"{folder}/{last.removeprefix(WHITEOUT)}".lstrip("/"))
    elif not member.isdir():
        _forget(layer, path)
        layer.plain.add(path)
        if member.isreg():
            if (interest := interest_in(path)) is not None:
                layer.files[path] = _hold(member, archive, interest, budget)
        elif (
            (member.issym() or member.islnk())
            and is_link_of_interest(path)
            and (target := _target(path, member)) is not None
        ):
            layer.links[path] = target


def _forget(layer: Layer, path: str) -> None:
    """Let the last of two members of one name count, as unpacking would."""
    layer.files.pop(path, None)
    layer.links.pop(path, None)


def _target(path: str, member: "tarfile.TarInfo") -> str | None:
    """Return what a link stands for: a hard link's is from the root, a symbolic one's from its folder."""
    if member.islnk() or member.linkname.startswith("/"):
        return plain_path(member.linkname)
    return plain_path(f"{path.rpartition('/')[0]}/{member.linkname}")


def plain_path(name: str) -> str | None:
    """Return `name` relative to the root, without `.`, `..` and doubled slashes, or None."""
    parts: list[str] = []
    if len(name) > _LONGEST_PATH:
        return None
    for part in name.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    path = "/".join(parts) if len(parts) <= _DEEPEST else ""
    # Bytes that are no UTF-8 stand as lone surrogates; no file of interest has such a name.
    return path if path and path.isprintable() else None


def _hold(member: "tarfile.TarInfo", archive: "tarfile.TarFile", interest: Interest, budget: Budget) -> Held:
    budget.held -= 1
    if budget.held < 0:
        return Held(interest, fault="there are too many files to read")
    if interest.handling == "name":
        return Held(interest)
    if member.size > interest.limit:
        return Held(interest, fault="the file is too large to be read")
    stream = archive.extractfile(member)
    if stream is None:
        return Held(interest, fault="the file could not be read")
    if interest.handling == "digest":
        state = hashlib.sha256()
        for chunk in iter(lambda: stream.read(_CHUNK), b""):
            state.update(chunk)
        return Held(interest, sha256=state.hexdigest())
    if interest.handling == "library":
        return Held(interest, said=library_facts(stream.read()))
    budget.bytes -= member.size
    if budget.bytes < 0:
        return Held(interest, fault="the files to read are too large together")
    return Held(interest, data=stream.read())


class Forward:
    """What `tarfile` reads: pieces of any size as one stream that is only ever read forward."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks: Iterator[bytes] = iter(chunks)
        self._piece, self._at, self._position = memoryview(b""), 0, 0

    def tell(self) -> int:
        """Return how far it was read."""
        return self._position

    def seek(self, position: int) -> int:
        """Go forward to `position`."""
        if position < self._position:
            raise ValueError("it would have to be read backwards")
        while self._position < position and self._has_more():
            self._take(position - self._position)
        return self._position

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer at the end."""
        parts = []
        while size > 0 and self._has_more():
            part = self._take(size)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def drain(self) -> None:
        """Read to the end, where a source proves its bytes."""
        while self._has_more():
            self._take(len(self._piece))

    def _has_more(self) -> bool:
        while self._at == len(self._piece):
            piece = next(self._chunks, None)
            if piece is None:
                return False
            self._piece, self._at = memoryview(piece), 0
        return True

    def _take(self, size: int) -> memoryview:
        part = self._piece[self._at : self._at + size]
        self._at += len(part)
        self._position += len(part)
        return part
