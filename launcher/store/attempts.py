"""The journal of attempts: what was about to happen, written before it happens, and who is still alive.

A lock's attempts are numbered folders. While its launcher lives it holds an advisory lock (flock) on a file
under `live/`, which appears there locked; the kernel drops it when the process dies, however it dies, so no
pid is ever trusted.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from launcher.canonical import canonical_bytes, parse_json
from launcher.errors import EvalctlError, InfrastructureError
from launcher.store.bundles import publish
from launcher.store.home import Home, make_private

if TYPE_CHECKING:
    from launcher.spec.result import Result


class Attempt(Struct, frozen=True):
    """One try at a lock: its number (from 1), its opaque invocation id, and its folder."""

    lock: str
    number: int
    invocation_id: str
    folder: Path

    @property
    def staging(self) -> Path:
        """Where the bundle is put together before it appears in the store at once."""
        return self.folder / "staging"

    @property
    def work(self) -> Path:
        """Where containers' outputs and logs are collected."""
        return self.folder / "work"

    def record(self, step: str, **facts: Any) -> None:
        """Write `step` and what is known so far to the journal before the step is taken."""
        state = _read_state(self.folder)
        write_state(self.folder, {**state, **facts, "step": step})


def finish_attempt(home: Home, attempt: Attempt, digest: str, result: "Result") -> Path:
    """Publish the bundle in `attempt.staging`, of this digest and result, and close the journal over it."""
    ending = {
        "failure": result.failure,
        "bundle": digest,
        "verdict": result.verdict,
        "marks": list(result.marks),
    }
    outcome = "failed" if result.failure else "succeeded"
    attempt.record("publish", **ending, planned=outcome)
    bundle = publish(home, attempt.staging)
    attempt.record("finished", **ending, outcome=outcome)
    return bundle


def bundle_of(home: Home, state: Mapping[str, Any]) -> Path | None:
    """Return the bundle that an attempt's journal names, None where it is not in the store."""
    if not isinstance(state.get("bundle"), str):
        return None
    bundle = home.bundle(state["bundle"])
    return bundle if bundle.is_dir() else None


def past_attempts(home: Home, lock: str) -> list[Mapping[str, Any]]:
    """Return the journal of every attempt at `lock` (a digest), oldest first."""
    folder = _lock_folder(home, lock)
    if not folder.is_dir():
        return []
    numbers = sorted(int(entry.name) for entry in folder.iterdir() if entry.name.isdigit())
    return [_read_state(folder / str(number)) for number in numbers]


def all_attempts(home: Home) -> list[Mapping[str, Any]]:
    """Return the journal of every attempt in the home, by lock, then number."""
    locks = sorted(entry.name for entry in home.runs.iterdir()) if home.runs.is_dir() else []
    return [state for lock in locks for state in past_attempts(home, lock)]


@contextmanager
def exclusive(home: Home, lock: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold `lock` against other launchers; `waiting` is called when one must be waited for."""
    folder = make_private(_lock_folder(home, lock))
    with _open_lock(folder / "launcher.flock") as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextmanager
def begin_attempt(home: Home, lock: str, facts: Mapping[str, Any]) -> Iterator[Attempt]:
    """Open the next attempt at `lock` and keep it alive until the block ends; call inside `exclusive`."""
    import uuid

    invocation_id = str(uuid.uuid4())
    parent = make_private(_lock_folder(home, lock))
    number = 1 + max((int(entry.name) for entry in parent.iterdir() if entry.name.isdigit()), default=0)
    attempt = Attempt(lock, number, invocation_id, parent / str(number))
    with _kept_alive(home, attempt):
        try:
            _prepare(attempt, facts)
            yield attempt
        finally:
            with suppress(EvalctlError):
                _close(home, attempt.folder)


@contextmanager
def begin_session(home: Home, lock: str) -> Iterator[Attempt]:
    """Open a folder for containers of `lock` that are no attempt at it; nothing of it outlives the block."""
    import uuid

    invocation_id = str(uuid.uuid4())
    session = Attempt(lock, 0, invocation_id, make_private(_sessions(home)) / invocation_id)
    with _kept_alive(home, session):
        try:
            make_private(session.work)
            yield session
        finally:
            shutil.rmtree(session.folder, ignore_errors=True)


def _sessions(home: Home) -> Path:
    return home.root / "sessions"


@contextmanager
def _kept_alive(home: Home, attempt: Attempt) -> Iterator[None]:
    """Hold the lock that says this process runs `attempt`; it appears under `live/` held already."""
    live = make_private(home.root / "live") / attempt.invocation_id
    unborn = make_private(home.root / "unborn") / attempt.invocation_id
    with _open_lock(unborn) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            os.write(descriptor, os.fsencode(attempt.folder.relative_to(home.root)))
            unborn.rename(live)
        except OSError as error:
            unborn.unlink(missing_ok=True)
            raise _not_writable(live, error) from error
        try:
            yield
        finally:
            live.unlink(missing_ok=True)


def _prepare(attempt: Attempt, facts: Mapping[str, Any]) -> None:
    try:
        attempt.folder.mkdir(mode=0o700)
        attempt.work.mkdir(mode=0o700)
        attempt.staging.mkdir(mode=0o700)
    except OSError as error:
        raise _not_writable(attempt.folder, error) from error
    start = {"attempt": attempt.number, "invocation_id": attempt.invocation_id, "lock": attempt.lock}
    write_state(attempt.folder, {**start, **facts, "step": "begun", "outcome": "unfinished", "bundle": None})


def close_dead_attempts(home: Home) -> list[str]:
    """Mark attempts whose launcher died as interrupted; return their invocation ids.

    Their half-made folders are removed; what they left in an engine is the caller's to reap, and the entry
    under `live/` stays until `forget_attempt`.
    """
    dead = []
    for live in sorted((home.root / "live").glob("*")):
        if is_alive(home, live.name):
            continue
        dead.append(live.name)
        with suppress(OSError, ValueError):
            folder = home.root / os.fsdecode(live.read_bytes())
            if folder.resolve().is_relative_to(home.runs.resolve()):
                _close(home, folder)
            elif folder == _sessions(home) / live.name:
                shutil.rmtree(folder, ignore_errors=True)
    return dead


def _close(home: Home, folder: Path) -> None:
    """Close an attempt that is over; one whose bundle had already appeared in the store did finish."""
    if not folder.is_dir():
        return
    state = _read_state(folder)
    if state.get("outcome") == "unfinished":
        if bundle_of(home, state) is not None:
            write_state(folder, {**state, "outcome": state.get("planned"), "step": "finished"})
        else:
            write_state(folder, {**state, "outcome": "interrupted", "bundle": None})
    shutil.rmtree(folder / "work", ignore_errors=True)
    shutil.rmtree(folder / "staging", ignore_errors=True)


def is_alive(home: Home, invocation_id: str) -> bool:
    """Say whether the launcher of this attempt still runs, on this machine."""
    path = home.root / "live" / invocation_id
    try:
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def forget_attempt(home: Home, invocation_id: str) -> None:
    """Drop the mark of a dead attempt once nothing of it is left anywhere."""
    (home.root / "live" / invocation_id).unlink(missing_ok=True)


def write_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Replace the journal in `folder` by a rename; a killed process leaves the old one or the new one."""
    temporary = folder / f".state.{os.getpid()}"
    try:
        temporary.write_bytes(canonical_bytes(state))
        temporary.rename(folder / "state.json")
    except OSError as error:
        raise _not_writable(folder, error) from error


def _read_state(folder: Path) -> Mapping[str, Any]:
    """Read the journal; one that is not readable says only that the attempt did not finish."""
    try:
        state = parse_json((folder / "state.json").read_bytes(), what="the journal")
    except (OSError, EvalctlError):
        return {"outcome": "unfinished", "bundle": None}
    return state if isinstance(state, dict) else {"outcome": "unfinished", "bundle": None}


def _lock_folder(home: Home, lock: str) -> Path:
    return home.runs / lock.removeprefix("sha256:")


@contextmanager
def _open_lock(path: Path) -> Iterator[int]:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _not_writable(path, error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _not_writable(path: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"cannot write `{path}`",
        code="home-not-writable",
        context=error.strerror,
        hint="free some disk space, or set EVALCTL_HOME to a folder that you may write",
    )
