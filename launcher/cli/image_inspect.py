"""`evalctl image inspect`: what an image is, from a layout, a recipe folder or the engine."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from launcher.canonical import parse_json
from launcher.cli.options import Json
from launcher.cli.output import print_json
from launcher.errors import MalformedError
from launcher.image.operators import LABEL
from launcher.report.text import one_line
from launcher.sources.layout import Layout, document_blob, image_layers, only_digest, open_layout, pin_image
from launcher.spec.image import PLATFORM, ImagePins
from launcher.store.home import find_home

if TYPE_CHECKING:
    from launcher.inventory.kept import Contents

_ENGINE = "docker:"
_WORDS = {"deb": "debian", "pypi": "python"}


def inspect(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="A layout (folder or tar), a recipe's folder, oci:PATH@DIGEST or docker:NAME."
        ),
    ],
    sbom: Annotated[
        bool, typer.Option("--sbom", help="Print the bill of materials alone, as a bundle holds it.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Print an image's digests, labels and packages.

    `docker:NAME` says what the engine holds under a name or Id; what a blueprint pins is the digest of a
    layout, or of a registry, never of the engine. `--sbom` prints CycloneDX 1.6: every package that is found
    in the layers, where it came from, and what could not be read.
    """
    held = reference.startswith(_ENGINE)
    if sbom:
        print(_bill_of(reference).decode(), end="")
        return 0
    found = _held(reference.removeprefix(_ENGINE)) if held else _layout(reference)
    print_json(found) if as_json else _print(found)
    return 0


def _bill_of(reference: str) -> bytes:
    if reference.startswith(_ENGINE):
        raise MalformedError(
            "an engine's name pins no image, so there is no bill of materials of it",
            code="image-not-pinned",
            hint="make a layout of what `docker save NAME` writes: `evalctl image import TAR --out DIR`",
        )
    return _contents(*_opened(reference)[1:]).sbom


def _held(name: str) -> dict[str, Any]:
    from launcher.engines.docker_images import stated_image

    stated = stated_image(name)
    return {
        "id": stated.id,
        "diff_ids": list(stated.diff_ids),
        "platform": stated.platform,
        "created": stated.created,
        "size": stated.size,
        **_labels(stated.labels),
    }


def _layout(reference: str) -> dict[str, Any]:
    recipe, layout, pins = _opened(reference)
    config = parse_json(document_blob(layout, pins.config), what="the configuration")
    layers = image_layers(layout, pins)
    return {
        "digest": pins.named,
        "index": pins.index,
        "manifest": pins.manifest,
        "config": pins.config,
        "diff_ids": list(pins.diff_ids),
        "platform": pins.platform,
        "created": config.get("created"),
        "size": sum(layer.size for layer in layers),
        "packages": _counts(_contents(layout, pins).sbom),
        "up_to_date": _is_up_to_date(recipe, layout) if recipe else None,
        **_labels(_table(_table(config.get("config")).get("Labels"))),
    }


def _opened(reference: str) -> tuple[Path | None, Layout, ImagePins]:
    """Return the recipe's folder where there is one, the layout, and the pins of its image."""
    path, digest = _place(reference)
    recipe = path if (path / "recipe.toml").is_file() else None
    is_built_there = (path / "layout" / "oci-layout").is_file() and not (path / "oci-layout").exists()
    layout = open_layout(path / "layout" if recipe or is_built_there else path)
    return recipe, layout, pin_image(layout, digest or only_digest(layout), PLATFORM)


def _contents(layout: Layout, pins: ImagePins) -> "Contents":
    """Return what is in the image; raises `InfrastructureError` where its layers cannot be read."""
    from launcher.inventory.kept import known_contents, layout_inventory
    from launcher.store.cache import Cache

    return known_contents(pins, Cache(find_home().cache), lambda: layout_inventory(layout, pins))


def _counts(sbom: bytes) -> dict[str, int]:
    """Return how many packages there are of each ecosystem; of Debian and Python also where none."""
    from launcher.environment.sbom_reading import listed_packages

    counted = {
        _WORDS.get(listed.ecosystem, listed.ecosystem): listed.count for listed in listed_packages(sbom)
    }
    return {"debian": 0, "python": 0, **counted}


def _table(value: Any) -> dict[str, Any]:
    """Return a JSON object as it is, and an empty one for whatever else stands in its place."""
    return value if isinstance(value, dict) else {}


def _place(reference: str) -> tuple[Path, str | None]:
    """Split `oci:PATH@sha256:...`; both `oci:` and the digest may be missing."""
    path, at, digest = reference.removeprefix("oci:").rpartition("@sha256:")
    return (Path(path), f"sha256:{digest}") if at else (Path(digest), None)


def _is_up_to_date(recipe: Path, layout: Layout) -> bool:
    """Say whether the layout was built from the recipe as it is now."""
    from launcher.image.finished import finished_image, inputs_digest
    from launcher.image.recipe import load_recipe

    return finished_image(layout.path, inputs_digest(load_recipe(recipe))) is not None


def _labels(labels: Mapping[str, Any]) -> dict[str, Any]:
    """Return labels, and apart from them the record of what was compiled for the image."""
    prefix = f"{LABEL}."
    own = {key: str(value) for key, value in labels.items() if not key.startswith(prefix)}
    build = {key.removeprefix(prefix): str(value) for key, value in labels.items() if key.startswith(prefix)}
    return {"labels": own, "build": build or None}


def _print(found: Mapping[str, Any]) -> None:
    """Print a line for each thing known, in a fixed order."""
    for key in ("id", "index", "manifest", "config"):
        if key in found:
            print(f"{key:<9} {found[key] or '-'}")
    for diff_id in found["diff_ids"]:
        print(f"layer     {diff_id}")
    print(f"platform  {one_line(str(found['platform']))}")
    print(f"created   {one_line(str(found['created'] or '-'))}")
    print(f"size      {found['size'] / 1e6:.1f} MB")
    if counts := found.get("packages"):
        words = {"debian": "Debian", "python": "Python"}
        print("packages  " + ", ".join(f"{count} {words.get(name, name)}" for name, count in counts.items()))
    if found.get("up_to_date") is not None:
        print(f"recipe    {'this layout is of it' if found['up_to_date'] else 'changed since; build anew'}")
    for key, value in sorted(found["labels"].items()):
        print(f"label     {one_line(f'{key}={value}')}")
    for key, value in sorted((found["build"] or {}).items()):
        print(f"built     {one_line(f'{key}: {value}')}")
