"""What is put on record of processors and GPUs: who was given which, and what became of them."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from launcher.environment.facts import Fact
from launcher.runs.replicates import ReplicateRun
from launcher.runs.tasks import RunPlan
from launcher.spec.gpu_changes import gpu_changes
from launcher.spec.gpus import GpuDevice, GpuInventory, GpuUnit


def seen_after(plan: RunPlan, runs: Sequence[ReplicateRun]) -> tuple[RunPlan, list[ReplicateRun]]:
    """Look at the GPUs again; a replicate whose GPU broke has failed, other changes are deviations."""
    machine, used = plan.machine, {unit.uuid for unit in used_units(runs)}
    if machine.ground is None or machine.look is None or not used:
        return plan, list(runs)
    changes = gpu_changes(machine.ground.inventory, machine.look(), used)
    return replace(plan, gpu_remarks=changes.remarks), [_judged(run, changes.faults) for run in runs]


def used_units(runs: Iterable[ReplicateRun]) -> list[GpuUnit]:
    """Return the GPUs and slices that the replicates were given, each once, in order."""
    given = {unit.uuid: unit for run in runs for *_, share in run.shares for unit in share.gpus}
    return sorted(given.values(), key=lambda unit: unit.place)


def share_facts(plan: RunPlan, runs: Sequence[ReplicateRun]) -> Iterator[Fact]:
    """Yield which processors and GPUs each container had, and what those GPUs are."""
    shares = [
        {
            "replicate": run.replicate,
            "phase": phase,
            **({"service": service} if service else {}),
            **share.as_json(),
        }
        for run in runs
        for phase, service, share in run.shares
    ]
    yield Fact("host.shares", shares, "host")
    used = used_units(runs)
    if plan.machine.ground is not None and used:
        yield from _gpu_facts(plan.machine.ground.inventory, used)


def _gpu_facts(inventory: GpuInventory, used: Sequence[GpuUnit]) -> Iterator[Fact]:
    yield Fact("gpu.driver", inventory.driver, "host")
    yield Fact("gpu.cuda", inventory.cuda, "host")
    yield Fact("gpu.devices", [_described(unit) for unit in used], "host")


def _described(unit: GpuUnit) -> dict[str, Any]:
    device: GpuDevice = replace(unit.device, instances=(), processes=(), memory_used=None)
    facts: dict[str, Any] = to_builtins(device)
    programs = [str(process) for process in unit.processes]
    return {
        **{name: value for name, value in facts.items() if name not in ("processes", "memory_used", "fault")},
        "given": {"uuid": unit.uuid, "name": unit.name, "memory": unit.memory, "slice": unit.is_slice},
        # Others' programs that the site's policy lets be.
        **({"foreign-processes": programs} if programs else {}),
    }


def _judged(run: ReplicateRun, faults: dict[str, str]) -> ReplicateRun:
    broken = [faults[unit.uuid] for *_, share in run.shares for unit in share.gpus if unit.uuid in faults]
    if not broken or run.failure == "interrupted":
        return run
    return replace(run, failure="engine", reason=broken[0])
