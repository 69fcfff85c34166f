"""Read the TOML of recipes and their locks, key by key, with the expected types."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from launcher.digest import is_sha256_hex
from launcher.errors import MalformedError
from launcher.spec.grammars import is_plain_path

# What Debian and Python packages are called, and nothing else: pip would take a name with an address in it
# for an order to fetch from there, and to run what it finds.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:!_-]*", re.ASCII)


class Artefact(Struct, frozen=True):
    """One locked file: a Debian package (`file` is its path below a mirror's root) or a wheel (its name)."""

    name: str
    version: str
    sha256: str
    size: int
    file: str


class Table(Struct, frozen=True):
    """One TOML table and its place, read key by key with the expected type."""

    values: dict[str, Any]
    where: str

    def text(self, key: str) -> str:
        """Return a string."""
        return str(self._typed(key, str))

    def integer(self, key: str) -> int:
        """Return a whole number from 0."""
        value = self._typed(key, int)
        if isinstance(value, bool) or value < 0:
            raise malformed(f"{self.where}: `{key}` is not a whole number from 0")
        return int(value)

    def table(self, key: str) -> "Table":
        """Return a table."""
        return Table(self._typed(key, dict), f"{self.where}: {key}")

    def strings(self, key: str) -> Mapping[str, str]:
        """Return a table of strings."""
        table: dict[str, str] = self._typed(key, dict)
        if not all(isinstance(value, str) for value in table.values()):
            raise malformed(f"{self.where}: `{key}` holds something other than strings")
        return table

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of strings; empty where there is none."""
        values = self.values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise malformed(f"{self.where}: `{key}` is not a list of strings")
        return tuple(values)

    def refuse_unknown(self, known: frozenset[str]) -> None:
        """Raise `MalformedError` for a key that is not in `known`."""
        if unknown := sorted(set(self.values) - known):
            raise malformed(f"{self.where}: `{unknown[0]}` is not one of {', '.join(sorted(known))}")

    def _typed(self, key: str, kind: type) -> Any:
        value = self.values.get(key)
        if not isinstance(value, kind):
            found = "missing" if value is None else f"{type(value).__name__}, not {kind.__name__}"
            raise malformed(f"{self.where}: `{key}` is {found}")
        return value


def read_bytes(path: Path) -> bytes:
    """Return the bytes of one of the recipe's own files."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise MalformedError(
            f"`{path}` cannot be read: {error.strerror}",
            code="recipe-not-found",
            hint="`evalctl image build FOLDER` wants recipe.toml, packages.lock and wheels.lock in FOLDER, "
            "or a Dockerfile",
        ) from error


def parse_table(data: bytes, path: Path) -> Table:
    """Return the TOML document that was read from `path`."""
    try:
        return Table(tomllib.loads(data.decode()), path.name)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise malformed(f"`{path}` is not TOML: {error}") from error


def locked_artefacts(document: Table, kind: str) -> tuple[Artefact, ...]:
    """Return the `[[kind]]` tables of a lock, in its order."""
    rows, file = document.values.get(kind), document.where
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise malformed(f"`{file}` has no `[[{kind}]]` tables")
    artefacts = tuple(_artefact(Table(row, f"{file}: {kind}[{at}]")) for at, row in enumerate(rows))
    names = [artefact.name for artefact in artefacts]
    if len(set(names)) != len(names):
        raise malformed(f"`{file}` names a {kind} twice")
    return artefacts


def _artefact(row: Table) -> Artefact:
    artefact = Artefact(
        row.text("name"), row.text("version"), row.text("sha256"), row.integer("size"), row.text("file")
    )
    if not is_sha256_hex(artefact.sha256):
        raise malformed(f"{row.where}: `sha256` is not 64 lowercase hexadecimal digits")
    if not is_plain_path(artefact.file):
        raise malformed(f"{row.where}: `file` is not a plain relative path")
    if not _NAME.fullmatch(artefact.name) or not _VERSION.fullmatch(artefact.version):
        raise malformed(f"{row.where}: `name` or `version` is not that of a package")
    return artefact


def malformed(message: str) -> MalformedError:
    """Return the error for a recipe, or a lock, that is not as it should be."""
    return MalformedError(
        message, code="recipe-malformed", hint="compare with images/eval-python/recipe.toml"
    )
