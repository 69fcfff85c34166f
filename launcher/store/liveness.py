"""Who is still alive: files that a living launcher holds locked.

While its launcher lives, an attempt has a file under `live/` that appears there locked (flock); the kernel
drops the lock when the process dies, however it dies, so no pid and no clock is ever trusted. The mark of a
dead one says where its folder is, and stays until an engine was asked for what the dead had there. Then it
stays under `reaped/` until the engine is asked once more: it may finish creating a container after the
launcher that asked for it has died.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from launcher.store.home import Home, make_private
from launcher.store.journal import not_writable, open_lock


@contextmanager
def kept_alive(home: Home, invocation_id: str, folder: Path) -> Iterator[None]:
    """Hold the lock that says this process runs the attempt; it appears under `live/` held already."""
    live = make_private(home.root / "live") / invocation_id
    unborn = make_private(home.root / "unborn") / invocation_id
    with _locked(unborn) as descriptor:
        try:
            os.write(descriptor, os.fsencode(folder.relative_to(home.root)))
            unborn.rename(live)
        except OSError as error:
            unborn.unlink(missing_ok=True)
            raise not_writable(live, error) from error
        try:
            yield
        finally:
            live.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open and lock a file that still has its name then: `sweep_unborn` may take it for a dead one's."""
    while True:
        with open_lock(path) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.fstat(descriptor).st_nlink:
                yield descriptor
                return


def is_alive(home: Home, invocation_id: str) -> bool:
    """Say whether the launcher of this attempt still runs, on this machine."""
    return _is_held(home.root / "live" / invocation_id)


def _is_held(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def dead_marks(home: Home) -> list[Path]:
    """Return the marks of launchers that died and were not yet forgotten, sorted by invocation id."""
    return [mark for mark in sorted((home.root / "live").glob("*")) if not _is_held(mark)]


def living_folders(home: Home) -> frozenset[Path]:
    """Return the folders of the attempts whose launcher lives."""
    alive = [mark for mark in (home.root / "live").glob("*") if _is_held(mark)]
    return frozenset(folder for mark in alive if (folder := marked_folder(home, mark)))


def marked_folder(home: Home, mark: Path) -> Path | None:
    """Return the folder that a mark names, None where it cannot be read or leads out of the home."""
    try:
        folder = home.root / os.fsdecode(mark.read_bytes())
        inside = folder.resolve().is_relative_to(home.root.resolve())
    except (OSError, ValueError):
        return None
    return folder if inside and folder != home.root else None


def sweep_unborn(home: Home) -> None:
    """Remove the marks of launchers that died before they were born under `live/`."""
    for path in (home.root / "unborn").glob("*"):
        with suppress(OSError), path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def reaped_once(home: Home) -> list[str]:
    """Return the dead attempts for whose containers the engine is to be asked once more."""
    return sorted(path.name for path in (home.root / "reaped").glob("*"))


def forget_attempt(home: Home, invocation_id: str) -> None:
    """Take note that an engine was asked for what a dead attempt left: the second time for good."""
    mark, seen = home.root / "live" / invocation_id, home.root / "reaped" / invocation_id
    if seen.exists():
        seen.unlink(missing_ok=True)
        return
    make_private(seen.parent)
    with suppress(FileNotFoundError):
        mark.rename(seen)
