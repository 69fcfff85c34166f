"""Resolve a blueprint: have everything it names at hand, by digest, and pin it in a lock."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from launcher.digest import sha256_hex, sums_text
from launcher.errors import InfrastructureError, MalformedError
from launcher.sources.code import CodeTree, fetch_code
from launcher.sources.images import PinnedImage, find_image
from launcher.sources.inputs import Fetched, FetchSettings, fetch_input, identify
from launcher.spec.blueprint import Blueprint, Input
from launcher.spec.lock import InputPin, Lock, Pins, make_lock, pins_from
from launcher.spec.services import service_image
from launcher.store.cache import Cache
from launcher.store.trees import read_tree


class Choices(Struct, frozen=True):
    """What a launch decides beside its blueprint; all of it is pinned in the lock.

    `models` fills slots with what a URI or path names, `digests` with what a lock pinned (hex SHA-256 by
    input name). `limit` keeps the first items only. A draft runs the working tree with its changes, or, from
    a lock, the commit with the changes of this digest, which `patch` may hold. `predictions` are the folders,
    one a replicate, that an earlier run left to be scored again.
    """

    models: Mapping[str, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    draft: bool = False
    patch_sha256: str | None = None
    patch: bytes | None = None
    predictions: tuple[Path, ...] | None = None


class Resolution(Struct, frozen=True):
    """A lock and where on this machine its image, code, inputs and predictions are.

    `services` are the images of the services, by service name.
    """

    blueprint: Blueprint
    lock: Lock
    pins: Pins
    image: PinnedImage
    code: CodeTree
    inputs: Mapping[str, Path]
    patch: bytes | None = None
    predictions: tuple[Path, ...] | None = None
    services: Mapping[str, PinnedImage] = field(default_factory=dict)


def resolve(
    blueprint: Blueprint, cache: Cache, settings: FetchSettings, choices: Choices = Choices()
) -> Resolution:
    """Fetch and check what `blueprint` names, and return its lock: the same bytes on every machine.

    Raises `InfrastructureError` when something is not to be had, or is not what its digest says,
    `MalformedError` for a choice that the blueprint does not offer.
    """
    _refuse_unknown_slots(blueprint, choices.models)
    image = find_image(blueprint.image, cache, settings)
    services = {
        service.name: find_image(service_image(service, blueprint), cache, settings)
        for service in blueprint.services
    }
    code, patch = _code(blueprint, cache, settings, choices)
    fetched = {item.name: _input(item, cache, settings, choices) for item in blueprint.inputs}
    pins = Pins(
        image=image.pins,
        code=code.pins,
        inputs={name: InputPin(found.sha256, found.size, found.tree) for name, found in fetched.items()},
        limit=choices.limit,
        patch=choices.patch_sha256 if patch is None else sha256_hex(patch),
        predictions=None if choices.predictions is None else pin_predictions(choices.predictions),
        services={name: found.pins for name, found in services.items()},
        egress=blueprint.sandbox.network == "egress",
    )
    lock = make_lock(blueprint, pins)
    paths = {name: found.path for name, found in fetched.items()}
    return Resolution(blueprint, lock, pins, image, code, paths, patch, choices.predictions, services)


def choices_of(lock: Lock, blueprint: Blueprint) -> Choices:
    """Return the choices under which `lock` was made; its patch and predictions are not in it."""
    pins = pins_from(lock.identity)
    filled = {
        item.name: pins.inputs[item.name].sha256
        for item in blueprint.inputs
        if pins.inputs[item.name].sha256 != item.sha256
    }
    return Choices(digests=filled, limit=pins.limit, patch_sha256=pins.patch)


def require_same(resolution: Resolution, expected: Lock) -> None:
    """Raise `InfrastructureError` unless what was found here is what the lock `expected` pins."""
    if resolution.lock.digest == expected.digest:
        return
    found, pinned = resolution.lock.identity, expected.identity
    drifted = sorted(key for key in {*found, *pinned} if found.get(key) != pinned.get(key))
    raise InfrastructureError(
        "what was found is not what the lock pins",
        code="lock-drift",
        context=f"`{'`, `'.join(drifted)}` differ; expected {expected.digest}, got {resolution.lock.digest}",
        hint="write the lock anew with `evalctl resolve BLUEPRINT`",
    )


def _code(
    blueprint: Blueprint, cache: Cache, settings: FetchSettings, choices: Choices
) -> tuple[CodeTree, bytes | None]:
    """Return the code's tree, and what a draft changed in it."""
    if not choices.draft and choices.patch_sha256 is None:
        return fetch_code(blueprint.code, cache, settings), None
    from launcher.sources.draft import draft_code, patched_code

    if choices.draft:
        return draft_code(blueprint.code, cache, settings)
    assert choices.patch_sha256 is not None  # noqa: S101 - one of the two is given
    return patched_code(blueprint.code, (choices.patch_sha256, choices.patch), cache, settings)


def _input(item: Input, cache: Cache, settings: FetchSettings, choices: Choices) -> Fetched:
    """Return an input; that of a filled slot is what the choice names, whatever its checksum."""
    if item.slot is not None and (uri := choices.models.get(item.slot)):
        filling = _identify(item, uri, cache, settings)
        if item.unpack == "none":
            return filling
        named = filling.sha256
        return fetch_input(replace(item, uri=uri, sha256=named, size=None), cache, settings)
    if item.name in choices.digests:
        return _refilled(replace(item, sha256=choices.digests[item.name], size=None), cache, settings)
    return fetch_input(item, cache, settings)


def _identify(item: Input, uri: str, cache: Cache, settings: FetchSettings) -> Fetched:
    """Return what fills a slot; where it is not there, the command line is at fault and not the blueprint."""
    try:
        return identify(item.name, uri, cache, settings)
    except InfrastructureError as error:
        if error.code == "input-not-found":
            error.hint = f"check the path in `--model {item.slot}=PATH`"
        raise


def _refilled(item: Input, cache: Cache, settings: FetchSettings) -> Fetched:
    """Return what a lock says a slot was filled with; what the blueprint's own uri names is not that."""
    try:
        return fetch_input(item, cache, settings)
    except InfrastructureError as error:
        raise InfrastructureError(
            f"what the slot `{item.slot}` was filled with is not at hand",
            code="slot-not-filled",
            context=f"expected `{item.name}` of sha256 {item.sha256}",
            hint=f"say where it is with `--model {item.slot}=PATH`",
        ) from error


def _refuse_unknown_slots(blueprint: Blueprint, models: Mapping[str, str]) -> None:
    slots = sorted({item.slot for item in blueprint.inputs if item.slot is not None})
    for slot in models:
        if slot in slots:
            continue
        raise MalformedError(
            f"the blueprint has no slot `{slot}`",
            code="no-such-slot",
            context=f"its slots: {', '.join(slots)}" if slots else "none of its `[[model]]` has a `slot`",
            hint="name one of them" if slots else 'give a `[[model]]` in the blueprint a `slot = "NAME"`',
        )


def pin_predictions(folders: tuple[Path, ...]) -> tuple[str, ...]:
    """Return the tree digest of what each replicate left; a bundle has no folder where that was nothing."""
    nothing = sha256_hex(sums_text(()))
    return tuple(
        read_tree(folder, what="predictions").sha256 if folder.is_dir() else nothing for folder in folders
    )
