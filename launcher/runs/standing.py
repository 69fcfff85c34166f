"""Where each attempt stands that runs, or that never came to an end: what `status` shows."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from launcher.store.naming import Found
from launcher.store.progress import read_progress

_ENDED = frozenset({"succeeded", "failed"})


class Standing(Struct, frozen=True):
    """One attempt: `done` and `running` of `replicates`; `elapsed` is None where it does not run."""

    name: str
    lock: str
    attempt: int
    id: str
    outcome: str
    step: str
    replicates: int
    done: int
    running: int
    samples: int
    began: str
    elapsed: float | None
    engine: str
    runtime: str


def standings(attempts: Iterable[Found], now: datetime) -> list[Standing]:
    """Return the attempts that run, then those that never came to an end, each oldest first."""
    wanted = [each for each in attempts if each.alive or each.state.get("outcome") not in _ENDED]
    return sorted(
        (_standing(each, now) for each in wanted), key=lambda row: (row.elapsed is None, row.began, row.id)
    )


def _standing(found: Found, now: datetime) -> Standing:
    state, progress = found.state, read_progress(found.folder)
    states = [row[0] for row in progress.values()]
    began = str(state.get("began") or "")
    return Standing(
        name=str(state.get("name") or ""),
        lock=str(state.get("lock") or f"sha256:{found.folder.parent.name}"),
        attempt=int(found.folder.name),
        id=str(state.get("invocation_id") or ""),
        outcome="running" if found.alive else str(state.get("outcome") or "unfinished"),
        step=str(state.get("step") or ""),
        replicates=_count(state.get("replicates"), len(progress)),
        done=sum(each != "running" for each in states),
        running=states.count("running") if found.alive else 0,
        samples=sum(row[1] for row in progress.values()),
        began=began,
        elapsed=_elapsed(began, now) if found.alive else None,
        engine=str(state.get("engine") or ""),
        runtime=str(state.get("runtime") or ""),
    )


def _count(value: Any, otherwise: int) -> int:
    return value if isinstance(value, int) else otherwise


def _elapsed(began: str, now: datetime) -> float | None:
    try:
        return max(0.0, round((now - datetime.fromisoformat(began).astimezone(UTC)).total_seconds(), 1))
    except ValueError:
        return None
