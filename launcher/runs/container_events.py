"""The steps of each container of a replicate, in the log of its attempt."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from launcher.runs.events import EventLog, moment

if TYPE_CHECKING:
    from launcher.engines.engine import ContainerOutcome
    from launcher.runs.replicates import ReplicateRun


def log_replicate(log: EventLog, run: "ReplicateRun", *, ran_here: bool = True) -> None:
    """Record what was done to a replicate's containers, and what became of it.

    One that an earlier attempt ran has its own lines, and none of what was done to its containers then.
    """
    for service in run.services:
        whose = {"replicate": run.replicate, "phase": service.phase, "name": service.name}
        if service.outcome is not None and ran_here:
            _log_steps(log, service.outcome, whose)
        ready = None if service.ready_after is None else round(service.ready_after, 6)
        log.add("service", at=_began(service.outcome, ran_here=ran_here), seconds=ready, detail=whose)
    detail: Mapping[str, Any] = {
        "replicate": run.replicate,
        "seed": run.seed,
        "failure": run.failure,
        "reason": run.reason,
        **({} if run.origin is None else {"attempt": run.origin.attempt}),
    }
    for phase, outcome in run.outcomes:
        if ran_here:
            _log_steps(log, outcome, {"replicate": run.replicate, "phase": phase})
        at = _began(outcome, ran_here=ran_here)
        log.add(phase, at=at, seconds=round(outcome.seconds, 6), detail=detail)
    if not run.outcomes:
        log.add("run", detail=detail)


def _log_steps(log: EventLog, outcome: "ContainerOutcome", whose: Mapping[str, Any]) -> None:
    for step in outcome.steps:
        log.add(step.name, at=moment(step.began), seconds=round(step.seconds, 6), detail=whose)


def _began(outcome: "ContainerOutcome | None", *, ran_here: bool) -> str | None:
    """Say when a container was begun with; None where only another process's clock knows."""
    return moment(outcome.started) if outcome is not None and ran_here else None
