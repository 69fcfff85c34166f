"""Make the inventory of an image from its layers, lowest first."""

from collections.abc import Iterable, Iterator
from typing import Final

from launcher.environment.facts import Fact
from launcher.environment.packages import ECOSYSTEMS, Gap, Inventory, Package
from launcher.inventory.files import Files
from launcher.inventory.languages import language_packages
from launcher.inventory.layers import Budget, Layer, read_layer
from launcher.inventory.software import software_facts
from launcher.inventory.system import system_of, system_packages

MOST_PACKAGES: Final = 10_000
_MOST_GAPS: Final = 100


def read_inventory(layers: Iterable[tuple[str, Iterable[bytes]]]) -> Inventory:
    """Return what the layers hold together; each is a diff_id and the chunks of its uncompressed tar.

    Whoever gives the chunks proves them at their end. Raises `InfrastructureError` for what is no tar.
    """
    budget, files = Budget(), Files()
    for diff_id, chunks in layers:
        files.apply(read_layer(chunks, budget), diff_id)
    return inventory_of(files)


def merged(layers: Iterable[tuple[str, Layer]]) -> Inventory:
    """Return what layers that were read before, in whatever order, hold together; given lowest first."""
    files = Files()
    for diff_id, layer in layers:
        files.apply(layer, diff_id)
    return inventory_of(files)


def inventory_of(files: Files) -> Inventory:
    """Return the packages, gaps and facts that `files` tell, in a fixed order, none twice."""
    system = system_of(files)
    found = (*system_packages(files), *language_packages(files))
    packages = {_identity(each): each for each in found if isinstance(each, Package)}
    ordered = [packages[key] for key in sorted(packages)]
    gaps = sorted({each for each in found if isinstance(each, Gap)}, key=_place)
    if len(ordered) > MOST_PACKAGES:
        left_out = {each.ecosystem for each in ordered[MOST_PACKAGES:]}
        gaps[:0] = [
            Gap(name, "", f"there are more than {MOST_PACKAGES} packages") for name in sorted(left_out)
        ]
    kept = tuple(ordered[:MOST_PACKAGES])
    facts = (*_summary(system, kept), *software_facts(files, kept))
    return Inventory(system, kept, tuple(gaps[:_MOST_GAPS]), facts)


def _identity(package: Package) -> tuple[object, ...]:
    ecosystem = ECOSYSTEMS.index(package.ecosystem)
    return (ecosystem, package.namespace, package.name, package.version, package.qualifiers, package.path)


def _place(gap: Gap) -> tuple[str, str, str]:
    return gap.ecosystem, gap.path, gap.reason


def _summary(system: tuple[str, str, str], packages: tuple[Package, ...]) -> Iterator[Fact]:
    if system[2] or system[0]:
        yield Fact("image.operating-system", system[2] or " ".join(system[:2]), "image")
    counts = {name: sum(each.ecosystem == name for each in packages) for name in ECOSYSTEMS}
    yield Fact("image.packages", {name: count for name, count in counts.items() if count}, "image")
