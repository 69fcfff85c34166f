"""Tell from facts why a replicate failed, and which replicate's failure stopped its attempt."""

from collections.abc import Sequence
from typing import Protocol

from launcher.engines.engine import ContainerOutcome
from launcher.runs.tasks import RunPlan, artifact_place, prediction_place
from launcher.spec.blueprint import Run, Score
from launcher.spec.bundle import ARTIFACTS
from launcher.spec.predicates import Failure


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
    failure, reason = classify(outcome, asked)
    if failure is None and (odd := _unfit(outcome, replicate, plan)):
        return "candidate", f"its output `{odd}` has a name that no bundle may hold"
    return failure, reason


def classify(outcome: ContainerOutcome, asked: Run | Score) -> tuple[Failure | None, str]:
    """Tell from facts (the launcher's deadline, the engine's state, the init's report) what went wrong."""
    if outcome.oom_killed:
        return "out-of-memory", "the kernel ended a process: the container's memory was used up"
    if outcome.timed_out:
        return "timeout", f"it was still running after {asked.timeout} s"
    if outcome.cancelled:
        return "interrupted", "it was stopped by the launcher"
    if outcome.exec_error:
        return "candidate", f"`{asked.command[0]}` could not be started: {outcome.exec_error}"
    if outcome.signal is not None:
        return "candidate", f"it was ended by signal {outcome.signal}"
    if outcome.exit_code is None:
        return "engine", "the container ended without the report of its first process"
    if outcome.exit_code != 0:
        return "candidate", f"it exited with code {outcome.exit_code}"
    if not outcome.outputs.complete:
        return "engine", "what it left did not come out whole"
    if outcome.outputs.refused:
        first = outcome.outputs.refused[0]
        more = f" (and {len(outcome.outputs.refused) - 1} more)" if len(outcome.outputs.refused) > 1 else ""
        return "candidate", f"its output `{first.path}` is refused: {first.reason}{more}"
    return None, ""


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
