"""Turn a recipe and its locks into an OCI image layout: bit-identical from the same inputs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.digest import digest_of, sha256_hex
from launcher.errors import EvalctlError, InfrastructureError
from launcher.image.bytecode import Compiler, refuse_foreign_platform
from launcher.image.oci import INPUTS_ANNOTATION, Layer, write_layer, write_layout
from launcher.image.places import Cache, Places, gather
from launcher.image.recipe import Artefact, Recipe, load_recipe
from launcher.image.staging import put_in_place, staging_folder
from launcher.image.tar_writer import layer_tar
from launcher.image.tree import Spool, Tree

_BUILDER = "1"  # raise it with every change that moves an image's bytes
_MERGED_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """What was built: `digest` is the manifest's, which blueprints pin."""

    digest: str
    config: str
    diff_ids: tuple[str, ...]
    layout: Path


def build_image(
    recipe_folder: Path,
    destination: Path,
    *,
    cache: Path,
    mirrors: Sequence[str] = (),
    progress: Callable[[str], None],
) -> BuiltImage:
    """Build the recipe in `recipe_folder` as a layout at `destination`; a complete one is used again.

    `cache` is a folder of packages by SHA-256, `mirrors` further places to look for them. Raises
    `MalformedError` for a bad recipe, `InfrastructureError` where a package is not to be had or not right.
    """
    recipe = load_recipe(recipe_folder)
    inputs = _inputs(recipe)
    if built := _finished(destination, inputs):
        return built
    refuse_foreign_platform(recipe.platform)
    try:
        with staging_folder(destination, lambda: progress("waiting for another build")) as staging:
            if built := _finished(destination, inputs):
                return built
            gather(recipe, Places(Cache(cache), mirrors, progress))
            layout = staging / "layout"
            layout.mkdir()
            write_layout(layout, recipe, _layers(recipe, Cache(cache), layout, progress), inputs)
            put_in_place(layout, destination)
    except OSError as error:
        raise InfrastructureError(
            f"the image could not be written to `{destination}`: {error}", code="image-build-failed"
        ) from error
    built = _finished(destination, inputs)
    if built is None:
        raise InfrastructureError(f"`{destination}` did not stay as built", code="image-build-failed")
    return built


def _layers(recipe: Recipe, cache: Cache, layout: Path, progress: Callable[[str], None]) -> list[Layer]:
    import tempfile

    staging = layout.parent
    with tempfile.TemporaryFile(dir=staging) as stream:
        spool = Spool(stream)
        progress(f"unpacking {len(recipe.packages)} packages")
        system = _system_tree(recipe, cache, spool)
        progress(f"installing {len(recipe.wheels)} wheels")
        libraries = _wheel_tree(recipe, cache, spool, system)
        progress("compiling bytecode with the image's own interpreter")
        rootfs = staging / "rootfs"
        rootfs.mkdir()
        compiler = Compiler(system, spool, recipe.python, recipe.platform, rootfs.resolve())
        for tree in (system, libraries):
            compiler.add_bytecode(tree)
        progress("writing layers")
        trees = (
            (system, f"evalctl image build: {len(recipe.packages)} Debian packages"),
            (libraries, f"evalctl image build: {len(recipe.wheels)} wheels"),
        )
        return [
            write_layer(layout, layer_tar(tree.nodes, spool, time=recipe.time), label)
            for tree, label in trees
        ]


def _system_tree(recipe: Recipe, cache: Cache, spool: Spool) -> Tree:
    """Return the first layer: merged-usr links, Debian packages, then the recipe's own files and links."""
    from launcher.image.deb import unpack_deb

    tree = Tree()
    keep = recipe.package_filter.predicate()
    for artefact in recipe.packages:
        with cache.open(artefact) as stream:
            control = unpack_deb(stream.read(), tree, spool, keep)
        _refuse_other(artefact, control.name, control.version)
    for folder in _MERGED_FOLDERS:
        if tree.get(f"usr/{folder}") is not None:
            tree.add_symlink(folder, f"usr/{folder}")
    for path, text in recipe.files.items():
        tree.add_file(path, spool.store(text.lstrip("\n").encode()))
    for path, target in recipe.links.items():
        tree.add_symlink(path, target)
    return tree


def _wheel_tree(recipe: Recipe, cache: Cache, spool: Spool, system: Tree) -> Tree:
    from launcher.image.wheel import TreeDestination, install_wheel

    tree = Tree(below=system.nodes)
    destination = TreeDestination(
        tree=tree,
        spool=spool,
        keep=recipe.wheel_filter.predicate(),
        site_packages=recipe.python.site_packages.strip("/"),
        prefix=recipe.python.prefix.strip("/"),
        interpreter=recipe.python.interpreter,
    )
    for artefact in recipe.wheels:
        with cache.open(artefact) as stream:
            install_wheel(stream, artefact.file, destination)
    return tree


def _refuse_other(artefact: Artefact, name: str, version: str) -> None:
    if (artefact.name, artefact.version) != (name, version):
        raise InfrastructureError(
            f"the lock's `{artefact.name}` is another package",
            code="package-malformed",
            context=f"expected {artefact.name} {artefact.version}, got {name} {version}",
        )


def _inputs(recipe: Recipe) -> str:
    """Return the digest of all that decides the image's bytes, the builder's versions among it."""
    from importlib.metadata import version

    return digest_of(f"{_BUILDER}\n{version('installer')}\n{recipe.inputs}\n".encode())


def _finished(layout: Path, inputs: str) -> BuiltImage | None:
    """Return what `layout` holds if it was built from `inputs` and is complete.

    Manifest and configuration are hashed, layers only measured: whoever loads them hashes them.
    """
    from launcher.canonical import parse_json

    def blob(descriptor: Any) -> Any:
        data = (layout / "blobs" / "sha256" / descriptor["digest"][7:]).read_bytes()
        if sha256_hex(data) != descriptor["digest"][7:]:
            raise ValueError
        return parse_json(data)

    try:
        entry = parse_json((layout / "index.json").read_bytes())["manifests"][0]
        if entry["annotations"][INPUTS_ANNOTATION] != inputs or not (layout / "oci-layout").is_file():
            return None
        manifest = blob(entry)
        diff_ids = tuple(blob(manifest["config"])["rootfs"]["diff_ids"])
        for layer in manifest["layers"]:
            if (layout / "blobs" / "sha256" / layer["digest"][7:]).stat().st_size != layer["size"]:
                return None
    except (OSError, EvalctlError, LookupError, TypeError, ValueError):
        return None
    return BuiltImage(entry["digest"], manifest["config"]["digest"], diff_ids, layout)
