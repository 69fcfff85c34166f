"""Walk a bundle's directory without trusting it: regular files under known names, through descriptors alone.

Every component is opened with `openat` and `O_NOFOLLOW`, so nothing outside the directory is ever read, and
each file is checked against what the walk saw, so a file that is swapped meanwhile is refused.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

from launcher.errors import CheckFailedError, InfrastructureError, MalformedError
from launcher.spec.bundle import (
    MAX_BYTES,
    MAX_FILES,
    is_bundle_file,
    is_bundle_folder,
    refuse_collisions,
    refuse_missing,
)

_CHUNK: Final = 1 << 20
_OPEN_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


class FoundFile(Struct, frozen=True):
    """A regular file as the walk saw it: its size in bytes, and which file it is on which device."""

    size: int
    device: int
    inode: int


class Inventory(Struct, frozen=True):
    """What a bundle's directory holds, by path; keeps the directory open until `close`.

    Whatever is read or hashed through it raises `CheckFailedError` where a file is no longer the one that the
    walk saw. Hash the bytes that `read` or `chunks` gives: a second look at a file may show other bytes.
    """

    path: Path
    root: int
    files: Mapping[str, FoundFile]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the directory."""
        os.close(self.root)

    def read(self, name: str, limit: int) -> bytes:
        """Return the bytes of one file, which may be `limit` at most."""
        size = self.files[name].size
        if size > limit:
            raise CheckFailedError(
                f"`{name}` has {size} bytes", code="file-too-large", context=f"the limit is {limit}"
            )
        return b"".join(self.chunks(name))

    def chunks(self, name: str) -> Iterator[bytes]:
        """Give the bytes of one file, a megabyte at a time; refuse a file that grows or shrinks meanwhile."""
        left = self.files[name].size
        with self._open(name) as descriptor:
            while chunk := _read(descriptor, min(_CHUNK, left + 1), name):
                left -= len(chunk)
                if left < 0:
                    break
                yield chunk
        if left != 0:
            raise changed(name)

    def sha256(self, name: str) -> str:
        """Return the hex SHA-256 of one file."""
        state, left = hashlib.sha256(), self.files[name].size
        buffer = memoryview(bytearray(min(_CHUNK, left + 1)))
        with self._open(name) as descriptor:
            while size := _read_into(descriptor, buffer, name):
                left -= size
                if left < 0:
                    break
                state.update(buffer[:size])
        if left != 0:
            raise changed(name)
        return state.hexdigest()

    @contextmanager
    def _open(self, name: str) -> Iterator[int]:
        *folders, last = name.split("/")
        kept: list[int] = []
        try:
            folder = self.root
            for segment in folders:
                folder = open_below(segment, folder)
                kept.append(folder)
            descriptor = open_file(last, folder)
            kept.append(descriptor)
            if found_file(os.fstat(descriptor), name) != self.files[name]:
                raise changed(name)
            yield descriptor
        except OSError as error:
            raise unreadable(name, error) from error
        finally:
            for descriptor in kept:
                os.close(descriptor)


def walk(path: Path, *, max_files: int = MAX_FILES) -> Inventory:
    """Look at everything in a bundle's directory and refuse what a bundle cannot hold.

    Raises `MalformedError` (`no-such-bundle`) where `path` is no directory, `CheckFailedError` for links,
    devices, FIFOs, sockets, hard links, odd names, names that differ in capitals alone, extra or missing
    files and empty folders.
    """
    try:
        root = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _no_bundle(path, error) from error
    try:
        files = _list_files(root, max_files)
        refuse_missing(files)
        refuse_collisions(files)
    except BaseException:
        os.close(root)
        raise
    return Inventory(path, root, files)


def reopen(path: Path, files: Mapping[str, FoundFile]) -> Inventory:
    """Open a bundle's directory anew for files that a walk found in it."""
    try:
        return Inventory(path, os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), files)
    except OSError as error:
        raise changed(str(path)) from error


def _list_files(root: int, max_files: int) -> dict[str, FoundFile]:
    files: dict[str, FoundFile] = {}
    size = 0
    with closing(_walk_folder(root, "")) as found:
        for name, file in found:
            if not is_bundle_file(name):
                raise _refused(f"the bundle holds {_shown(name)}, which it may not", "extra-file")
            if len(files) >= max_files:
                raise _refused(f"the bundle holds more than {max_files} files", "too-many-files")
            files[name] = file
            size += file.size
            if size > MAX_BYTES:
                raise _refused(f"the bundle's files have more than {MAX_BYTES} bytes", "too-large")
    return files


def _walk_folder(folder: int, prefix: str) -> Generator[tuple[str, FoundFile], None, None]:
    empty = True
    with _scan(folder, prefix) as entries:
        for entry in entries:
            empty = False
            name = prefix + entry.name
            facts = os.stat(entry.name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode):
                yield from _walk_subfolder(folder, entry.name, name)
            else:
                yield name, found_file(facts, name)
    if empty and prefix:
        raise _refused(f"the folder {_shown(prefix[:-1])} is empty", "empty-folder")


def _walk_subfolder(parent: int, segment: str, name: str) -> Generator[tuple[str, FoundFile], None, None]:
    if not is_bundle_folder(name):
        raise _refused(f"the bundle holds the folder {_shown(name)}, which it may not", "extra-file")
    try:
        folder = os.open(segment, _OPEN_FOLDER, dir_fd=parent)
    except OSError as error:
        raise unreadable(name, error) from error
    try:
        yield from _walk_folder(folder, name + "/")
    finally:
        os.close(folder)


@contextmanager
def _scan(folder: int, prefix: str) -> Iterator[Iterator["os.DirEntry[str]"]]:
    try:
        with os.scandir(folder) as entries:
            # What is refused first is then the same on every file system; more than a bundle holds is enough.
            yield iter(sorted(islice(entries, MAX_FILES + 1), key=lambda entry: entry.name))
    except OSError as error:
        raise unreadable(prefix or ".", error) from error


def found_file(facts: os.stat_result, name: str) -> FoundFile:
    """Return what a look at a file shows; raises `CheckFailedError` for all but regular files of one name."""
    if not stat.S_ISREG(facts.st_mode):
        kind = _KINDS.get(stat.S_IFMT(facts.st_mode), "special file")
        raise _refused(f"{_shown(name)} is a {kind}, not a regular file", "not-a-regular-file")
    if facts.st_nlink != 1:
        raise _refused(f"{_shown(name)} is a hard link: it has {facts.st_nlink} names", "hard-link")
    return FoundFile(facts.st_size, facts.st_dev, facts.st_ino)


_KINDS: Final = {
    stat.S_IFLNK: "symbolic link",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
    stat.S_IFDIR: "folder",
}


def open_below(segment: str, folder: int) -> int:
    """Open the folder `segment` of an open one, following no link."""
    return os.open(segment, _OPEN_FOLDER, dir_fd=folder)


def open_file(name: str, folder: int) -> int:
    """Open the file `name` of an open folder, following no link and waiting for nobody."""
    return os.open(name, _OPEN_FILE, dir_fd=folder)


def _read_into(descriptor: int, buffer: memoryview, name: str) -> int:
    try:
        return os.readv(descriptor, [buffer])
    except OSError as error:
        raise unreadable(name, error) from error


def _read(descriptor: int, size: int, name: str) -> bytes:
    try:
        return os.read(descriptor, size)
    except OSError as error:
        raise unreadable(name, error) from error


def _shown(name: str) -> str:
    """Return a name that somebody else chose so that no terminal acts on it."""
    return f"`{ascii(name)[1:-1][:200]}`"


def changed(name: str) -> CheckFailedError:
    """Return the error for a file that is not what the walk saw."""
    return _refused(f"{_shown(name)} changed while it was read", "changed-file")


def _refused(message: str, code: str) -> CheckFailedError:
    return CheckFailedError(message, code=code)


def _no_bundle(path: Path, error: Exception) -> MalformedError:
    reason = getattr(error, "strerror", None) or str(error)
    return MalformedError(f"there is no bundle at {_shown(str(path))}", code="no-such-bundle", context=reason)


def unreadable(name: str, error: OSError) -> CheckFailedError | InfrastructureError:
    """Tell a file that was swapped for something else from a disk that fails."""
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENOENT, errno.ENXIO):
        return changed(name)
    reason = error.strerror or str(error)
    if error.errno == errno.EACCES:
        return _refused(f"{_shown(name)} cannot be read: {reason}", "unreadable-file")
    return InfrastructureError(f"{_shown(name)} cannot be read: {reason}", code="unreadable-file")
