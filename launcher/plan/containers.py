"""The containers that a launch would ask for, with words for what only a launch draws."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from launcher.engines.docker_request import container_request
from launcher.engines.engine import ContainerTask, EngineFacts
from launcher.plan.ground import Ground
from launcher.runs.services import Place, service_task
from launcher.runs.tasks import RunPlan, planned_task
from launcher.spec.blueprint import Service
from launcher.spec.plan import (
    MountKind,
    PlannedContainer,
    PlannedMount,
)
from launcher.spec.services import Phase
from launcher.store.attempts import Attempt
from launcher.store.home import Home

if TYPE_CHECKING:
    pass

INVOCATION, ATTEMPT, LOCK, HOME, COMMIT_TIME = "INVOCATION", "ATTEMPT", "LOCK", "HOME", "COMMIT_TIME"
_NO_ENGINE = EngineFacts("", "", "", (), "", "", "", "", (), (), 0, 0, "", "", "")


def containers(ground: Ground) -> Iterator[PlannedContainer]:
    """Yield the first replicate's containers as a launch would ask for them."""
    run = _run_plan(ground)
    phases: tuple[Phase, ...] = ("run", "score") if run.score_profile else ("run",)
    for phase in phases:
        place = Place(run, 0, phase)
        for service in place.services:
            yield _container(ground, phase, service_task(place, service), service)
        yield _container(ground, phase, planned_task(run, 0, phase))


def _container(
    ground: Ground, phase: Phase, task: ContainerTask, service: Service | None = None
) -> PlannedContainer:
    if ground.resolution.code.commit_time < 0:
        task = replace(task, environment={**task.environment, "SOURCE_DATE_EPOCH": COMMIT_TIME})
    share = ground.gpus.shares.get((phase, service.name if service else ""))
    if share is not None:
        task = share.given_to(task, ground.engine.facts.gpu_driver if ground.engine.facts else "nvidia")
    request = container_request(task)
    return PlannedContainer(
        phase=phase,
        command=task.command,
        working_directory=task.working_directory,
        timeout=service.ready_timeout if service else int(task.timeout),
        environment=dict(sorted(task.environment.items())),
        mounts=tuple(_mount(mount) for mount in request["HostConfig"]["Mounts"]),
        sandbox=task.profile.as_identity(),
        request=request,
        service=service.name if service else "",
        ready=(service.ready_http or "") if service else "",
    )


def _run_plan(ground: Ground) -> RunPlan:
    """Return the plan of an attempt, with words for what a launch draws."""
    lock = (ground.lock or LOCK).removeprefix("sha256:")
    attempt = Attempt(ground.lock or LOCK, 1, INVOCATION, ground.home.runs / lock / ATTEMPT)
    pins = {name: found.pins for name, found in ground.resolution.services.items()}
    known = ground.engine.images
    image = known.get(ground.resolution.image.pins, ground.resolution.image.pins.config)
    facts = ground.engine.facts or _NO_ENGINE
    profile, score_profile = ground.profiles
    return RunPlan(
        ground.resolution,
        attempt,
        image,
        profile,
        facts,
        _label(ground.home),
        score_profile=score_profile,
        service_images={name: known.get(each, each.config) for name, each in pins.items()},
    )


def _label(home: Home) -> str:
    """Return the home's label where it has one already."""
    try:
        return (home.root / "id").read_text()
    except OSError:
        return HOME


def _mount(mount: dict[str, Any]) -> PlannedMount:
    target = str(mount["Target"])
    kinds: tuple[tuple[str, MountKind], ...] = (
        ("/eval/code", "code"),
        ("/eval/config.json", "config"),
        ("/eval/inputs/", "input"),
        ("/eval/predictions", "predictions"),
        ("/eval/state", "state"),
    )
    kind: MountKind = next((kind for start, kind in kinds if target.startswith(start)), "launcher")
    return PlannedMount(kind, str(mount["Source"]), target)
