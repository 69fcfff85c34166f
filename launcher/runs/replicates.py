"""Run the replicates of an attempt side by side, as many at once as the processors allow."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from msgspec import Struct

from launcher.engines.engine import ContainerOutcome, Engine
from launcher.errors import InfrastructureError
from launcher.runs.events import EventLog
from launcher.runs.tasks import RunPlan, artifact_place, container_task
from launcher.spec.blueprint import Run
from launcher.spec.bundle import ARTIFACTS
from launcher.spec.predicates import Failure
from launcher.spec.sandbox import SandboxProfile

_Made = TypeVar("_Made")


class ReplicateRun(Struct, frozen=True):
    """What became of one replicate; `failure` is None when the container did its part."""

    replicate: int
    seed: int
    outcome: ContainerOutcome | None
    failure: Failure | None
    reason: str = ""


class _Counter:
    """Adds up the samples of all replicates for the live line."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._counts: dict[int, int] = {}

    def observer(self, replicate: int) -> "_Observer":
        return _Observer(lambda count: self._update(replicate, count))

    def _update(self, replicate: int, count: int) -> None:
        self._counts[replicate] = count
        self._log.reporter.samples(sum(self._counts.values()))


class _Observer(Struct, frozen=True):
    samples_so_far: Callable[[int], None]


def run_replicates(
    engine: Engine, plan: RunPlan, log: EventLog, cancel: threading.Event, meanwhile: Callable[[], _Made]
) -> tuple[list[ReplicateRun], _Made]:
    """Run one container for each seed; return the runs in order, and what `meanwhile` made beside them.

    A run that fails stops the others. `cancel` is set from outside (Ctrl-C) or here; engine faults become
    outcomes, never exceptions. What `meanwhile` raises stops the runs and is raised.
    """
    counter = _Counter(log)

    def one(replicate: int) -> ReplicateRun:
        try:
            run = _run_one(engine, plan, replicate, (counter.observer(replicate), cancel))
        except BaseException:
            cancel.set()
            raise
        _log_replicate(log, run)
        if run.failure:
            cancel.set()
        return run

    count = len(plan.seeds)
    width = parallel_width(plan.engine.cpus, plan.profile, count)
    with ThreadPoolExecutor(width, thread_name_prefix="replicate") as pool:
        futures: list[Future[ReplicateRun]] = [pool.submit(one, replicate) for replicate in range(count)]
        try:
            made = meanwhile()
        except BaseException:
            cancel.set()
            raise
        return [future.result() for future in futures], made


def parallel_width(cpus: int, profile: SandboxProfile, count: int) -> int:
    """Return how many of `count` replicates run at once on `cpus` processors."""
    return min(max(1, cpus // profile.cpus), count)


def _run_one(
    engine: Engine, plan: RunPlan, replicate: int, watch: tuple[_Observer, threading.Event]
) -> ReplicateRun:
    observer, cancel = watch
    seed = plan.seeds[replicate]
    if cancel.is_set():
        return ReplicateRun(replicate, seed, None, "interrupted", "stopped before it began")
    try:
        outcome = engine.run(container_task(plan, replicate), observer, cancel)
    except InfrastructureError as error:
        reason = error.message + (f" ({error.context})" if error.context else "")
        return ReplicateRun(replicate, seed, None, "engine", reason)
    failure, reason = classify(outcome, plan.resolution.blueprint.run)
    if failure is None and (odd := _unfit_artifact(outcome, replicate)):
        failure, reason = "candidate", f"its output `{odd}` has a name that no bundle may hold"
    return ReplicateRun(replicate, seed, outcome, failure, reason)


def classify(outcome: ContainerOutcome, run: Run) -> tuple[Failure | None, str]:
    """Tell from facts (the launcher's deadline, the engine's state, the init's report) what went wrong."""
    if outcome.oom_killed:
        return "out-of-memory", "the kernel ended a process: the container's memory was used up"
    if outcome.timed_out:
        return "timeout", f"it was still running after {run.timeout} s"
    if outcome.cancelled:
        return "interrupted", "it was stopped by the launcher"
    if outcome.exec_error:
        return "candidate", f"`{run.command[0]}` could not be started: {outcome.exec_error}"
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


def _unfit_artifact(outcome: ContainerOutcome, replicate: int) -> str | None:
    """Return the first artifact that an engine takes and a bundle, which must be portable, does not."""
    artifacts = (file.path for file in outcome.outputs.files if file.path.startswith(f"{ARTIFACTS}/"))
    return next((path for path in artifacts if artifact_place(replicate, path) is None), None)


def overall_failure(runs: list[ReplicateRun]) -> tuple[Failure | None, str]:
    """Return the failure that stopped the attempt: the first that is not a mere consequence of another."""
    failed = [run for run in runs if run.failure]
    if not failed:
        return None, ""
    first = next((run for run in failed if run.failure != "interrupted"), failed[0])
    where = f"replicate {first.replicate}: " if len(runs) > 1 else ""
    return first.failure, where + first.reason


def _log_replicate(log: EventLog, run: ReplicateRun) -> None:
    detail: Mapping[str, object] = {
        "replicate": run.replicate,
        "seed": run.seed,
        "failure": run.failure,
        "reason": run.reason,
    }
    log.add("run", seconds=round(run.outcome.seconds, 6) if run.outcome else None, detail=detail)
