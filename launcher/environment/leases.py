"""Leases of what a machine has once, processors and GPUs: kernel locks, gone when their holder dies.

All homes of a user agree on one folder of the machine, which nobody else may write. A lease is an advisory
lock (flock) on a file there; what a file holds, or that it exists, means nothing. Leases are taken while the
folder's own lock is held, all that one container needs or none: so nobody waits while holding a part.
"""

import fcntl
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from launcher.errors import InfrastructureError

# /run/lock is for this very thing; where only root may write it, /tmp serves. /run/user/UID comes and goes
# with a user's sessions, and locks must not.
_PLACES = (Path("/run/lock"), Path("/tmp"))  # noqa: S108 - the folder in it is made private, or refused
_ALLOCATING = "allocating"
_LONGEST_NAME = 100


class Leases(Struct, frozen=True):
    """The leases in one folder."""

    root: Path

    @contextmanager
    def allocating(self) -> Iterator["Allocation"]:
        """Keep all others from taking leases inside the block, which must be short.

        Raises `InfrastructureError` where the folder is another's, or cannot be made.
        """
        folder = _open_folder(self.root)
        try:
            lock = _open_file(folder, _ALLOCATING)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield Allocation(folder)
            finally:
                os.close(lock)
        except OSError as error:
            raise _unusable(self.root, error.strerror or str(error)) from error
        finally:
            os.close(folder)


class Allocation(Struct, frozen=True):
    """The right to take leases, while `Leases.allocating` lasts; `folder` is an open one."""

    folder: int

    def take(self, name: str) -> int | None:
        """Return a descriptor that holds the lease of `name` until it is closed; None: another has it."""
        while True:
            lock = _open_file(self.folder, _file_name(name))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return None
            if _is_still(self.folder, _file_name(name), lock):
                return lock
            # Somebody cleaned the folder up between opening and locking.
            os.close(lock)

    def held(self, names: Iterable[str]) -> frozenset[str]:
        """Return which of `names` somebody holds."""
        found = set()
        for name in names:
            lock = self.take(name)
            if lock is None:
                found.add(name)
            else:
                os.close(lock)
        return frozenset(found)


def machine_leases(places: Iterable[Path] = _PLACES) -> Leases:
    """Return the leases that all launches of this user on this machine share."""
    usable = [place for place in places if place.is_dir() and os.access(place, os.W_OK | os.X_OK)]
    return Leases((usable or [Path("/tmp")])[0] / f"evalctl-{os.geteuid()}")  # noqa: S108 - see above


def release(locks: Iterable[int]) -> None:
    """Give leases back."""
    for lock in locks:
        with suppress(OSError):
            os.close(lock)


def _open_folder(path: Path) -> int:
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise _unusable(path, error.strerror) from error
    facts = os.fstat(folder)
    if facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        os.close(folder)
        mode = stat.S_IMODE(facts.st_mode)
        raise _unusable(
            path, f"expected a folder that only this user may write, got user {facts.st_uid}, mode {mode:o}"
        )
    return folder


def _open_file(folder: int, name: str) -> int:
    lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(lock).st_mode):
        os.close(lock)
        raise OSError(0, f"`{name}` in it is no plain file")
    return lock


def _is_still(folder: int, name: str, lock: int) -> bool:
    try:
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(there, os.fstat(lock))


def _file_name(name: str) -> str:
    """Return a file's name for what a driver or kernel calls `name`, which is not ours to trust."""
    plain = re.sub(r"[^A-Za-z0-9-]", "_", name)
    if plain == name and 0 < len(name) < _LONGEST_NAME:
        return plain
    return f"{plain[:_LONGEST_NAME]}-{sha256(name.encode()).hexdigest()}"


def _unusable(path: Path, reason: str | None) -> InfrastructureError:
    return InfrastructureError(
        f"cannot keep leases of processors and GPUs in `{path}`",
        code="leases-unusable",
        context=reason,
        hint=f"look at it: `ls -ld {path}`; remove it if no launch is running",
    )
