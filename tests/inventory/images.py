"""Images of tests: layers of plain files, and what their inventory says."""

from pathlib import Path
from typing import Any

from launcher.environment.packages import Inventory, Package
from launcher.environment.sbom import sbom_bytes
from launcher.inventory.kept import layout_inventory
from launcher.sources.layout import open_only_image
from launcher.spec.image import PLATFORM, ImagePins
from tests.image.makers import make_layout, tar_of, text_file

SITE = "usr/lib/python3/dist-packages"
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"


def layer(files: dict[str, str], *members: Any) -> bytes:
    return tar_of(*(text_file(name, text) for name, text in files.items()), *members, compression="")


def metadata(name: str, version: str = "1.0", more: str = "") -> dict[str, str]:
    return {f"{SITE}/{name}-{version}.dist-info/METADATA": METADATA.format(name=name, version=version) + more}


def image(folder: Path, *layers: bytes) -> tuple[ImagePins, Inventory]:
    """Write a layout of these layers; return its pins and what is in it."""
    make_layout(folder, layers=list(layers))
    layout, pins = open_only_image(folder, PLATFORM)
    return pins, layout_inventory(layout, pins)


def names(inventory: Inventory) -> list[str]:
    return [package.name for package in inventory.packages]


def only(inventory: Inventory) -> Package:
    (package,) = inventory.packages
    return package


def sbom_of(folder: Path, *layers: bytes) -> bytes:
    return sbom_bytes(*image(folder, *layers))
