"""Resolve a blueprint: have everything it names at hand, by digest, and pin it in a lock."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from launcher.errors import InfrastructureError
from launcher.sources.code import CodeTree, fetch_code
from launcher.sources.images import PinnedImage, find_image
from launcher.sources.inputs import FetchSettings, fetch_input
from launcher.spec.blueprint import Blueprint
from launcher.spec.lock import Lock, Pins, make_lock
from launcher.store.cache import Cache


class Resolution(Struct, frozen=True):
    """A lock and where on this machine its image, code and inputs are."""

    blueprint: Blueprint
    lock: Lock
    image: PinnedImage
    code: CodeTree
    inputs: Mapping[str, Path]


def resolve(blueprint: Blueprint, cache: Cache, settings: FetchSettings) -> Resolution:
    """Fetch and check what `blueprint` names, and return its lock: the same bytes on every machine.

    Raises `InfrastructureError` when something is not to be had, or is not what its digest says.
    """
    image = find_image(blueprint.image, cache, settings)
    code = fetch_code(blueprint.code, cache, settings)
    inputs = {item.name: fetch_input(item, cache, settings) for item in blueprint.inputs}
    sizes = {name: path.stat().st_size for name, path in inputs.items()}
    lock = make_lock(blueprint, Pins(image.pins, code.pins, sizes))
    return Resolution(blueprint, lock, image, code, inputs)


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
