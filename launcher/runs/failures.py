"""Tell from facts why a replicate failed, and which replicate's failure stopped its attempt."""

import signal
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from launcher.engines.engine import ContainerOutcome, Mount
from launcher.errors import InfrastructureError
from launcher.runs.tasks import RunPlan, artifact_place, prediction_place
from launcher.spec.blueprint import Run, Runtime, Score
from launcher.spec.bundle import ARTIFACTS
from launcher.spec.predicates import Failure

# The kernel took the file for no program of this machine.
_UNFIT_PROGRAM: Final = ("ENOEXEC", "ELIBBAD")
_IMAGE_CODES: Final = frozenset({"image-gone", "image-damaged"})
_MOUNT_CODES: Final = frozenset({"mount-not-visible"})


class Judged(Protocol):
    """A replicate that was judged; `failure` is None when its containers did their part."""

    @property
    def replicate(self) -> int:
        """Its number, from 0."""

    @property
    def failure(self) -> Failure | None:
        """What went wrong."""

    @property
    def reason(self) -> str:
        """The same in words."""


def judge(
    outcome: ContainerOutcome, asked: Run | Score, replicate: int, plan: RunPlan
) -> tuple[Failure | None, str]:
    """Say what went wrong with a container, its outputs' names included; (None, "") where nothing did."""
    failure, reason = classify(outcome, asked, plan.profile.runtime)
    if failure is None and (odd := _unfit(outcome, replicate, plan)):
        return "candidate", f"its output `{odd}` has a name that no bundle may hold"
    return failure, reason


def classify(outcome: ContainerOutcome, asked: Run | Score, runtime: Runtime) -> tuple[Failure | None, str]:
    """Tell what went wrong from facts; docs/failures.md has the table.

    They are the launcher's deadline, the engine's state, the kernel's counts, and what the init saw of the
    command's end. An exit code proves nothing but that the command failed.
    """
    if outcome.differences:
        return "sandbox", f"it is weaker than its profile: {outcome.differences[0]}"
    if outcome.oom_killed:
        return "out-of-memory", "the kernel ended a process: the container's memory was used up"
    if outcome.timed_out:
        return "timeout", f"it was still running after {asked.timeout} s"
    if outcome.cancelled:
        return "interrupted", "it was stopped by the launcher"
    if outcome.exec_error:
        return _not_started(outcome.exec_error, asked.command[0])
    if outcome.signal is not None or outcome.exit_code:
        return _failed(outcome)
    if _ended_its_sandbox(outcome, runtime):
        return "sandbox", "the container ended without a report, and gVisor lets a command end its own"
    if outcome.exit_code is None:
        return "engine", "the container ended without the report of its first process"
    if not outcome.outputs.complete:
        return "engine", "what it left did not come out whole"
    if outcome.outputs.refused:
        first = outcome.outputs.refused[0]
        more = f" (and {len(outcome.outputs.refused) - 1} more)" if len(outcome.outputs.refused) > 1 else ""
        return "candidate", f"its output `{first.path}` is refused: {first.reason}{more}"
    return None, ""


def _ended_its_sandbox(outcome: ContainerOutcome, runtime: Runtime) -> bool:
    """Say whether the command may have ended the container itself.

    Older gVisor delivers a deadly signal to the first process, and dies of many forks at once. Were that the
    engine's failure, a candidate that dislikes its result could have as many attempts as it wants.
    """
    return runtime == "runsc" and outcome.exit_code is None and outcome.engine_exit_code is not None


def _not_started(error: str, program: str) -> tuple[Failure, str]:
    """Say whose fault it is that the kernel would not start the command: the image's, of its own programs."""
    reason = f"`{program}` could not be started: {error}"
    is_images = not program.startswith("/eval/") and ("/" not in program or program.startswith("/"))
    return ("image" if is_images and error.startswith(_UNFIT_PROGRAM) else "candidate"), reason


def _failed(outcome: ContainerOutcome) -> tuple[Failure, str]:
    """Say what a command ran into that ended by itself, and not well."""
    how = f"it exited with code {outcome.exit_code}"
    if outcome.signal is not None:
        how = f"it was ended by signal {outcome.signal}"
    if outcome.signal == signal.SIGSYS:
        return "sandbox", f"{how}: it made a system call in a way that the sandbox ends a process for"
    if outcome.signal == signal.SIGXFSZ:
        return "disk", f"{how}: a file grew beyond what the sandbox lets it"
    if full := [room.path for room in outcome.room if room.is_full]:
        return "disk", f"{how}, and `{full[0]}` was full"
    if refusals := outcome.usage.limits.pids_refusals:
        how += f"; {refusals} processes or threads could not be made: `pids` of [resources] was reached"
    return "candidate", how


def failure_of(error: InfrastructureError, mounts: Iterable[Mount]) -> tuple[Failure, str]:
    """Tell whose fault it is that a container was not run: an input's, the image's, else the engine's."""
    if error.code in _IMAGE_CODES:
        return "image", error.in_words
    if error.code in _MOUNT_CODES and (gone := [mount for mount in mounts if not mount.source.exists()]):
        return "input", f"`{gone[0].target}` is gone from this machine: {error.in_words}"
    return "engine", error.in_words


def _unfit(outcome: ContainerOutcome, replicate: int, plan: RunPlan) -> str | None:
    """Return the first output to be kept that an engine takes and a bundle, being portable, does not."""
    scored_apart = plan.score_profile is not None
    for file in outcome.outputs.files:
        is_artifact = file.path.startswith(f"{ARTIFACTS}/")
        if is_artifact and artifact_place(replicate, file.path) is None:
            return file.path
        if scored_apart and prediction_place(replicate, file.path) is None:
            return file.path
    return None


def overall_failure(runs: Sequence[Judged]) -> tuple[Failure | None, str]:
    """Return the failure that stopped the attempt: the first that is not a mere consequence of another."""
    failed = [run for run in runs if run.failure]
    if not failed:
        return None, ""
    first = next((run for run in failed if run.failure != "interrupted"), failed[0])
    where = f"replicate {first.replicate}: " if len(runs) > 1 else ""
    return first.failure, where + first.reason
