"""What the containers of a blueprint ask for together, which is told without a look at the machine."""

from msgspec import Struct

from launcher.spec.blueprint import Blueprint, Gpu
from launcher.spec.services import Phase, beside


class Want(Struct, frozen=True):
    """What one container asks for; `service` is its name, empty for the phase's own container."""

    cpus: int
    gpu: Gpu | None = None
    service: str = ""


def phases_of(blueprint: Blueprint) -> tuple[Phase, ...]:
    """Return the phases that have a container of their own."""
    return ("run", "score") if blueprint.score and blueprint.score.command else ("run",)


def wants_of(blueprint: Blueprint, phase: Phase) -> tuple[Want, ...]:
    """Return what the containers of a phase ask for together, its own first, then its services."""
    scored = phase == "score" and blueprint.score is not None
    own = blueprint.score.resources if scored and blueprint.score else blueprint.resources
    services = ((each.name, each.resources) for each in beside(blueprint, phase))
    return tuple(Want(held.cpus, held.gpu, name) for name, held in (("", own), *services))


def asked_gpus(blueprint: Blueprint) -> tuple[Gpu, ...]:
    """Return what the blueprint's containers ask for, each once."""
    wants = (want for phase in phases_of(blueprint) for want in wants_of(blueprint, phase))
    return tuple(dict.fromkeys(want.gpu for want in wants if want.gpu is not None))
