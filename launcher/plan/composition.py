"""Put a plan together: a pure function of what was found."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import to_builtins
from msgspec.structs import replace

from launcher.engines.engine import EngineFacts
from launcher.engines.requirements import unmet
from launcher.errors import RequirementError
from launcher.plan.containers import containers
from launcher.plan.ground import Ground
from launcher.runs.replicates import parallel_width
from launcher.runs.services import required_profiles
from launcher.runs.site import shortcomings
from launcher.runs.tasks import LOG_BYTES
from launcher.spec.blueprint import Metric
from launcher.spec.plan import (
    Disk,
    Plan,
    PlannedEngine,
    PlannedImage,
    Unmet,
)
from launcher.spec.sandbox import SandboxProfile
from launcher.spec.site import SitePolicy

if TYPE_CHECKING:
    pass


def compose(ground: Ground) -> Plan:
    """Put the plan together: a pure function of what was found."""
    blueprint, facts = ground.request.blueprint, ground.engine.facts
    seeds = blueprint.run.seeds
    image = ground.engine.planned(ground.seen.image)
    services = {name: ground.engine.planned(found) for name, found in ground.seen.services.items()}
    wanted, refused = _wanted(ground)
    return Plan(
        name=blueprint.about.name,
        version=blueprint.about.version,
        lock=ground.lock,
        to_fetch_first=ground.missing,
        finished=ground.finished,
        image=image,
        code=ground.seen.code,
        inputs=ground.seen.inputs,
        seeds=seeds,
        parallel=parallel_width(facts, _largest(wanted), len(seeds)) if facts else None,
        containers=tuple(containers(ground)),
        gpu=to_builtins(blueprint.resources.gpu),
        metrics=tuple(_metric(metric) for metric in blueprint.metrics),
        disk=_disk(ground, (image, *services.values())),
        cost=ground.cost,
        engine=_engine(facts) if facts else None,
        no_engine=ground.engine.reason,
        unmet=(
            *refused,
            *(_site_unmet(facts, ground.site) if facts else ()),
            *(_all_unmet(facts, wanted) if facts else ()),
            *(_unmet(error) for error in ground.gpus.refused),
        ),
        services=services,
        gpus=ground.gpus.planned,
    )


def _wanted(ground: Ground) -> tuple[tuple[SandboxProfile, ...], tuple[Unmet, ...]]:
    """Return the profiles that the engine must be able to give, and what no engine can."""
    try:
        return required_profiles(ground.request.blueprint, *ground.profiles), ()
    except RequirementError as error:
        return tuple(profile for profile in ground.profiles if profile), (_unmet(error),)


def _largest(profiles: Sequence[SandboxProfile]) -> SandboxProfile:
    cpus, memory = max(each.cpus for each in profiles), max(each.memory for each in profiles)
    return replace(profiles[0], cpus=cpus, memory=memory)


def _site_unmet(facts: EngineFacts, site: SitePolicy) -> Iterator[Unmet]:
    """Yield what the site policy refuses of this engine and its host."""
    try:
        shortcomings(facts, site)
    except RequirementError as error:
        yield _unmet(error)


def _all_unmet(facts: EngineFacts, profiles: Sequence[SandboxProfile]) -> list[Unmet]:
    """Return what the engine cannot give to any of the containers, each once."""
    return list(dict.fromkeys(_unmet(error) for profile in profiles for error in unmet(facts, profile)))


def _metric(metric: Metric) -> dict[str, Any]:
    value: dict[str, Any] = to_builtins(metric)
    return value


def _disk(ground: Ground, images: Sequence[PlannedImage]) -> Disk:
    inputs = {item.name: item.bytes_to_fetch for item in ground.seen.inputs}
    sizes = [image.bytes_to_load for image in {image.digest: image for image in images}.values()]
    # What comes out of a container is collected first, then copied into the bundle.
    profiles = [profile for profile in ground.profiles if profile]
    each = sum(2 * (profile.output_bytes + 2 * LOG_BYTES) for profile in profiles)
    each += sum(profile.state.bytes for profile in profiles if profile.state)
    unknown = [name for name, size in inputs.items() if size is None]
    unknown += ["the code"] if ground.seen.code.status != "cached" else []
    unknown += ["an image" if len(images) > 1 else "the image"] if None in sizes else []
    return Disk(
        inputs=sum(size or 0 for size in inputs.values()),
        attempt=each * len(ground.request.blueprint.run.seeds),
        engine=sum(size or 0 for size in sizes),
        unknown=tuple(unknown),
    )


def _unmet(error: RequirementError) -> Unmet:
    return Unmet(error.in_words, error.hint or "")


def _engine(facts: EngineFacts) -> PlannedEngine:
    return PlannedEngine(facts.name, facts.version, facts.cpus, facts.memory, facts.runtimes)
