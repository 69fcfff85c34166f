"""Read a recipe (`recipe.toml`) and its locks: everything that decides an image's bytes."""

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from launcher.digest import is_sha256_hex, sha256_hex
from launcher.errors import MalformedError

SCHEMA = "evalctl/image-recipe/v1"

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


class Python(Struct, frozen=True):
    """The image's own interpreter and where its wheels go; absolute paths inside the image."""

    version: str
    interpreter: str
    standard_library: str
    prefix: str
    site_packages: str


class Config(Struct, frozen=True):
    """What the image's OCI configuration says."""

    user: str
    working_directory: str
    environment: tuple[str, ...]
    labels: Mapping[str, str]


class Filter(Struct, frozen=True):
    """Globs over paths in the image (`*` also crosses `/`): leave out `exclude`, except for `keep`."""

    exclude: tuple[str, ...]
    keep: tuple[str, ...]

    def predicate(self) -> Callable[[str], bool]:
        """Return whether a path stays."""
        import fnmatch
        import re

        def matcher(globs: tuple[str, ...]) -> re.Pattern[str]:
            return re.compile("|".join(map(fnmatch.translate, globs)) or r"(?!)")

        excluded, kept = matcher(self.exclude), matcher(self.keep)
        return lambda path: excluded.match(path) is None or kept.match(path) is not None


class Recipe(Struct, frozen=True):
    """A whole recipe; `inputs` is the digest of the recipe's and the locks' bytes."""

    name: str
    platform: str
    time: int
    config: Config
    python: Python
    package_filter: Filter
    wheel_filter: Filter
    files: Mapping[str, str]
    links: Mapping[str, str]
    packages: tuple[Artefact, ...]
    wheels: tuple[Artefact, ...]
    inputs: str


def load_recipe(folder: Path) -> Recipe:
    """Read `recipe.toml`, `packages.lock` and `wheels.lock` in `folder`.

    Raises `MalformedError` where one is missing or not as it should be.
    """
    texts = [_read(folder / name) for name in ("recipe.toml", "packages.lock", "wheels.lock")]
    recipe = _Table(_parse(texts[0], folder / "recipe.toml"), "recipe.toml")
    if recipe.text("schema") != SCHEMA:
        raise _malformed(f"`recipe.toml` has the schema `{recipe.text('schema')}`, not `{SCHEMA}`")
    packages, wheels, config, python = (
        recipe.table(key) for key in ("packages", "wheels", "config", "python")
    )
    return Recipe(
        name=recipe.text("name"),
        platform=recipe.text("platform"),
        time=recipe.integer("source-date-epoch"),
        config=Config(
            user=config.text("user"),
            working_directory=config.text("working-directory"),
            environment=tuple(f"{key}={value}" for key, value in config.strings("environment").items()),
            labels=config.strings("labels"),
        ),
        python=Python(
            version=python.text("version"),
            interpreter=python.text("interpreter"),
            standard_library=python.text("standard-library"),
            prefix=python.text("prefix"),
            site_packages=python.text("site-packages"),
        ),
        package_filter=Filter(packages.texts("exclude"), packages.texts("keep")),
        wheel_filter=Filter(wheels.texts("exclude"), wheels.texts("keep")),
        files=recipe.strings("files"),
        links=recipe.strings("links"),
        packages=_artefacts(_parse(texts[1], folder / "packages.lock"), "packages.lock", "package"),
        wheels=_artefacts(_parse(texts[2], folder / "wheels.lock"), "wheels.lock", "wheel"),
        inputs=sha256_hex("\n".join(map(sha256_hex, texts)).encode()),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MalformedError(
            f"`{path}` cannot be read: {error.strerror}",
            code="recipe-not-found",
            hint="`evalctl image build FOLDER` wants recipe.toml, packages.lock and wheels.lock in FOLDER",
        ) from error


def _parse(data: bytes, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(data.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise _malformed(f"`{path}` is not TOML: {error}") from error


def _artefacts(document: dict[str, Any], file: str, kind: str) -> tuple[Artefact, ...]:
    rows = document.get(kind)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise _malformed(f"`{file}` has no `[[{kind}]]` tables")
    artefacts = tuple(_artefact(_Table(row, f"{file}: {kind}[{at}]")) for at, row in enumerate(rows))
    names = [artefact.name for artefact in artefacts]
    if len(set(names)) != len(names):
        raise _malformed(f"`{file}` names a {kind} twice")
    return artefacts


def _artefact(row: "_Table") -> Artefact:
    artefact = Artefact(
        row.text("name"), row.text("version"), row.text("sha256"), row.integer("size"), row.text("file")
    )
    if not is_sha256_hex(artefact.sha256):
        raise _malformed(f"{row.where}: `sha256` is not 64 lowercase hexadecimal digits")
    if any(part in ("", ".", "..") for part in artefact.file.split("/")):
        raise _malformed(f"{row.where}: `file` is not a plain relative path")
    if not _NAME.fullmatch(artefact.name) or not _VERSION.fullmatch(artefact.version):
        raise _malformed(f"{row.where}: `name` or `version` is not that of a package")
    return artefact


class _Table(Struct, frozen=True):
    """One TOML table and its place, read key by key with the expected type."""

    values: dict[str, Any]
    where: str

    def text(self, key: str) -> str:
        return str(self._typed(key, str))

    def integer(self, key: str) -> int:
        value = self._typed(key, int)
        if isinstance(value, bool) or value < 0:
            raise _malformed(f"{self.where}: `{key}` is not a whole number from 0")
        return int(value)

    def table(self, key: str) -> "_Table":
        return _Table(self._typed(key, dict), f"{self.where}: {key}")

    def strings(self, key: str) -> Mapping[str, str]:
        table: dict[str, str] = self._typed(key, dict)
        if not all(isinstance(value, str) for value in table.values()):
            raise _malformed(f"{self.where}: `{key}` holds something other than strings")
        return table

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.values.get(key, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise _malformed(f"{self.where}: `{key}` is not a list of strings")
        return tuple(values)

    def _typed(self, key: str, kind: type) -> Any:
        value = self.values.get(key)
        if not isinstance(value, kind):
            found = "missing" if value is None else f"{type(value).__name__}, not {kind.__name__}"
            raise _malformed(f"{self.where}: `{key}` is {found}")
        return value


def _malformed(message: str) -> MalformedError:
    return MalformedError(
        message, code="recipe-malformed", hint="compare with images/eval-python/recipe.toml"
    )
