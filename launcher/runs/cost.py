"""What past runs took, as their bundles say; nothing is verified here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from launcher.canonical import parse_json
from launcher.errors import CheckFailedError, EvalctlError
from launcher.spec import bundle
from launcher.spec.plan import Cost
from launcher.store.directory import walk

_MAX_BYTES = 64 << 20


class _Run(Struct, frozen=True):
    wall: float | None
    cpu: float
    max_rss: int
    output: int


def cost_of(bundles: Sequence[Path], source: Literal["bundle", "store"]) -> Cost | None:
    """Return what the runs in `bundles` took; one that cannot be read, or recorded nothing, is left out."""
    runs = [run for run in map(_run, bundles) if run is not None]
    if not runs:
        return None
    walls = [run.wall for run in runs if run.wall is not None]
    cpus, memory = [run.cpu for run in runs], [run.max_rss for run in runs]
    outputs = [run.output for run in runs]
    return Cost(
        source=source,
        runs=len(runs),
        wall_seconds=(min(walls), max(walls)) if walls else None,
        cpu_seconds=(min(cpus), max(cpus)),
        max_rss_bytes=(min(memory), max(memory)),
        output_bytes=(min(outputs), max(outputs)),
    )


def _run(folder: Path) -> _Run | None:
    try:
        with walk(folder) as inventory:
            used = [
                line
                for line in _lines(inventory.read(bundle.RESOURCES, _MAX_BYTES))
                if line.get("kind", "container") == "container"
            ]
            steps = _lines(inventory.read(bundle.EVENTS, _MAX_BYTES))
        return _sum(used, steps)
    except (EvalctlError, KeyError, TypeError, ValueError):
        return None


def _sum(used: list[Mapping[str, Any]], steps: list[Mapping[str, Any]]) -> _Run | None:
    if not used:
        return None
    walls = [
        float(step["seconds"])
        for step in steps
        if step.get("source") == "launcher" and step.get("step") == "replicates"
    ]
    cpu = sum(float(line["cpu_user_seconds"]) + float(line["cpu_system_seconds"]) for line in used)
    return _Run(
        wall=round(sum(walls), 6) if walls else None,
        cpu=round(cpu, 6),
        max_rss=max(int(line["max_rss_bytes"]) for line in used),
        output=sum(int(line["output_bytes"]) for line in used),
    )


def _lines(data: bytes) -> list[Mapping[str, Any]]:
    values = [parse_json(line, what="a record") for line in data.splitlines() if line]
    if not all(isinstance(value, dict) for value in values):
        raise CheckFailedError("a record is no object", code="bad-bundle")
    return values
