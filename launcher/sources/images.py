"""Find an image by its digest: its pins, and an OCI layout that holds it; names never matter."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct, to_builtins

from launcher.canonical import canonical_bytes, parse_json
from launcher.errors import EvalctlError, InfrastructureError
from launcher.sources.inputs import FetchSettings, local_path
from launcher.sources.layout import Layout, open_layout, pin_image
from launcher.spec.blueprint import Image
from launcher.spec.image import ImagePins
from launcher.store.cache import Cache
from launcher.store.files import write_atomically
from launcher.store.home import make_private


class PinnedImage(Struct, frozen=True):
    """An image's pins, and the layout it can be loaded from where one is at hand."""

    pins: ImagePins
    layout: Layout | None
    tried: tuple[str, ...] = ()

    def require_layout(self) -> Layout:
        """Return the layout; raises `InfrastructureError` (`image-not-found`) where there is none."""
        if self.layout is None:
            raise _not_found(self.pins.manifest, self.tried)
        return self.layout


def find_image(image: Image, cache: Cache, settings: FetchSettings) -> PinnedImage:
    """Return the pins of `image`: from the first of its places that has it, or remembered.

    The digest decides; a place whose bytes are not what the digest says is an error, not a reason to go on.
    Raises `InfrastructureError` (`image-not-found`, `image-digest-mismatch`).
    """
    tried = tuple(f"{place.transport}:{place.location}" for place in image.places)
    known = remembered_pins(image, cache)
    for place in image.places:
        if place.transport == "oci" and (path := local_path(place.location, settings.base)).exists():
            with _passing_over_the_absent():
                layout = open_layout(path)
                pins = pin_image(layout, image.digest, image.platform)
                if known is None:
                    _remember(image, pins, cache)
                return PinnedImage(pins, layout, tried)
    if known is None:
        raise _not_found(image.digest, tried)
    return PinnedImage(known, None, tried)


@contextmanager
def _passing_over_the_absent() -> Iterator[None]:
    """Go on where a place lacks the image; bytes that are not their digest are an error all the same."""
    try:
        yield
    except InfrastructureError as error:
        if error.code != "image-not-found":
            raise


def _memory(image: Image, cache: Cache) -> Path:
    name = f"{image.digest.removeprefix('sha256:')}-{image.platform.replace('/', '-')}.json"
    return cache.root / "images" / name


def remembered_pins(image: Image, cache: Cache) -> ImagePins | None:
    """Return the pins that were read from the digest's own bytes before, or None."""
    try:
        table = parse_json(_memory(image, cache).read_bytes(), what="remembered pins")
        pins = ImagePins(**{**table, "diff_ids": tuple(table["diff_ids"])})
    except (OSError, EvalctlError, TypeError, KeyError):
        return None
    return pins if image.digest in (pins.index, pins.manifest) else None


def _remember(image: Image, pins: ImagePins, cache: Cache) -> None:
    path = _memory(image, cache)
    make_private(path.parent)
    write_atomically(path, canonical_bytes(to_builtins(pins)))


def _not_found(digest: str, tried: tuple[str, ...]) -> InfrastructureError:
    return InfrastructureError(
        f"the image `{digest}` is not to be had",
        code="image-not-found",
        context=f"tried {', '.join(tried)}; this version reads OCI layouts (`oci:PATH`), no registry",
        hint="build it (`evalctl image build DIR`), name its layout in `mirrors`, "
        "or name the blueprint's folder with `--blueprint-dir`",
    )
