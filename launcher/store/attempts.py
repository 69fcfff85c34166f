"""Attempts at a lock: numbered folders, in each a journal of what was about to happen before it happens."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from launcher.errors import EvalctlError
from launcher.store.bundles import publish
from launcher.store.closing import PROGRESS, STATE_FOLDER, close_attempt
from launcher.store.home import Home, make_private
from launcher.store.journal import attempt_folders, lock_folder, not_writable, read_state, write_state
from launcher.store.liveness import kept_alive
from launcher.store.processes import own_process
from launcher.store.removal import put_away

if TYPE_CHECKING:
    from launcher.spec.result import Result


class Attempt(Struct, frozen=True):
    """One try at a lock: its number (from 1; 0 for a session), its opaque invocation id, and its folder."""

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
        return self.folder / PROGRESS

    @property
    def state(self) -> Path:
        """Where resumable replicates keep what they go on with: shared by the attempts, a session's own."""
        return (self.folder.parent if self.number else self.folder) / STATE_FOLDER

    def record(self, step: str, *, durable: bool = False, **facts: Any) -> None:
        """Write `step` and what is known so far to the journal before the step is taken."""
        state = read_state(self.folder)
        write_state(self.folder, {**state, **facts, "step": step}, durable=durable)


def finish_attempt(home: Home, attempt: Attempt, digest: str, result: "Result") -> Path:
    """Publish the bundle in `attempt.staging`, of this digest and result, and close the journal over it."""
    ending: dict[str, Any] = {
        "failure": result.failure,
        "bundle": digest,
        "verdict": result.verdict,
        "marks": list(result.marks),
    }
    outcome = "failed" if result.failure else "succeeded"
    # From here on, whatever is cut off, the journal and the store together say that the attempt finished.
    attempt.record("publish", durable=True, planned=outcome, **ending)
    bundle = publish(home, attempt.staging)
    attempt.record("finished", **ending, outcome=outcome)
    return bundle


def past_attempts(home: Home, lock: str) -> list[Mapping[str, Any]]:
    """Return the journal of every attempt at `lock` (a digest), oldest first."""
    return [read_state(folder) for folder in attempt_folders(lock_folder(home, lock))]


@contextmanager
def begin_attempt(home: Home, lock: str, facts: Mapping[str, Any]) -> Iterator[Attempt]:
    """Open the next attempt at `lock` and keep it alive until the block ends; call inside `exclusive`."""
    import uuid

    invocation_id = str(uuid.uuid4())
    parent = make_private(lock_folder(home, lock))
    number = 1 + max((int(folder.name) for folder in attempt_folders(parent)), default=0)
    attempt = Attempt(lock, number, invocation_id, parent / str(number))
    with kept_alive(home, attempt.invocation_id, attempt.folder):
        try:
            _prepare(attempt, facts)
            yield attempt
        finally:
            with suppress(EvalctlError):
                close_attempt(home, attempt.folder)


@contextmanager
def begin_session(home: Home, lock: str) -> Iterator[Attempt]:
    """Open a folder for containers of `lock` that are no attempt at it; nothing of it outlives the block."""
    import uuid

    invocation_id = str(uuid.uuid4())
    session = Attempt(lock, 0, invocation_id, make_private(home.root / "sessions") / invocation_id)
    with kept_alive(home, session.invocation_id, session.folder):
        try:
            make_private(session.work)
            yield session
        finally:
            put_away(session.folder, home.trash)


def _prepare(attempt: Attempt, facts: Mapping[str, Any]) -> None:
    try:
        attempt.folder.mkdir(mode=0o700)
        attempt.work.mkdir(mode=0o700)
        attempt.staging.mkdir(mode=0o700)
    except OSError as error:
        raise not_writable(attempt.folder, error) from error
    start = {"attempt": attempt.number, "invocation_id": attempt.invocation_id, "lock": attempt.lock}
    start["process"] = own_process()
    write_state(attempt.folder, {**start, **facts, "step": "begun", "outcome": "unfinished", "bundle": None})
