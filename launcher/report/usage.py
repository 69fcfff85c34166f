"""Resources and time: what resources.jsonl and events.jsonl say, whatever phases and readings they hold."""

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

import msgspec
from msgspec import Struct

_READINGS = (
    *("seconds", "cpu_user_seconds", "cpu_system_seconds", "max_rss_bytes", "output_bytes"),
    *("memory_peak_bytes", "read_bytes", "written_bytes", "throttled_seconds"),
)
# The bytes are a stranger's: so many kinds of steps have a row of their own, so many containers a page.
_MOST_STEPS = 500
_MOST_CONTAINERS = 20_000
_OTHERS = ("-", "-", "all other steps")
# How a line came about, and what another of its readings says already.
_UNTOLD = frozenset({"kind", "source", "interval", "samples", "cpu_seconds"})
_TOLD_WHEN_MET = frozenset({"memory_kills", "memory_refusals", "pids_refusals"})


class Usage(Struct, frozen=True):
    """A container's or a phase's line of resources.jsonl; `other` are the readings that have no column."""

    phase: str
    replicate: str
    readings: Mapping[str, float]
    other: Mapping[str, Any]


class Step(Struct, frozen=True):
    """Every event of one kind together: how often it happened, and how long all of them took."""

    source: str
    phase: str
    name: str
    count: int
    seconds: float | None


def read_usage(data: bytes) -> Iterator[Usage]:
    """Yield what containers used, in order, and what each phase of several did; samples are left out."""
    left = _MOST_CONTAINERS
    for table in _tables(data):
        kind = table.get("kind", "container")
        if kind == "sample" or (kind == "phase" and table.get("containers") == 1):
            continue
        left -= 1
        if left < 0:
            raise ValueError(f"there are more than {_MOST_CONTAINERS} containers")
        readings = {name: float(table[name]) for name in _READINGS if _is_reading(table.get(name))}
        other = {
            name: table[name] for name in sorted(table) if name not in readings and _is_told(name, table)
        }
        phase, replicate = other.pop("phase", "-"), other.pop("replicate", "-")
        if "service" in other:
            phase = f"{other.pop('service')}, beside {phase}"
        if kind == "phase":
            replicate = f"all {other.pop('containers', '')}".strip()
        yield Usage(str(phase), str(replicate), readings, other)


def _is_told(name: str, table: Mapping[str, Any]) -> bool:
    return name not in _UNTOLD and not (name in _TOLD_WHEN_MET and table[name] == 0)


def read_steps(data: bytes) -> Iterator[Step]:
    """Yield the steps of events.jsonl, each kind once, in the order in which they first stand there."""
    found: dict[tuple[str, str, str], list[float | None]] = {}
    for table in _tables(data):
        kind = (str(table.get("source", "-")), str(table.get("phase", "-")), str(table.get("step", "-")))
        if kind not in found and len(found) >= _MOST_STEPS:
            kind = _OTHERS
        seconds: Any = table.get("seconds")
        found.setdefault(kind, []).append(float(seconds) if _is_reading(seconds) else None)
    for kind, times in found.items():
        known = [seconds for seconds in times if seconds is not None]
        yield Step(*kind, len(times), sum(known) if known else None)


def _tables(data: bytes) -> Iterator[dict[str, Any]]:
    """Yield each line as a table; raises `ValueError` for a line that is none.

    The bytes are those that were signed; only the launcher or, for events, a container wrote them.
    """
    decoder = msgspec.json.Decoder(dict[str, Any])
    for number, line in enumerate(data.splitlines(), 1):
        try:
            yield decoder.decode(line)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise ValueError(f"line {number} is no JSON object: {error}") from error


def _is_reading(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
