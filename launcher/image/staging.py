"""Put a finished folder in place in one step; one builder at a time, and none trips over a dead one."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from launcher.errors import InfrastructureError


@contextmanager
def staging_folder(destination: Path, waiting: Callable[[], None]) -> Iterator[Path]:
    """Yield an empty folder beside `destination`, held by this process alone and gone afterwards.

    What a killed process left there is removed. `waiting` is called if another process holds it.
    """
    folder = destination.parent / f".{destination.name}.building"
    destination.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _lock(folder, waiting)
    try:
        for left_over in folder.iterdir():
            if left_over.is_dir() and not left_over.is_symlink():
                shutil.rmtree(left_over)
            else:
                left_over.unlink()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def put_in_place(finished: Path, destination: Path) -> None:
    """Rename the folder `finished` to `destination`, instead of the layout that may be there."""
    if destination.exists() and not (destination / "oci-layout").exists() and any(destination.iterdir()):
        raise InfrastructureError(
            f"`{destination}` exists and is not an image layout",
            code="destination-occupied",
            hint="name another folder with --out",
        )
    if destination.exists():
        destination.rename(finished.parent / "replaced")
    finished.rename(destination)


def _lock(folder: Path, waiting: Callable[[], None]) -> int:
    """Return a descriptor that holds `folder` locked; the folder may vanish while we wait for it."""
    while True:
        folder.mkdir(exist_ok=True)
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if folder.exists() and os.path.samestat(os.fstat(descriptor), folder.stat()):
            return descriptor
        os.close(descriptor)
