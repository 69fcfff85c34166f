"""The way out of an attempt with `network = "egress"`: opened for its replicates, its record kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from launcher.environment.facts import Fact
from launcher.runs.events import EventLog
from launcher.runs.tasks import RunPlan
from launcher.spec.services import is_open

if TYPE_CHECKING:
    from launcher.egress.proxy import EgressProxy

RELAY_TARGET: Final = "/.evalctl/egress"


def relay_socket(plan: RunPlan) -> Path | None:
    """Return where the proxy listens, None where there is no way out."""
    return plan.attempt.work / "egress" if is_open(plan.resolution.blueprint) else None


@contextmanager
def way_out(plan: RunPlan) -> Iterator["EgressProxy | None"]:
    """Open the way out inside the block, where the blueprint has one."""
    place = relay_socket(plan)
    if place is None:
        yield None
        return
    from launcher.egress.proxy import EgressProxy
    from launcher.spec.hosts import AllowList

    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with EgressProxy(place, AllowList(plan.resolution.blueprint.sandbox.allow_hosts)) as proxy:
        yield proxy


def egress_facts(proxy: "EgressProxy | None", plan: RunPlan, log: EventLog) -> tuple[Fact, ...]:
    """Return what went through the proxy as a fact, and log it; nothing where there was none."""
    if proxy is None:
        return ()
    record: dict[str, Any] = proxy.record.as_json()
    for kind in ("reached", "refused"):
        record[kind] = [{**host, "host": plan.masker.mask(host["host"])} for host in record[kind]]
    log.add("egress", detail=record)
    return (Fact("egress.traffic", record, "host"),)
