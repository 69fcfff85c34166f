"""Whether a finished run had other GPUs than this machine would give it."""

from pathlib import Path

from launcher.environment.facts import read_environment
from launcher.errors import EvalctlError, RequirementError
from launcher.runs.request import GpuSight, LaunchRequest
from launcher.runs.wants import asked_gpus
from launcher.spec import bundle as names
from launcher.spec.gpu_match import GpuGround, match, refuse_unmatched
from launcher.spec.site import SitePolicy


def other_gpus(bundle: Path, request: LaunchRequest, sight: GpuSight, site: SitePolicy) -> tuple[str, ...]:
    """Return a remark where the bundle's run had other GPUs, or another driver, than a launch would get here.

    Nothing is looked at, and nothing is said, where the blueprint asks for none.
    """
    if not asked_gpus(request.blueprint):
        return ()
    from launcher.runs.shares import gpu_ground

    ground = gpu_ground(request, sight, site)
    ran, here = _ran_on(bundle), _here(request, ground) if ground else ""
    return () if ran == here else (f"it ran on {ran}; this machine would give {here}",)


def _ran_on(bundle: Path) -> str:
    try:
        facts = read_environment((bundle / names.ENVIRONMENT).read_bytes())
        models = [device["given"]["name"] for device in facts.get("gpu.devices", ())]
        driver = facts.get("gpu.driver", "unknown")
    except (OSError, EvalctlError, KeyError, TypeError):
        return "GPUs that it does not tell"
    return _told(models, driver) if models else "no GPU"


def _here(request: LaunchRequest, ground: GpuGround) -> str:
    models: list[str] = []
    for gpu in asked_gpus(request.blueprint):
        try:
            found = match(gpu, ground)
            refuse_unmatched(found)
        except RequirementError:
            return "none that fits"
        models += [unit.name for unit in found.fitting[: gpu.count]]
    return _told(models, ground.inventory.driver)


def _told(models: list[str], driver: str) -> str:
    return f"{', '.join(sorted(set(models)))} under driver {driver}"
