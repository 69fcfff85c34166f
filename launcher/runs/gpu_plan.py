"""Which GPUs a launch would be given on this machine, without taking any."""

from collections.abc import Mapping
from contextlib import suppress

from msgspec import Struct

from launcher.engines.docker_gpus import refuse_without_nvproxy
from launcher.engines.engine import EngineFacts
from launcher.environment.leases import machine_leases
from launcher.errors import InfrastructureError, RequirementError
from launcher.runs.request import GpuSight, LaunchRequest
from launcher.runs.shares import Machine, Share, gpu_ground
from launcher.runs.wants import phases_of, wants_of
from launcher.spec.blueprint import Gpu
from launcher.spec.gpu_match import GpuGround, allot, allot_all, asked
from launcher.spec.gpus import GpuInventory, GpuUnit
from launcher.spec.plan import PlannedGpu, PlannedGpus
from launcher.spec.services import Phase
from launcher.spec.site import SitePolicy


class GpuPlan(Struct, frozen=True):
    """What each container would be given, by phase and service (its own: ""), and what is refused."""

    planned: tuple[PlannedGpus, ...] = ()
    shares: Mapping[tuple[Phase, str], Share] = {}
    refused: tuple[RequirementError, ...] = ()


def plan_gpus(
    request: LaunchRequest, sight: GpuSight, site: SitePolicy, facts: EngineFacts | None
) -> GpuPlan:
    """Match what every container asks for; nothing is looked at where none asks."""
    ground = gpu_ground(request, sight, site)
    if ground is None:
        return GpuPlan()
    machine = Machine(machine_leases(), ground=ground)
    planned: list[PlannedGpus] = []
    shares: dict[tuple[Phase, str], Share] = {}
    refused: list[RequirementError] = []
    for phase in phases_of(request.blueprint):
        wants = wants_of(request.blueprint, phase)
        given: tuple[tuple[GpuUnit, ...], ...] = ((),) * len(wants)
        waits = False
        try:
            if facts is not None and any(want.gpu for want in wants):
                refuse_without_nvproxy(facts, request.least_runtime)
            given, waits = _given(machine, tuple(want.gpu for want in wants))
        except RequirementError as error:
            refused.append(error)
        for want, units in zip(wants, given, strict=True):
            if want.gpu is not None:
                told = tuple(PlannedGpu(unit.uuid, unit.name, unit.memory) for unit in units)
                planned.append(PlannedGpus(phase, asked(want.gpu), told, waits, want.service))
                shares[phase, want.service] = Share(gpus=units)
    return GpuPlan(tuple(planned), shares, tuple(refused))


def _given(machine: Machine, wanted: tuple[Gpu | None, ...]) -> tuple[tuple[tuple[GpuUnit, ...], ...], bool]:
    """Return what would be given, and whether another launch has it now; unreadable leases count as none."""
    ground = machine.ground or GpuGround(GpuInventory())
    with suppress(InfrastructureError):
        ground = machine.seen()
    free = allot(wanted, ground)
    return (free, False) if free is not None else (allot_all(wanted, ground), True)
