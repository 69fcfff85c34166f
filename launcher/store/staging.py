"""Folders in which a bundle is made without a launch; those of a maker that died are removed.

A folder is locked (flock) as long as its maker lives. The kernel drops the lock when the process dies,
however it dies, so no pid and no clock is trusted.
"""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from launcher.store.home import Home, make_private
from launcher.store.journal import not_writable
from launcher.store.removal import put_away

FOLDER: Final = "making"


@contextmanager
def staged(home: Home) -> Iterator[Path]:
    """Give an empty folder in the home; nothing of it is left there when the block ends."""
    folder, descriptor = _locked_folder(home)
    try:
        yield folder
    finally:
        put_away(folder, home.trash)
        os.close(descriptor)
        with suppress(OSError):
            folder.parent.rmdir()


def _locked_folder(home: Home) -> tuple[Path, int]:
    """Make a folder and lock it before `sweep_staged` of another process can take it for a dead one's."""
    while True:
        folder = make_private(home.root / FOLDER) / uuid.uuid4().hex
        try:
            folder.mkdir(mode=0o700)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise not_writable(folder, error) from error
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if folder.exists():
            return folder, descriptor
        os.close(descriptor)


def dead_staged(home: Home) -> list[Path]:
    """Return the folders whose makers died; nothing is removed."""
    return [folder for folder in _folders(home) if not _is_held(folder)]


def sweep_staged(home: Home) -> None:
    """Remove the folders whose makers died."""
    for folder in _folders(home):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                put_away(folder, home.trash)
            finally:
                os.close(descriptor)
    with suppress(OSError):
        (home.root / FOLDER).rmdir()


def _folders(home: Home) -> list[Path]:
    return sorted((home.root / FOLDER).glob("*"))


def _is_held(folder: Path) -> bool:
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
