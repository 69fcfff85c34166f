"""Give what an image contains as its bundle tells it: kept in the home, or read from its layers."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, to_builtins

from launcher.canonical import canonical_bytes, parse_json
from launcher.digest import sha256_hex
from launcher.environment.facts import Fact
from launcher.environment.packages import Inventory
from launcher.environment.sbom import FORMAT, sbom_bytes
from launcher.errors import EvalctlError
from launcher.sources.layout import Layout, layer_stream
from launcher.spec.image import ImagePins
from launcher.store.cache import Cache
from launcher.store.files import write_atomically
from launcher.store.home import make_private

_LARGEST: Final = 256 << 20
_CODE: Final = re.compile(r"[a-z0-9-]{1,60}")


class Contents(Struct, frozen=True):
    """An image's bill of materials, and facts about what it computes with; `unread` says why not."""

    sbom: bytes
    facts: tuple[Fact, ...] = ()
    unread: str = ""


def contents_of(image: ImagePins, cache: Cache, read: Callable[[], Inventory]) -> Contents:
    """Return what `image` contains; `read` is asked where the home does not know it yet.

    What cannot be read is said in the bill of materials and not kept; nothing is raised for it.
    The reason holds no path or other word of this machine.
    """
    try:
        return known_contents(image, cache, read)
    except EvalctlError as error:
        reason = f"the layers could not be read ({error.code})"
        return Contents(sbom_bytes(image, None, reason), (), reason)


def known_contents(image: ImagePins, cache: Cache, read: Callable[[], Inventory]) -> Contents:
    """Return what `image` contains, as `contents_of` does, but raise what `read` raises."""
    if (kept := kept_contents(image, cache)) is not None:
        return kept
    inventory = read()
    contents = Contents(sbom_bytes(image, inventory), inventory.facts)
    _keep(image, cache, contents)
    return contents


def kept_contents(image: ImagePins, cache: Cache) -> Contents | None:
    """Return what was read of the image before, None where nothing whole is kept."""
    try:
        with _place(image, cache).open("rb") as stream:
            digest, _, data = stream.read(_LARGEST).partition(b"\n")
    except OSError:
        return None
    if sha256_hex(data) != digest.decode(errors="replace"):
        return None
    table = parse_json(data, what="a kept inventory")
    facts = tuple(Fact(item["name"], item["value"], item["source"]) for item in table["facts"])
    return Contents(table["sbom"].encode(), facts)


def layout_inventory(layout: Layout, image: ImagePins) -> Inventory:
    """Return what the layers of a layout hold, each proven; raises `InfrastructureError`."""
    from launcher.inventory.read import read_inventory

    return read_inventory(
        (diff_id, layer_stream(layout, image, at)) for at, diff_id in enumerate(image.diff_ids)
    )


def exported_inventory(chunks: Iterable[bytes], image: ImagePins) -> Inventory:
    """Return what the layers in an engine's export hold, each proven; raises `InfrastructureError`."""
    from launcher.inventory.export import exported_layers
    from launcher.inventory.read import merged

    return merged(exported_layers(chunks, image))


def _place(image: ImagePins, cache: Cache) -> Path:
    return cache.root / "inventories" / f"{image.manifest.removeprefix('sha256:')}-{FORMAT}"


def _keep(image: ImagePins, cache: Cache, contents: Contents) -> None:
    """Keep it for the next launch; a full disk is no reason to fail this one."""
    record: dict[str, Any] = {"sbom": contents.sbom.decode(), "facts": to_builtins(contents.facts)}
    data = canonical_bytes(record)
    path = _place(image, cache)
    try:
        make_private(path.parent)
        write_atomically(path, f"{sha256_hex(data)}\n".encode() + data)
    except (OSError, EvalctlError):
        path.unlink(missing_ok=True)
