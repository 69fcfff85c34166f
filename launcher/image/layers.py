"""Turn locked packages and wheels into the trees of an image's layers."""

from collections.abc import Iterable

from launcher.errors import InfrastructureError
from launcher.image.places import Cache
from launcher.image.recipe import Artefact, Filter, Recipe
from launcher.image.tree import Spool, Tree, image_path

_MERGED_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


def package_tree(packages: Iterable[Artefact], kept: Filter, cache: Cache, spool: Spool) -> Tree:
    """Return the tree of Debian packages, with the links of a merged /usr."""
    from launcher.image.deb import unpack_deb

    tree = Tree()
    keep = kept.predicate()
    for artefact in packages:
        with cache.open(artefact) as stream:
            control = unpack_deb(stream.read(), tree, spool, keep)
        _refuse_other(artefact, control.name, control.version)
    for folder in _MERGED_FOLDERS:
        if tree.get(f"usr/{folder}") is not None:
            tree.add_symlink(folder, f"usr/{folder}")
    return tree


def system_tree(recipe: Recipe, cache: Cache, spool: Spool) -> Tree:
    """Return the first layer: Debian packages, then the recipe's own files and links."""
    tree = package_tree(recipe.packages, recipe.package_filter, cache, spool)
    for path, data in recipe.files.items():
        tree.add_file(image_path(path), spool.store(data))
    for path, target in recipe.links.items():
        tree.add_symlink(image_path(path), target)
    return tree


def wheel_tree(recipe: Recipe, cache: Cache, spool: Spool, system: Tree) -> Tree:
    """Return the second layer: the wheels, installed for the image's interpreter."""
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
