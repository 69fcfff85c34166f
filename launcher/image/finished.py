"""Tell whether a layout already is what a recipe would give, so that it need not be built again."""

from pathlib import Path
from typing import Any

from msgspec import Struct

from launcher.canonical import parse_json
from launcher.digest import digest_of
from launcher.errors import EvalctlError
from launcher.image.oci import INPUTS_ANNOTATION
from launcher.image.recipe import BuildStep, Recipe
from launcher.sources.layout_files import blob_name

_BUILDER = "1"  # raise it with every change that moves an image's bytes


class BuiltImage(Struct, frozen=True):
    """What was built: `digest` is the manifest's, which blueprints pin."""

    digest: str
    config: str
    diff_ids: tuple[str, ...]
    layout: Path


def inputs_digest(recipe: Recipe) -> str:
    """Return the digest of all that decides the image's bytes, the builder's versions among it."""
    from importlib.metadata import version

    return digest_of(f"{_BUILDER}\n{version('installer')}\n{recipe.inputs}\n".encode())


def builder_inputs(recipe: Recipe, step: BuildStep) -> str:
    """Return the digest of all that decides the bytes of the compiler's own image."""
    packages = [f"{package.name} {package.version} {package.sha256}" for package in step.packages]
    kept = [*step.package_filter.exclude, "", *step.package_filter.keep]
    lines = [_BUILDER, recipe.platform, str(recipe.time), *packages, "", *kept]
    return digest_of("\n".join(lines).encode())


def finished_image(layout: Path, inputs: str) -> BuiltImage | None:
    """Return what `layout` holds if it was built from `inputs` and is complete.

    Manifest and configuration are hashed, layers only measured: whoever loads them hashes them.
    """
    try:
        entry = parse_json((layout / "index.json").read_bytes())["manifests"][0]
        if entry["annotations"][INPUTS_ANNOTATION] != inputs or not (layout / "oci-layout").is_file():
            return None
        manifest = _document(layout, entry)
        diff_ids = tuple(_document(layout, manifest["config"])["rootfs"]["diff_ids"])
        if any(_blob(layout, layer).stat().st_size != layer["size"] for layer in manifest["layers"]):
            return None
        return BuiltImage(entry["digest"], manifest["config"]["digest"], diff_ids, layout)
    except (OSError, EvalctlError, LookupError, TypeError, ValueError):
        return None


def _document(layout: Path, descriptor: Any) -> Any:
    data = _blob(layout, descriptor).read_bytes()
    if digest_of(data) != descriptor["digest"]:
        raise ValueError("other bytes than the digest says")
    return parse_json(data)


def _blob(layout: Path, descriptor: Any) -> Path:
    return layout / blob_name(str(descriptor["digest"]))
