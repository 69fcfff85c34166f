"""See what of a blueprint is at hand, and fetch nothing."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from launcher.errors import InfrastructureError
from launcher.sources.images import remembered_pins
from launcher.sources.inputs import FetchSettings, local_path, redacted
from launcher.sources.layout import Layout, image_layers, open_layout, pin_image
from launcher.sources.unpack import WHOLE, is_one_file
from launcher.spec.blueprint import Blueprint, Code, Image, ImageReference, Input
from launcher.spec.grammars import is_web
from launcher.spec.image import ImagePins
from launcher.spec.plan import PlannedCode, PlannedImage, PlannedInput, PlannedPlace, Whereabouts
from launcher.spec.services import service_image
from launcher.store.cache import Cache
from launcher.store.trees import size_of

UNKNOWN = "DIGEST"


class AtHand(Struct, frozen=True):
    """Where the image, the code, the inputs and the services' images of a blueprint are."""

    image: PlannedImage
    code: PlannedCode
    inputs: tuple[PlannedInput, ...]
    services: Mapping[str, PlannedImage] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[str, ...]:
        """What a resolution would have to bring here first."""
        absent = [] if self.image.is_sound else ["the image"]
        absent += [f"the image of `{name}`" for name, image in self.services.items() if not image.is_sound]
        absent += [] if self.code.status == "cached" else ["the code"]
        return (*absent, *(f"`{item.name}`" for item in self.inputs if item.status != "cached"))


def see(blueprint: Blueprint, cache: Cache, settings: FetchSettings) -> AtHand:
    """Look in the cache and at the places on this machine; no server is asked."""
    return AtHand(
        see_image(blueprint.image, cache, settings),
        see_code(blueprint.code, cache, settings),
        tuple(see_input(item, cache, settings) for item in blueprint.inputs),
        {
            service.name: see_image(service_image(service, blueprint), cache, settings)
            for service in blueprint.services
        },
    )


def see_image(image: Image, cache: Cache, settings: FetchSettings) -> PlannedImage:
    """Look at every place; the pins come from the first layout that holds the image, else remembered."""
    places: list[PlannedPlace] = []
    found: tuple[ImagePins, int] | None = None
    for place in image.places:
        seen, held = _see_place(place, image, settings)
        places.append(seen)
        found = found or held
    pins, size = found or (remembered_pins(image.digest, image.platform, cache), None)
    return PlannedImage(image.digest, image.platform, pins, tuple(places), size)


def see_code(code: Code, cache: Cache, settings: FetchSettings) -> PlannedCode:
    """Say where the commit's tree is."""
    cached = (code_folder(code, cache) / "facts.json").is_file()
    return PlannedCode(code.commit, redacted(code.git), _status(code.git, settings, cached=cached))


def code_folder(code: Code, cache: Cache) -> Path:
    """Return where the cache has the commit's `tree`, or will have it."""
    return cache.root / "code" / code.commit


def see_input(item: Input, cache: Cache, settings: FetchSettings) -> PlannedInput:
    """Say where an input is, and how many bytes it has as far as anybody has said."""
    places = (cache.place(item.sha256), cache.trees.place(item.sha256)) if item.sha256 else ()
    held = next((place for place in places if place.exists()), None)
    status = _status(item.uri, settings, cached=held is not None)
    size = size_of(held) if held else item.size
    if status == "local":
        size = size_of(local_path(item.uri, settings.base))
    return PlannedInput(item.name, item.kind, item.role, redacted(item.uri), item.sha256, status, size)


def input_place(item: Input, cache: Cache, settings: FetchSettings) -> Path:
    """Return where the cache has what is mounted of an input, or will have it."""
    sha256 = item.sha256 or UNKNOWN
    if item.unpack != "none":
        root = cache.trees.place(f"{item.unpack}-{sha256}")
        return root / WHOLE if is_one_file(item.unpack) else root
    tree = cache.trees.place(sha256)
    is_folder = tree.exists() or local_path(item.uri, settings.base).is_dir()
    return tree if is_folder else cache.place(sha256)


def _status(uri: str, settings: FetchSettings, *, cached: bool) -> Whereabouts:
    if cached:
        return "cached"
    if is_web(uri):
        return "missing" if settings.offline else "remote"
    return "local" if local_path(uri, settings.base).exists() else "missing"


def _see_place(
    place: ImageReference, image: Image, settings: FetchSettings
) -> tuple[PlannedPlace, tuple[ImagePins, int] | None]:
    name = f"{place.transport}:{place.location}"
    if place.transport != "oci":
        return PlannedPlace(place.location, "not asked", "a registry is asked by a launch alone"), None
    path = local_path(place.location, settings.base)
    if not path.exists():
        return PlannedPlace(name, "absent"), None
    try:
        layout = open_layout(path)
        pins = pin_image(layout, image.digest, image.platform)
        return PlannedPlace(name, "holds it"), (pins, _layer_bytes(layout, pins))
    except InfrastructureError as error:
        if error.code == "image-not-found":
            return PlannedPlace(name, "lacks it", error.message), None
        return PlannedPlace(name, "broken", error.message), None


def _layer_bytes(layout: Layout, pins: ImagePins) -> int:
    return sum({layer.digest: layer.size for layer in image_layers(layout, pins)}.values())
