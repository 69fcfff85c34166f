"""Turn a recipe and its locks into an OCI image layout: bit-identical from the same inputs."""

from collections.abc import Callable, Sequence
from pathlib import Path

from launcher.errors import InfrastructureError
from launcher.image.bytecode import Compiler, refuse_foreign_platform
from launcher.image.finished import BuiltImage, finished_image, inputs_digest
from launcher.image.oci import Layer, write_layer, write_layout
from launcher.image.places import Cache, Places, gather
from launcher.image.recipe import Artefact, Recipe, load_recipe
from launcher.image.staging import put_in_place, staging_folder
from launcher.image.tar_writer import layer_tar
from launcher.image.tree import Spool, Tree, image_path

_MERGED_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


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
    inputs = inputs_digest(recipe)
    if built := finished_image(destination, inputs):
        return built
    refuse_foreign_platform(recipe.platform)
    try:
        with staging_folder(destination, lambda: progress("waiting for another build")) as staging:
            if built := finished_image(destination, inputs):
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
    built = finished_image(destination, inputs)
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
        tree.add_file(image_path(path), spool.store(text.lstrip("\n").encode()))
    for path, target in recipe.links.items():
        tree.add_symlink(image_path(path), target)
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
