"""The journal of one attempt, a file that is only ever replaced, and the lock over a lock's folder.

Whoever changes what is in the folder of a lock (a run's identity) holds its `launcher.flock`.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from launcher.canonical import canonical_bytes, parse_json
from launcher.errors import EvalctlError, InfrastructureError
from launcher.store.files import sync_folder
from launcher.store.home import Home, make_private

UNKNOWN: Mapping[str, Any] = {"outcome": "unfinished", "bundle": None}


def lock_folder(home: Home, lock: str) -> Path:
    """Return the folder of the attempts at `lock` (a digest)."""
    return home.runs / lock.removeprefix("sha256:")


def attempt_folders(folder: Path) -> list[Path]:
    """Return the folders of the attempts in a lock's folder, oldest first."""
    if not folder.is_dir():
        return []
    numbers = sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())
    return [folder / str(number) for number in numbers]


def read_state(folder: Path) -> Mapping[str, Any]:
    """Read the journal; one that is not readable says only that the attempt did not finish."""
    try:
        state = parse_json((folder / "state.json").read_bytes(), what="the journal")
    except (OSError, EvalctlError):
        return UNKNOWN
    return state if isinstance(state, dict) else UNKNOWN


def write_state(folder: Path, state: Mapping[str, Any], *, durable: bool = False) -> None:
    """Replace the journal in `folder` by a rename; a killed process leaves the old one or the new one.

    After a power cut that holds only for one written `durable`.
    """
    temporary = folder / f".state.{os.getpid()}"
    try:
        with temporary.open("wb") as stream:
            stream.write(canonical_bytes(state))
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.rename(folder / "state.json")
        if durable:
            sync_folder(folder)
    except OSError as error:
        raise not_writable(folder, error) from error


def bundle_of(home: Home, state: Mapping[str, Any]) -> Path | None:
    """Return the bundle that an attempt's journal names, None where it is not in the store."""
    if not isinstance(state.get("bundle"), str):
        return None
    bundle = home.bundle(state["bundle"])
    return bundle if bundle.is_dir() else None


@contextmanager
def exclusive(home: Home, lock: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold `lock` against other launchers; `waiting` is called when one must be waited for."""
    folder = make_private(lock_folder(home, lock))
    with open_lock(folder / "launcher.flock") as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def held_if_free(folder: Path) -> Iterator[bool]:
    """Hold a lock's folder inside the block and yield True, or yield False where a launcher holds it."""
    with open_lock(folder / "launcher.flock") as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


@contextmanager
def open_lock(path: Path) -> Iterator[int]:
    """Open a file to be locked, made where it does not exist; closing it gives the lock up."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise not_writable(path, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def not_writable(path: Path, error: OSError) -> InfrastructureError:
    """Return the error of a home that takes no more."""
    return InfrastructureError(
        f"cannot write `{path}`",
        code="home-not-writable",
        context=error.strerror,
        hint="free some disk space, or set EVALCTL_HOME to a folder that you may write",
    )
