"""Plan: say what a launch would run, fetch and need here, without running or fetching any of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from launcher.engines.docker_request import container_request
from launcher.engines.engine import ContainerTask, EngineFacts
from launcher.engines.requirements import unmet
from launcher.errors import EvalctlError, RequirementError
from launcher.launch import find_finished
from launcher.report.progress import SilentReporter
from launcher.resolve import Choices, Resolution, require_same, resolve
from launcher.runs.cost import cost_of
from launcher.runs.gpu_plan import GpuPlan, plan_gpus
from launcher.runs.replicates import parallel_width
from launcher.runs.request import Edges, GpuSight, LaunchRequest
from launcher.runs.services import Place, required_profiles, service_task
from launcher.runs.site import shortcomings
from launcher.runs.tasks import LOG_BYTES, RunPlan, planned_task, profiles_of
from launcher.sources.at_hand import AtHand, code_folder, input_place, see
from launcher.sources.code import CodeTree, fetch_code
from launcher.sources.images import PinnedImage
from launcher.spec.blueprint import Blueprint, Metric, Service
from launcher.spec.image import ImagePins
from launcher.spec.lock import CodePins, Lock, Pins, pins_from
from launcher.spec.plan import (
    Cost,
    Disk,
    Finished,
    MountKind,
    Plan,
    PlannedContainer,
    PlannedEngine,
    PlannedImage,
    PlannedMount,
    Unmet,
)
from launcher.spec.sandbox import SandboxProfile
from launcher.spec.services import Phase
from launcher.spec.site import SitePolicy
from launcher.store.attempts import Attempt, past_attempts
from launcher.store.cache import Cache
from launcher.store.home import Home
from launcher.store.journal import bundle_of
from launcher.trust.keys import Signer

if TYPE_CHECKING:
    from launcher.engines.engine import Engine

INVOCATION, ATTEMPT, LOCK, HOME, COMMIT_TIME = "INVOCATION", "ATTEMPT", "LOCK", "HOME", "COMMIT_TIME"
_NO_ENGINE = EngineFacts("", "", "", (), "", "", "", "", (), (), 0, 0, "", "", "")


class EngineSight(Struct, frozen=True):
    """What an engine said: its facts, its ids of the images it has; `reason` where none answered."""

    facts: EngineFacts | None
    images: Mapping[ImagePins, str] = {}
    reason: str = ""

    def planned(self, image: PlannedImage) -> PlannedImage:
        """Return `image` with the engine's word on it."""
        if image.pins is None:
            return image
        found = self.images.get(image.pins)
        return replace(image, in_engine=found is not None if self.facts else None, id=found)


class PlanEdges(Struct, frozen=True):
    """What a plan looks at: the home, the engine, who would sign (None before the first key), the GPUs.

    `site` is what the people who run this machine demand.
    """

    home: Home
    connect: "Callable[[], Engine]"
    signer: Signer | None
    gpus: GpuSight = GpuSight()
    site: SitePolicy = SitePolicy()


class _Ground(Struct, frozen=True):
    """All that was found; `resolution` is made up where `lock` is None or comes from the request."""

    request: LaunchRequest
    seen: AtHand
    missing: tuple[str, ...]
    lock: str | None
    resolution: Resolution
    engine: EngineSight
    profiles: tuple[SandboxProfile, SandboxProfile | None]
    finished: Finished | None
    cost: Cost | None
    home: Home
    gpus: GpuPlan
    site: SitePolicy


def plan(request: LaunchRequest, edges: PlanEdges, bundle: Path | None = None) -> Plan:
    """Return what launching `request` would do here; `bundle` is a run of it whose cost is known.

    Nothing is fetched and no engine is needed. Where all is at hand it is resolved, which hashes it. Raises
    `InfrastructureError` for what a launch would refuse: other bytes than a digest or a lock says.
    """
    cache = Cache(edges.home.cache)
    chosen = chosen_inputs(request.blueprint, request.choices)
    seen = _with_sizes(see(chosen, cache, request.settings), request.lock)
    missing = (*seen.missing, *_undecided(request))
    resolution = None if missing else resolve(request.blueprint, cache, request.settings, request.choices)
    if resolution is not None and request.lock is not None:
        require_same(resolution, request.lock)
    known = resolution.lock if resolution else request.lock
    lock = known.digest if known else None
    engine = ask(edges.connect, [seen.image.pins, *(image.pins for image in seen.services.values())])
    return _compose(
        _Ground(
            request=request,
            seen=seen,
            missing=missing,
            lock=lock,
            resolution=resolution or _as_if(request, seen, cache),
            engine=engine,
            profiles=profiles_of(request),
            finished=_finished(request, edges, lock),
            cost=_cost(edges.home, lock, bundle),
            home=edges.home,
            gpus=plan_gpus(request, edges.gpus, edges.site, engine.facts),
            site=edges.site,
        )
    )


def chosen_inputs(blueprint: Blueprint, choices: Choices) -> Blueprint:
    """Return the blueprint with its slots filled as `choices` say; what only a path names has no checksum."""
    models, digests = choices.models, choices.digests
    filled = []
    for item in blueprint.inputs:
        if item.slot in models:
            filled.append(replace(item, uri=models[str(item.slot)], sha256="", size=None))
        elif item.name in digests:
            filled.append(replace(item, sha256=digests[item.name], size=None))
        else:
            filled.append(item)
    return replace(blueprint, inputs=tuple(filled))


def _undecided(request: LaunchRequest) -> Iterator[str]:
    """Yield what is read when a run begins, or comes with an earlier one, and no plan has."""
    pins = pins_from(request.lock.identity) if request.lock else None
    if request.choices.draft or (pins and pins.patch):
        yield "a draft's changes"
    if pins and pins.predictions:
        yield "the predictions to score"


def _with_sizes(seen: AtHand, lock: Lock | None) -> AtHand:
    """Fill in the sizes that the lock pins where nobody has said them."""
    pinned = {item["name"]: item["size"] for item in lock.identity["inputs"]} if lock else {}
    sized = (item if item.size else replace(item, size=pinned.get(item.name)) for item in seen.inputs)
    return replace(seen, inputs=tuple(sized))


def ask(connect: "Callable[[], Engine]", images: Iterable[ImagePins | None]) -> EngineSight:
    """Ask the engine who it is and which images it has; one that does not answer is no error."""
    try:
        with closing(connect()) as engine:
            wanted = dict.fromkeys(filter(None, images))
            found = {pins: image for pins in wanted if (image := engine.find_image(pins))}
            return EngineSight(engine.describe(), found)
    except EvalctlError as error:
        return EngineSight(None, reason=error.in_words)


def _as_if(request: LaunchRequest, seen: AtHand, cache: Cache) -> Resolution:
    """Return the resolution that a fetch would give, as far as a container's request shows it."""
    blueprint = request.blueprint
    chosen = chosen_inputs(blueprint, request.choices)
    pins = _pins_of(seen.image)
    if seen.code.status == "cached":
        code = fetch_code(blueprint.code, cache, request.settings)
    else:
        code = CodeTree(code_folder(blueprint.code, cache) / "tree", CodePins("", "", {}), -1)
    if any(_undecided(request)):
        code = replace(code, root=cache.root / "code" / f"{blueprint.code.commit}+PATCH" / "tree")
    return Resolution(
        blueprint,
        request.lock or Lock({}, blueprint.text),
        Pins(pins, code.pins, {}, request.choices.limit),
        PinnedImage(pins, None),
        code,
        {item.name: input_place(item, cache, request.settings) for item in chosen.inputs},
        services={name: PinnedImage(_pins_of(image), None) for name, image in seen.services.items()},
    )


def _pins_of(image: PlannedImage) -> ImagePins:
    """Return the image's pins, made up as far as nothing here tells them."""
    return image.pins or ImagePins(None, image.digest, image.digest, (), image.platform)


def _finished(request: LaunchRequest, edges: PlanEdges, lock: str | None) -> Finished | None:
    """Return the run whose bundle a launch would return."""
    if lock is None or edges.signer is None or request.rerun:
        return None
    here = Edges(edges.home, edges.connect, edges.signer, SilentReporter(), edges.site, edges.gpus)
    found = find_finished(request, here, lock)
    return Finished(str(found.bundle), found.attempt) if found else None


def _cost(home: Home, lock: str | None, bundle: Path | None) -> Cost | None:
    if bundle is not None:
        return cost_of([bundle], "bundle")
    states = past_attempts(home, lock) if lock else []
    bundles = [bundle_of(home, state) for state in states if state.get("outcome") == "succeeded"]
    return cost_of([bundle for bundle in bundles if bundle], "store")


def _compose(ground: _Ground) -> Plan:
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
        containers=tuple(_containers(ground)),
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


def _wanted(ground: _Ground) -> tuple[tuple[SandboxProfile, ...], tuple[Unmet, ...]]:
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


def _containers(ground: _Ground) -> Iterator[PlannedContainer]:
    """Yield the first replicate's containers as a launch would ask for them."""
    run = _run_plan(ground)
    phases: tuple[Phase, ...] = ("run", "score") if run.score_profile else ("run",)
    for phase in phases:
        place = Place(run, 0, phase)
        for service in place.services:
            yield _container(ground, phase, service_task(place, service), service)
        yield _container(ground, phase, planned_task(run, 0, phase))


def _container(
    ground: _Ground, phase: Phase, task: ContainerTask, service: Service | None = None
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


def _run_plan(ground: _Ground) -> RunPlan:
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


def _metric(metric: Metric) -> dict[str, Any]:
    value: dict[str, Any] = to_builtins(metric)
    return value


def _disk(ground: _Ground, images: Sequence[PlannedImage]) -> Disk:
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
