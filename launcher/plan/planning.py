"""Look at everything that a launch would need, fetch and run none of it, and plan."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from launcher.errors import EvalctlError
from launcher.launch import find_finished
from launcher.plan.composition import compose
from launcher.plan.ground import EngineSight, Ground, PlanEdges
from launcher.report.progress import SilentReporter
from launcher.resolve import Choices, Resolution, require_same, resolve
from launcher.runs.cost import cost_of
from launcher.runs.gpu_plan import plan_gpus
from launcher.runs.request import Edges, LaunchRequest
from launcher.runs.tasks import profiles_of
from launcher.sources.at_hand import AtHand, code_folder, input_place, see
from launcher.sources.code import CodeTree, fetch_code
from launcher.sources.images import PinnedImage
from launcher.spec.blueprint import Blueprint
from launcher.spec.image import ImagePins
from launcher.spec.lock import CodePins, Lock, Pins, pins_from
from launcher.spec.plan import (
    Cost,
    Finished,
    Plan,
    PlannedImage,
)
from launcher.store.attempts import past_attempts
from launcher.store.cache import Cache
from launcher.store.home import Home
from launcher.store.journal import bundle_of

if TYPE_CHECKING:
    from launcher.engines.engine import Engine


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
    return compose(
        Ground(
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
