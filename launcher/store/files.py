"""Write files so that a crash leaves the old bytes or the new ones, never half of either."""

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from launcher.errors import InfrastructureError


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Put `data` at `path` through a temporary file in the same folder and a rename.

    Both are synced to disk unless the reader finds out about damage and can do without (`durable` is False).
    Raises `InfrastructureError` when the disk is full or may not be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        write_new(temporary, data, mode=mode, durable=durable)
        temporary.rename(path)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        reason = error.__cause__ if isinstance(error, InfrastructureError) else error
        if isinstance(reason, OSError):
            raise _not_writable(path, reason) from error
        raise
    if durable:
        sync_folder(path.parent)


def sweep(folder: Path, names: str) -> None:
    """Remove what killed writers of files in `folder` left; nobody may be writing them meanwhile.

    `names` is a regular expression for the names of those files.
    """
    left_over = re.compile(rf"\.{names}\.\d+\.[0-9a-f]{{8}}")
    with suppress(OSError):
        for path in folder.iterdir():
            if left_over.fullmatch(path.name):
                path.unlink(missing_ok=True)


def create_atomically(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Put `data` at `path`, which does not exist, with no other name in the folder meanwhile.

    Whoever walks the folder, or finds it after a crash, sees the whole file or none. Where the file system
    knows no unnamed files, this is `write_atomically`. Raises `InfrastructureError`.
    """
    try:
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode)
    except OSError:
        write_atomically(path, data, mode=mode)
        return
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(descriptor)
            # With a descriptor of a folder, and only then, Python asks for the link itself to be followed.
            os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=descriptor)
    except OSError as error:
        raise _not_writable(path, error) from error
    sync_folder(path.parent)


def write_new(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Create `path` with `data`, synced to disk where `durable`; it must not exist."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        descriptor = os.open(path, flags, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            if durable:
                os.fsync(stream.fileno())
    except OSError as error:
        raise _not_writable(path, error) from error


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """Create `path` with all `pieces`, one at a time, synced to disk; it must not exist."""
    try:
        with path.open("xb") as stream:
            stream.writelines(pieces)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise _not_writable(path, error) from error


def copy_new(source: Path, destination: Path) -> None:
    """Copy a file to a name that does not exist, synced to disk; folders on the way are made."""
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as reader, destination.open("xb") as writer:
            shutil.copyfileobj(reader, writer)
            writer.flush()
            os.fsync(writer.fileno())
            os.fchmod(writer.fileno(), 0o644)
    except OSError as error:
        raise _not_writable(destination, error) from error


def _not_writable(path: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"cannot write `{path}`",
        code="not-writable",
        context=error.strerror,
        hint="free some disk space, or make the folder writable",
    )


def open_folders(root: Path) -> None:
    """Let a container's user pass through `root` and the folders below it, whatever the umask was."""
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o755)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
