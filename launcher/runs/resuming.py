"""`/eval/state`: a folder that a resumable replicate goes on with, watched because no quota bounds it.

It belongs to one replicate of one lock, is handed to attempt after attempt until the lock has its answer, and
is never collected. What is in it is a stranger's: its files are counted, and never opened or followed.
"""

import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec.structs import replace

from launcher.canonical import canonical_bytes, parse_json
from launcher.engines.engine import ContainerTask, Engine
from launcher.environment.facts import Fact
from launcher.errors import EvalctlError, RequirementError
from launcher.report.wording import numbered
from launcher.runs.tasks import RunPlan, planned_task, state_folder
from launcher.runs.watching import LinkedEvent, Nobody
from launcher.spec.predicates import Failure
from launcher.spec.sandbox import STATE, SandboxProfile, State
from launcher.store.closing import STATE_FOLDER
from launcher.store.files import write_atomically
from launcher.store.home import Home, make_private
from launcher.store.journal import lock_folder
from launcher.store.measure import measure
from launcher.store.nameless import nameless_bytes
from launcher.store.removal import remove_tree

# What the disk of the state must keep for everybody else.
LEAST_FREE = 256 << 20

_PERIOD = 1.0
# A walk over many files is not begun again at once: it takes this share of the time at most.
_SHARE = 0.05
_FED = "attempts.json"
# Permissions first: a folder that its owner may not write to is not emptied.
SWEEP = f"cd {STATE} || exit; chmod -R u+rwx -- * .[!.]* ..?*; rm -rf -- * .[!.]* ..?*"
_SWEEP_SECONDS = 60.0


class StateWatch:
    """Looks after one container's state from a thread of its own; `cancel` is set when it must end."""

    def __init__(self, folder: Path, state: State, outer: threading.Event) -> None:
        self.cancel: threading.Event = LinkedEvent(outer)
        self._folder = folder
        self._state = state
        self._over = threading.Event()
        self._found: tuple[Failure, str] | None = None

    def look(self) -> float:
        """Measure once, remember a breach, and return how many seconds that took."""
        began = time.monotonic()
        if self._found is None and (breach := self._breach()):
            self._found = breach
            self.cancel.set()
        return time.monotonic() - began

    def judge(self, failure: Failure | None, reason: str) -> tuple[Failure | None, str]:
        """Return what ended the container: a breach comes before what it led to."""
        return self._found or (failure, reason)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look again and again inside the block, and once behind it."""
        thread = threading.Thread(target=self._run, name="state", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            self.look()

    def _run(self) -> None:
        taken = 0.0
        while not self._over.wait(max(_PERIOD, taken / _SHARE)):
            taken = self.look()

    def _breach(self) -> tuple[Failure, str] | None:
        state, held = self._state, measure(self._folder, self._state.inodes)
        if held.hidden:
            return "disk", f"`{state.path}` holds {held.hidden}, so nothing bounds it"
        if held.bytes + nameless_bytes(self._folder, state.path) > state.bytes:
            return "disk", f"`{state.path}` grew beyond {state.bytes} bytes (`output` in [resources])"
        if held.entries > state.inodes:
            return "disk", f"`{state.path}` holds more than {state.inodes} files and folders"
        if shutil.disk_usage(self._folder).free < LEAST_FREE:
            # Whoever filled the disk: it is not known to be the candidate, so another attempt may go on.
            return "engine", f"the disk that holds `{state.path}` has less than {LEAST_FREE} bytes left"
        return None


class _NoWatch:
    """Stands where there is no state to be watched."""

    def __init__(self, cancel: threading.Event) -> None:
        self.cancel = cancel

    def judge(self, failure: Failure | None, reason: str) -> tuple[Failure | None, str]:
        """Return what it was given."""
        return failure, reason


@contextmanager
def watched(plan: RunPlan, replicate: int, cancel: threading.Event) -> "Iterator[StateWatch | _NoWatch]":
    """Have the replicate's state at hand and watch it inside the block; nothing where it is not resumable."""
    state = plan.profile.state
    if state is None:
        yield _NoWatch(cancel)
        return
    watch = StateWatch(_have(plan, replicate), state, cancel)
    # Before the container can write: a state that is too large already, by an attempt that died.
    watch.look()
    with watch.watching():
        yield watch


def require_room(home: Home, lock: str, profile: SandboxProfile, replicates: int) -> None:
    """Raise `RequirementError` unless the disk has room for what the states of a lock may still grow by."""
    state = profile.state
    if state is None:
        return
    folder = make_private(lock_folder(home, lock))
    there = [state_folder(folder / STATE_FOLDER, replicate) for replicate in range(replicates)]
    held = sum(min(state.bytes, measure(place, state.inodes).bytes) for place in there if place.is_dir())
    wanted = replicates * state.bytes - held + LEAST_FREE
    if (free := shutil.disk_usage(folder).free) < wanted:
        raise RequirementError(
            f"the disk of the home has too little room for `{state.path}`",
            code="disk-too-small",
            context=f"expected {wanted} bytes free, got {free}",
            hint="free some disk space, set EVALCTL_HOME to a larger disk, or lower `output` in [resources]",
        )


def state_facts(plan: RunPlan) -> Iterator[Fact]:
    """Yield how the state was bounded and which attempts fed it."""
    if plan.profile.state is None:
        return
    fed = {str(replicate): attempts for replicate, attempts in _all_fed(plan).items()}
    yield Fact("state.bound", "watched", "host")
    yield Fact("state.attempts", fed, "host")


def resumed_in_words(plan: RunPlan) -> Iterator[str]:
    """Name the replicates whose state more than one attempt fed."""
    for replicate, attempts in _all_fed(plan).items():
        if len(attempts) > 1:
            yield f"replicate {replicate}: resumed, {numbered(attempts, 'attempt')} fed `/eval/state`"


def _all_fed(plan: RunPlan) -> Mapping[int, Sequence[int]]:
    if plan.profile.state is None:
        return {}
    return {replicate: _fed(plan.state(replicate).parent / _FED) for replicate in range(len(plan.seeds))}


def _fed(record: Path) -> list[int]:
    try:
        found = parse_json(record.read_bytes(), what="the record of a state")
    except (OSError, EvalctlError):
        return []
    return sorted({number for number in found if type(number) is int}) if isinstance(found, list) else []


def _have(plan: RunPlan, replicate: int) -> Path:
    """Make the state's folder where there is none, and note that this attempt feeds it."""
    folder = plan.state(replicate)
    make_private(folder.parent)
    record = folder.parent / _FED
    fed = sorted({*_fed(record), plan.attempt.number})
    write_atomically(record, canonical_bytes(fed))
    folder.mkdir(exist_ok=True)
    # The container's user is nobody here, perhaps not even by number; the folder above keeps others out.
    os.chmod(folder, 0o777)  # noqa: PTH101, S103
    return folder


def empty_states(engine: Engine, plan: RunPlan) -> None:
    """Empty what this user may not, as the container's user, with the image's own tools where it has them.

    What stays is put away when the attempt is closed.
    """
    for replicate in range(len(plan.seeds)) if plan.profile.state else ():
        folder = plan.state(replicate)
        if remove_tree(folder):
            continue
        with suppress(EvalctlError):
            engine.run(_sweep(plan, replicate), Nobody(), threading.Event())
            remove_tree(folder)


def _sweep(plan: RunPlan, replicate: int) -> ContainerTask:
    """Return the task that empties a replicate's state: it sees nothing else of the run."""
    task = planned_task(plan, replicate)
    own = plan.replicate(replicate) / "sweep"
    for name in ("out", "logs"):
        (own / name).mkdir(parents=True, mode=0o700)
    return replace(
        task,
        name=f"{task.name}-sweep",
        command=("/bin/sh", "-c", SWEEP),
        working_directory="/",
        mounts=(),
        timeout=_SWEEP_SECONDS,
        outputs=own / "out",
        logs=own / "logs",
    )
