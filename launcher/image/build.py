"""Turn a recipe and its locks into an OCI image layout: bit-identical from the same inputs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launcher.errors import InfrastructureError
from launcher.image.bytecode import Compiler, refuse_foreign_platform
from launcher.image.finished import BuiltImage, finished_image, inputs_digest
from launcher.image.layers import system_tree, wheel_tree
from launcher.image.oci import Description, Layer, write_layer, write_layout
from launcher.image.operators import Operators, compile_operators
from launcher.image.places import Cache, Places, gather
from launcher.image.recipe import Recipe, load_recipe
from launcher.image.staging import put_in_place, staging_folder
from launcher.image.tar_writer import layer_tar
from launcher.image.tree import Spool, Tree
from launcher.image.workshop import Workshop


def build_image(recipe_folder: Path, destination: Path, workshop: Workshop) -> BuiltImage:
    """Build the recipe in `recipe_folder` as a layout at `destination`; a complete one is used again.

    A folder with a Dockerfile and no recipe.toml is built by BuildKit. Raises `MalformedError` for a bad
    recipe, `InfrastructureError` where a package is not to be had or not right, `CheckFailedError` where the
    command of `[build]` fails.
    """
    if is_dockerfile_folder(recipe_folder):
        from launcher.image.buildkit import build_dockerfile

        with _writing(destination):
            return build_dockerfile(recipe_folder, destination, workshop)
    recipe = load_recipe(recipe_folder)
    inputs = inputs_digest(recipe)
    if built := finished_image(destination, inputs):
        return built
    with _writing(destination):
        waiting = "waiting for another build"
        with staging_folder(destination, lambda: workshop.progress(waiting)) as staging:
            if built := finished_image(destination, inputs):
                return built
            layout = staging / "layout"
            if workshop.layouts is None or not workshop.layouts.take(inputs, layout):
                _build(recipe, inputs, layout, workshop)
            put_in_place(layout, destination)
    built = finished_image(destination, inputs)
    if built is None:
        raise InfrastructureError(f"`{destination}` did not stay as built", code="image-build-failed")
    return built


def is_dockerfile_folder(folder: Path) -> bool:
    """Say whether `folder` holds a Dockerfile and no recipe."""
    return not (folder / "recipe.toml").exists() and (folder / "Dockerfile").is_file()


@contextmanager
def _writing(destination: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InfrastructureError(
            f"the image could not be written to `{destination}`: {error}", code="image-build-failed"
        ) from error


def _build(recipe: Recipe, inputs: str, layout: Path, workshop: Workshop) -> None:
    refuse_foreign_platform(recipe.platform)
    gather(recipe, Places(Cache(workshop.packages), workshop.mirrors, workshop.progress))
    step = recipe.build
    operators = compile_operators(recipe, step, workshop, layout.parent) if step else None
    layout.mkdir()
    layers = _layers(recipe, operators, layout, workshop)
    write_layout(layout, _description(recipe, operators), layers, inputs)
    if workshop.layouts is not None:
        workshop.layouts.keep(inputs, layout)


def _description(recipe: Recipe, operators: Operators | None) -> Description:
    from msgspec.structs import replace

    labels = {**recipe.config.labels, **(operators.labels if operators else {})}
    return Description(recipe.platform, recipe.time, replace(recipe.config, labels=labels))


def _layers(recipe: Recipe, operators: Operators | None, layout: Path, workshop: Workshop) -> list[Layer]:
    import tempfile

    progress, staging, cache = workshop.progress, layout.parent, Cache(workshop.packages)
    with tempfile.TemporaryFile(dir=staging) as stream:
        spool = Spool(stream)
        progress(f"unpacking {len(recipe.packages)} packages")
        system = system_tree(recipe, cache, spool)
        progress(f"installing {len(recipe.wheels)} wheels")
        libraries = wheel_tree(recipe, cache, spool, system)
        progress("compiling bytecode with the image's own interpreter")
        rootfs = staging / "rootfs"
        rootfs.mkdir()
        compiler = Compiler(system, spool, recipe.python, recipe.platform, rootfs.resolve())
        for tree in (system, libraries):
            compiler.add_bytecode(tree)
        progress("writing layers")
        trees = [
            (system, f"{len(recipe.packages)} Debian packages"),
            (libraries, f"{len(recipe.wheels)} wheels"),
        ]
        if operators is not None:
            built = _operator_tree(operators, spool, system, libraries)
            trees.append((built, f"{len(operators.files)} compiled files"))
        return [
            write_layer(
                layout, layer_tar(tree.nodes, spool, time=recipe.time), f"evalctl image build: {label}"
            )
            for tree, label in trees
        ]


def _operator_tree(operators: Operators, spool: Spool, system: Tree, libraries: Tree) -> Tree:
    """Return the last layer: what the command of `[build]` left; what lies in a `bin` is executable."""
    tree = Tree(below={**system.nodes, **libraries.nodes})
    for path, data in operators.files.items():
        tree.add_file(path, spool.store(data), executable="bin" in path.split("/")[:-1])
    return tree
