"""Run the replicates of an attempt side by side, as many at once as this machine allows."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from launcher.engines.engine import ContainerOutcome, ContainerTask, Engine, EngineFacts
from launcher.errors import InfrastructureError
from launcher.runs.container_events import log_replicate
from launcher.runs.events import EventLog, now
from launcher.runs.failures import failure_of, judge
from launcher.runs.resuming import watched
from launcher.runs.secrets import withhold
from launcher.runs.services import Place, ServiceRun, company, heaviest
from launcher.runs.shares import Share
from launcher.runs.tasks import RunPlan, bring_predictions, container_task, planned_task
from launcher.runs.wants import phases_of, wants_of
from launcher.spec.blueprint import Run, Score
from launcher.spec.predicates import Failure
from launcher.spec.sandbox import SandboxProfile
from launcher.spec.services import Phase
from launcher.store.progress import Progress

_Made = TypeVar("_Made")


class Origin(Struct, frozen=True):
    """Which attempt ran a replicate, when (RFC 3339), and on what kind of machine."""

    attempt: int
    invocation_id: str
    began: str
    ended: str
    machine: Mapping[str, str]


class ReplicateRun(Struct, frozen=True):
    """What became of one replicate: its containers' outcomes; `failure` is None when they did their part.

    `run` is None where `[run]` never started or was not to be run again, `score` where there is no second
    container or it never started; `services` are those of both. `origin` is None where nothing was begun.
    `shares` is what of the machine its containers had, by phase and service (its own: "").
    """

    replicate: int
    seed: int
    run: ContainerOutcome | None
    failure: Failure | None
    reason: str = ""
    score: ContainerOutcome | None = None
    origin: Origin | None = None
    services: tuple[ServiceRun, ...] = ()
    shares: tuple[tuple[Phase, str, Share], ...] = ()

    @property
    def outcomes(self) -> tuple[tuple[Phase, ContainerOutcome], ...]:
        """The containers that ran, in their order."""
        phases: tuple[tuple[Phase, ContainerOutcome | None], ...] = (("run", self.run), ("score", self.score))
        return tuple((phase, outcome) for phase, outcome in phases if outcome)

    @property
    def exit_code(self) -> int | None:
        """The exit code of the container that ran last."""
        return self.outcomes[-1][1].exit_code if self.outcomes else None


class _Counter:
    """Adds up the samples of all replicates for the live line."""

    def __init__(self, log: EventLog, progress: Progress) -> None:
        self._log = log
        self._progress = progress
        self._counts: dict[int, int] = {}

    def observer(self, replicate: int) -> "_Observer":
        return _Observer(lambda count: self._update(replicate, count))

    def _update(self, replicate: int, count: int) -> None:
        self._counts[replicate] = count
        self._progress.counted(replicate, count)
        self._log.reporter.samples(sum(self._counts.values()))


class _Observer(Struct, frozen=True):
    samples_so_far: Callable[[int], None]


class Keeper(Protocol):
    """Who has the replicates that ended well in earlier attempts, and keeps those of this one."""

    @property
    def plan(self) -> RunPlan:
        """What the replicates of this attempt share."""

    @property
    def taken(self) -> Mapping[int, ReplicateRun]:
        """The replicates that are not run again."""

    def ended(self, run: ReplicateRun, began: str) -> ReplicateRun:
        """Return a replicate of this attempt with its origin; one that ended well is kept."""


def run_replicates(
    engine: Engine, keeper: Keeper, log: EventLog, cancel: threading.Event, meanwhile: Callable[[], _Made]
) -> tuple[list[ReplicateRun], _Made]:
    """Run each seed's containers; return the runs in order, and what `meanwhile` made beside them.

    What `keeper` has is not run again. A run that fails stops the others. `cancel` is set from outside
    (Ctrl-C) or here; engine faults become outcomes, never exceptions. What `meanwhile` raises stops the runs
    and is raised.
    """
    plan = keeper.plan
    progress = Progress(plan.attempt.folder)
    counter = _Counter(log, progress)

    def one(replicate: int) -> ReplicateRun:
        if (taken := keeper.taken.get(replicate)) is not None:
            progress.became(replicate, "done")
            log_replicate(log, taken, ran_here=False)
            return taken
        began = now()
        progress.became(replicate, "running")
        try:
            ran = _run_one(engine, plan, replicate, (counter.observer(replicate), cancel))
            run = keeper.ended(ran, began)
        except BaseException:
            cancel.set()
            raise
        progress.became(replicate, "failed" if run.failure else "done")
        log_replicate(log, run)
        if run.failure:
            cancel.set()
        return run

    with ThreadPoolExecutor(_width(plan), thread_name_prefix="replicate") as pool:
        futures: list[Future[ReplicateRun]] = [pool.submit(one, number) for number in range(len(plan.seeds))]
        try:
            made = meanwhile()
        except BaseException:
            cancel.set()
            raise
        return [future.result() for future in futures], made


def parallel_width(facts: EngineFacts, profile: SandboxProfile, count: int) -> int:
    """Return how many of `count` replicates, each as large as `profile`, run at once."""
    side_by_side = min(facts.cpus // profile.cpus, facts.memory // profile.memory)
    return min(max(1, side_by_side), count)


def _width(plan: RunPlan) -> int:
    """Return how many replicates run at once: as many as engine, processors and GPUs have room for."""
    blueprint = plan.resolution.blueprint
    largest = heaviest(blueprint, plan.profile, plan.score_profile)
    shares = min(plan.machine.width(wants_of(blueprint, phase)) for phase in phases_of(blueprint))
    return min(parallel_width(plan.engine, largest, len(plan.seeds)), shares)


def _run_one(
    engine: Engine, plan: RunPlan, replicate: int, watch: tuple[_Observer, threading.Event]
) -> ReplicateRun:
    run = _predict(engine, plan, replicate, watch)
    score = plan.resolution.blueprint.score
    if run.failure or plan.score_profile is None or score is None:
        return run
    if watch[1].is_set():
        return replace(run, failure="interrupted", reason="stopped before it was scored")
    try:
        done = _run_phase(engine, Place(plan, replicate, "score"), score, watch)
    except InfrastructureError as error:
        failure, reason = failure_of(error, planned_task(plan, replicate, "score").mounts)
        return replace(run, failure=failure, reason=f"scoring: {reason}")
    reason = f"scoring: {done.reason}" if done.reason else ""
    services, shares = (*run.services, *done.services), (*run.shares, *done.shares)
    return replace(
        run, score=done.outcome, failure=done.failure, reason=reason, services=services, shares=shares
    )


def _predict(
    engine: Engine, plan: RunPlan, replicate: int, watch: tuple[_Observer, threading.Event]
) -> ReplicateRun:
    """Run `[run]`, or bring what it left in an earlier run that is scored again."""
    observer, cancel = watch
    seed = plan.seeds[replicate]
    if cancel.is_set():
        return ReplicateRun(replicate, seed, None, "interrupted", "stopped before it began")
    try:
        if plan.resolution.predictions is not None:
            bring_predictions(plan, replicate)
            return ReplicateRun(replicate, seed, None, None)
        with watched(plan, replicate, cancel) as state:
            asked = plan.resolution.blueprint.run
            done = _run_phase(engine, Place(plan, replicate, "run"), asked, (observer, state.cancel))
    except InfrastructureError as error:
        return ReplicateRun(replicate, seed, None, *failure_of(error, planned_task(plan, replicate).mounts))
    failure, reason = state.judge(done.failure, done.reason)
    return ReplicateRun(
        replicate, seed, done.outcome, failure, reason, services=done.services, shares=done.shares
    )


class _Done(Struct, frozen=True):
    outcome: ContainerOutcome | None
    failure: Failure | None
    reason: str
    services: tuple[ServiceRun, ...] = ()
    shares: tuple[tuple[Phase, str, Share], ...] = ()


def _run_phase(
    engine: Engine, place: Place, asked: Run | Score, watch: tuple[_Observer, threading.Event]
) -> _Done:
    """Run the containers of a phase, each with its share of the machine while they run."""
    wants = wants_of(place.plan.resolution.blueprint, place.phase)
    with place.plan.machine.lend(wants, watch[1]) as given:
        if given is None:
            return _Done(None, "interrupted", "stopped before it began")
        shares = {want.service: share for want, share in zip(wants, given, strict=True)}
        done = _run_together(engine, replace(place, shares=shares), asked, watch)
        return replace(done, shares=tuple((place.phase, name, share) for name, share in shares.items()))


def _run_together(
    engine: Engine, place: Place, asked: Run | Score, watch: tuple[_Observer, threading.Event]
) -> _Done:
    """Run the container of a phase, with its services beside it where it has any."""
    plan, observer, cancel = place.plan, *watch
    task = place.given(container_task(plan, place.replicate, place.phase))
    if task.pod is None:
        return _Done(*_run_and_judge(engine, task, place, asked, (observer, cancel)))
    with company(engine, place, cancel) as beside:
        ran: ContainerOutcome | None = None
        failure, reason = beside.wait_until_ready()
        if failure is None:
            joined = replace(task, pod=beside.link)
            ran, failure, reason = _run_and_judge(engine, joined, place, asked, (observer, beside.cancel))
        failure, reason = beside.settle(failure, reason)
        return _Done(ran, failure, reason, beside.runs)


def _run_and_judge(
    engine: Engine,
    task: ContainerTask,
    place: Place,
    asked: Run | Score,
    watch: tuple[_Observer, threading.Event],
) -> tuple[ContainerOutcome, Failure | None, str]:
    """Run a phase's own container; what it left is judged, and withheld where a secret stands in it."""
    plan = place.plan
    outcome = engine.run(task, *watch)
    if plan.secrets:
        outcome, failure, reason = withhold(outcome, task.outputs, plan.masker)
        if failure:
            return outcome, failure, reason
    failure, reason = judge(outcome, asked, place.replicate, plan)
    return outcome, failure, plan.masker.mask(reason) if plan.secrets else reason
