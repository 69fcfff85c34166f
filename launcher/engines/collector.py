"""Write handed-over files into an empty folder, trusting nothing that came with them."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from launcher.engines.engine import CollectedOutputs, OutputFile, Refusal, RefusalReason
from launcher.errors import InfrastructureError
from launcher.spec.sandbox import MAX_OUTPUT_DEPTH, MAX_OUTPUT_ENTRIES

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,254}", re.ASCII)
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Collector:
    """Keep what obeys the rules and note what does not; the folder is empty and the caller's own.

    The rules: plain names, at most six parts, 2000 entries and `limit` bytes in all, no two paths that differ
    in case alone. Every file is new, of mode 0600. Raises `InfrastructureError` (`outputs-not-written`) when
    the disk fails.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._root: int | None = _open_empty(folder)
        self._limit = limit
        self._folded: dict[str, str] = {}
        self._files: list[OutputFile] = []
        self._refused: list[Refusal] = []
        self._bytes = 0
        self._current: int | None = None

    def begin(self, path: str, size: int) -> None:
        """Start a file of `size` bytes; end the one before."""
        self.finish_file()
        if reason := self._objection(path, size):
            self.refuse(Refusal(path, reason))
            return
        with _writing(path):
            self._current = self._create(path)
        self._files.append(OutputFile(path, size))
        self._bytes += size

    def write(self, data: bytes) -> None:
        """Add bytes to the file that began last; bytes of a refused file vanish."""
        if self._current is not None:
            with _writing(self._files[-1].path):
                _write_all(self._current, data)

    def refuse(self, refusal: Refusal) -> None:
        """Note what was not copied."""
        self._refused.append(refusal)

    def finish_file(self) -> None:
        """Close the file that began last."""
        if self._current is not None:
            os.close(self._current)
            self._current = None

    def finish(self, *, complete: bool) -> CollectedOutputs:
        """Close everything and return what came out."""
        self.close()
        return CollectedOutputs(
            files=tuple(sorted(self._files, key=lambda file: file.path.encode())),
            refused=tuple(sorted(self._refused, key=lambda refusal: refusal.path.encode())),
            bytes=self._bytes,
            complete=complete,
        )

    def close(self) -> None:
        """Close every descriptor; harmless when done already."""
        self.finish_file()
        if self._root is not None:
            os.close(self._root)
            self._root = None

    def _objection(self, path: str, size: int) -> RefusalReason | None:
        parts = path.split("/")
        if not all(map(_NAME.fullmatch, parts)):
            return "name"
        if len(parts) > MAX_OUTPUT_DEPTH:
            return "depth"
        if self._bytes + size > self._limit:
            return "size"
        # A folder is known by its path and a slash, so that a file never passes for one.
        folders = ["/".join(parts[:count]) + "/" for count in range(1, len(parts))]
        known = [self._folded.get(folder.lower().rstrip("/")) for folder in folders]
        if path.lower() in self._folded or any(
            k not in (None, f) for k, f in zip(known, folders, strict=True)
        ):
            return "case"
        if len(self._folded) + known.count(None) + 1 > MAX_OUTPUT_ENTRIES:
            return "count"
        self._folded.update((folder.lower().rstrip("/"), folder) for folder in folders)
        self._folded[path.lower()] = path
        return None

    def _create(self, path: str) -> int:
        *folders, name = path.split("/")
        if self._root is None:
            raise ValueError("this collector is closed")
        descriptor = os.dup(self._root)
        try:
            for folder in folders:
                descriptor = _enter(descriptor, folder)
            return os.open(name, _NEW_FILE, 0o600, dir_fd=descriptor)
        finally:
            os.close(descriptor)


def _open_empty(folder: Path) -> int:
    with _writing(str(folder)):
        descriptor = os.open(folder, _FOLDER)
        if any(os.scandir(descriptor)):
            os.close(descriptor)
            raise FileExistsError("the folder is not empty")
        return descriptor


def _enter(parent: int, folder: str) -> int:
    """Open a folder below `parent`, made if need be, and close `parent`."""
    with suppress(FileExistsError):
        os.mkdir(folder, 0o700, dir_fd=parent)
    descriptor = os.open(folder, _FOLDER, dir_fd=parent)
    os.close(parent)
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


@contextmanager
def _writing(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InfrastructureError(
            f"the output `{path}` could not be written",
            code="outputs-not-written",
            context=str(error),
            hint="see that the disk that holds the evalctl home has room",
        ) from error
