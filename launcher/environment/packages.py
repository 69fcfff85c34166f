"""What an inventory of an image says: its packages, where each came from, and what could not be read."""

from typing import Literal, get_args

from msgspec import Struct

from launcher.environment.facts import Fact

Ecosystem = Literal["deb", "rpm", "apk", "conda", "pypi", "npm"]
ECOSYSTEMS: tuple[Ecosystem, ...] = get_args(Ecosystem)
HashName = Literal["MD5", "SHA-1", "SHA-256", "SHA-512"]


class Package(Struct, frozen=True):
    """One installed package; `path` is the file that says so, `layer` the diff_id of what brought it.

    `licence` holds names as they are declared, or one SPDX expression where `is_expression`. `qualifiers` are
    those of its package URL; `origin` are further words about where it came from, `url` and `hashes` what it
    was installed from, where that was recorded.
    """

    ecosystem: Ecosystem
    name: str
    version: str
    path: str
    layer: str = ""
    namespace: str = ""
    qualifiers: tuple[tuple[str, str], ...] = ()
    licences: tuple[str, ...] = ()
    is_expression: bool = False
    origin: tuple[tuple[str, str], ...] = ()
    url: str = ""
    hashes: tuple[tuple[HashName, str], ...] = ()


class Gap(Struct, frozen=True):
    """Something of the image that was not read, and why; then a list of packages is not complete."""

    ecosystem: Ecosystem
    path: str
    reason: str


class Inventory(Struct, frozen=True):
    """What was found in an image's layers; `system` is its `os-release`: ID, VERSION_ID and PRETTY_NAME."""

    system: tuple[str, str, str]
    packages: tuple[Package, ...]
    gaps: tuple[Gap, ...]
    facts: tuple[Fact, ...]
