"""The lines of `resources.jsonl`: one for each container, one for each phase, and the samples over time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, to_builtins

from launcher.canonical import canonical_bytes
from launcher.engines.engine import ContainerOutcome
from launcher.spec.usage import LoadedObjects, Usage, UsageSample

MAX_SAMPLES: Final = 10_000
MAX_OBJECTS: Final = 4000


class Used(Struct, frozen=True):
    """One container of an attempt: `service` names it where it is not the phase's own."""

    replicate: int
    phase: str
    outcome: ContainerOutcome
    service: str | None = None

    @property
    def key(self) -> dict[str, Any]:
        """What says on a line whose it is."""
        named = {} if self.service is None else {"service": self.service}
        return {"replicate": self.replicate, "phase": self.phase, **named}


def resources_bytes(containers: Sequence[Used]) -> bytes:
    """Return the bytes of `resources.jsonl`; long series are thinned until all of them together are short."""
    usages = _thinned([used.outcome.usage for used in containers])
    lines: list[Mapping[str, Any]] = [
        _container(used, usage) for used, usage in zip(containers, usages, strict=True)
    ]
    lines += _phases(containers)
    for used, usage in zip(containers, usages, strict=True):
        lines += _samples(used, usage)
    return b"".join(canonical_bytes(line) + b"\n" for line in lines)


def loaded_objects(outcomes: Iterable[ContainerOutcome]) -> LoadedObjects:
    """Return the program files and libraries that any of the containers was seen to have loaded."""
    found = [outcome.usage.loaded for outcome in outcomes]
    paths = sorted({path for loaded in found for path in loaded.paths})
    return LoadedObjects(
        paths=tuple(paths[:MAX_OBJECTS]),
        looks=sum(loaded.looks for loaded in found),
        truncated=len(paths) > MAX_OBJECTS or any(loaded.truncated for loaded in found),
    )


def _container(used: Used, usage: Usage) -> Mapping[str, Any]:
    """Return a container's line: what its first process saw of its children, and what the kernel counted."""
    outcome = used.outcome
    return {
        "kind": "container",
        **used.key,
        "seconds": round(outcome.seconds, 6),
        "cpu_user_seconds": outcome.cpu_user_seconds,
        "cpu_system_seconds": outcome.cpu_system_seconds,
        "max_rss_bytes": outcome.max_rss_bytes,
        "output_bytes": outcome.outputs.bytes,
        "logs": {
            name: {"bytes": log.total, "kept": log.captured, "truncated": log.truncated}
            for name, log in (("stdout", outcome.stdout), ("stderr", outcome.stderr))
        },
        **_counted(usage),
    }


def _counted(usage: Usage) -> Mapping[str, Any]:
    """Return what was read from outside; nothing where the container could not be watched."""
    last = usage.last
    if usage.source is None or last is None:
        return {}
    readings = {
        "cpu_seconds": last.cpu_seconds,
        "throttled_seconds": last.throttled_seconds,
        "memory_peak_bytes": usage.memory_peak_bytes,
        "read_bytes": last.read_bytes,
        "written_bytes": last.written_bytes,
        "pids_peak": usage.pids_peak,
        **to_builtins(usage.limits),
    }
    known = _without_none(readings)
    return {"source": usage.source, "interval": usage.interval, "samples": len(usage.samples), **known}


def _phases(containers: Sequence[Used]) -> Iterator[Mapping[str, Any]]:
    """Yield what the containers of each phase used together, services apart from the phase's own."""
    phases = dict.fromkeys(_phase_name(used) for used in containers)
    for phase in phases:
        of_phase = [used.outcome for used in containers if _phase_name(used) == phase]
        yield {
            "kind": "phase",
            "phase": phase,
            "containers": len(of_phase),
            "seconds": round(sum(outcome.seconds for outcome in of_phase), 6),
            "cpu_user_seconds": round(sum(outcome.cpu_user_seconds for outcome in of_phase), 6),
            "cpu_system_seconds": round(sum(outcome.cpu_system_seconds for outcome in of_phase), 6),
            "max_rss_bytes": max(outcome.max_rss_bytes for outcome in of_phase),
            "output_bytes": sum(outcome.outputs.bytes for outcome in of_phase),
            **_transferred([outcome.usage.last for outcome in of_phase]),
        }


def _transferred(lasts: Sequence[UsageSample | None]) -> dict[str, int]:
    """Return the sums of what was told of every container; a sum that leaves one out is none."""
    totals: dict[str, int] = {}
    for name in ("read_bytes", "written_bytes"):
        values: list[int | None] = [getattr(last, name, None) for last in lasts]
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            totals[name] = sum(known)
    return totals


def _phase_name(used: Used) -> str:
    return used.phase if used.service is None else "service"


def _samples(used: Used, usage: Usage) -> Iterator[Mapping[str, Any]]:
    for sample in usage.samples:
        yield {"kind": "sample", **used.key, **_without_none(to_builtins(sample))}


def _without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: _shortest(value) for name, value in table.items() if value is not None}
    if "gpus" in kept:
        kept["gpus"] = [_without_none(gpu) for gpu in kept["gpus"]]
    return kept


def _shortest(value: Any) -> Any:
    """Return a number as the integer that it is written as: a short cut for the writer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _thinned(usages: list[Usage]) -> list[Usage]:
    """Thin the longest series, one after the other, until they fit; two samples of each always stay."""
    while sum(len(usage.samples) for usage in usages) > MAX_SAMPLES:
        longest = max(range(len(usages)), key=lambda index: len(usages[index].samples))
        if len(usages[longest].samples) <= 2:
            break
        usages[longest] = usages[longest].thinned()
    return usages
