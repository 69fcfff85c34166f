"""Find an image by its digest: its pins, and an OCI layout that holds it; names never matter."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from msgspec import Struct, to_builtins

from launcher.canonical import canonical_bytes, parse_json
from launcher.errors import EvalctlError, InfrastructureError
from launcher.sources.inputs import FetchSettings, local_path
from launcher.sources.layout import Layout, open_layout, pin_image
from launcher.spec.blueprint import Image
from launcher.spec.bundle import SUMS
from launcher.spec.image import ImagePins
from launcher.store.cache import Cache
from launcher.store.files import write_atomically
from launcher.store.home import make_private

# Where a clone of evalctl builds the layouts of its own recipes.
_OWN = Path(__file__).resolve().parent.parent.parent / "images"


class PinnedImage(Struct, frozen=True):
    """An image's pins, and the layout it can be loaded from where one is at hand."""

    pins: ImagePins
    layout: Layout | None
    tried: tuple[str, ...] = ()
    hint: str | None = None

    def require_layout(self) -> Layout:
        """Return the layout; raises `InfrastructureError` (`image-not-found`) where there is none."""
        if self.layout is None:
            raise _not_found(self.pins.manifest, self.tried, self.hint)
        return self.layout


def find_image(image: Image, cache: Cache, settings: FetchSettings) -> PinnedImage:
    """Return the pins of `image`: from the first of its places that has it, or remembered.

    The digest decides; a place whose bytes are not what the digest says is an error, not a reason to go on.
    Raises `InfrastructureError` (`image-not-found`, `image-digest-mismatch`).
    """
    tried = tuple(f"{place.transport}:{place.location}" for place in image.places)
    known = remembered_pins(image.digest, image.platform, cache)
    for place in image.places:
        if place.transport == "oci" and (path := local_path(place.location, settings.base)).exists():
            with _passing_over_the_absent():
                layout = open_layout(path)
                pins = pin_image(layout, image.digest, image.platform)
                if known is None:
                    remember_pins(pins, cache)
                return PinnedImage(pins, layout, tried)
    if known is None:
        raise _not_found(image.digest, tried, advice(image, settings.base))
    return PinnedImage(known, None, tried, advice(image, settings.base))


@contextmanager
def _passing_over_the_absent() -> Iterator[None]:
    """Go on where a place lacks the image; bytes that are not their digest are an error all the same."""
    try:
        yield
    except InfrastructureError as error:
        if error.code != "image-not-found":
            raise


def _memory(digest: str, platform: str, cache: Cache) -> Path:
    return cache.root / "images" / f"{digest.removeprefix('sha256:')}-{platform.replace('/', '-')}.json"


def remembered_pins(digest: str, platform: str, cache: Cache) -> ImagePins | None:
    """Return the pins that were read from the digest's own bytes before, or None."""
    try:
        table = parse_json(_memory(digest, platform, cache).read_bytes(), what="remembered pins")
        pins = ImagePins(**{**table, "diff_ids": tuple(table["diff_ids"])})
    except (OSError, EvalctlError, TypeError, KeyError):
        return None
    return pins if digest in (pins.index, pins.manifest) else None


def remember_pins(pins: ImagePins, cache: Cache) -> None:
    """Keep pins that were read from a layout's own bytes: from now on an engine with the image is enough."""
    path = _memory(pins.named, pins.platform, cache)
    make_private(path.parent)
    write_atomically(path, canonical_bytes(to_builtins(pins)))


def advice(image: Image, base: Path, own: Path = _OWN) -> str:
    """Return what brings the image to the first place that is looked at, as a command where one does."""
    local = [local_path(place.location, base) for place in image.places if place.transport == "oci"]
    if (base / SUMS).is_file():
        # Nothing is ever put into a bundle, and its folder is where its paths start when no other is named.
        return "name the folder of its blueprint with `--blueprint-dir`"
    if not local:
        return (
            "put its layout, made with `evalctl image build DIR`, beside the blueprint; name it in `mirrors`"
        )
    if local[0].exists():
        return f"`{local[0]}` holds another image: look with `evalctl image inspect oci:{local[0]}`"
    built = next((path for path in sorted(own.glob("*/layout")) if _lists(path, image.digest)), None)
    if built is not None:
        return f"evalctl's own is it: `evalctl image load {quote(str(built))}`"
    if (local[0].parent / "recipe.toml").is_file():
        return f"build it with `evalctl image build {quote(str(local[0].parent))}`"
    return (
        f"put its layout, or a link to it, at `{local[0]}` (`evalctl image build DIR` makes one), "
        "or name the blueprint's folder with `--blueprint-dir`"
    )


def _lists(layout: Path, digest: str) -> bool:
    try:
        return digest in (layout / "index.json").read_text()
    except (OSError, UnicodeDecodeError):
        return False


def _not_found(digest: str, tried: tuple[str, ...], hint: str | None) -> InfrastructureError:
    return InfrastructureError(
        f"the image `{digest}` is not to be had",
        code="image-not-found",
        context=f"tried {', '.join(tried)}; this version reads OCI layouts (`oci:PATH`), no registry",
        hint=hint,
    )
