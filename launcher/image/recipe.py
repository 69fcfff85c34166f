"""Read a recipe (`recipe.toml`) and its locks: everything that decides an image's bytes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from launcher.digest import sha256_hex
from launcher.image.tables import (
    Artefact,
    Table,
    locked_artefacts,
    malformed,
    parse_table,
    read_bytes,
)
from launcher.spec.grammars import is_plain_path

__all__ = ["Artefact", "BuildStep", "Config", "Filter", "Python", "Recipe", "load_recipe"]

SCHEMA = "evalctl/image-recipe/v1"
_BUILD_KEYS = frozenset(
    {"suite", "names", "exclude", "keep", "compiler", "sources", "command", "environment", "outputs"}
)


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
    command: tuple[str, ...] = ()


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


class BuildStep(Struct, frozen=True):
    """`[build]`: a command that compiles `sources` in a root of its own packages, without network.

    `compiler` is the one of `packages` that the image's labels name; `outputs` says which file below
    `/eval/out` becomes which path of the image.
    """

    packages: tuple[Artefact, ...]
    package_filter: Filter
    compiler: str
    sources: Mapping[str, bytes]
    command: tuple[str, ...]
    environment: Mapping[str, str]
    outputs: Mapping[str, str]


class Recipe(Struct, frozen=True):
    """A whole recipe; `inputs` is the digest of the recipe's, the locks' and the sources' bytes."""

    name: str
    platform: str
    time: int
    config: Config
    python: Python
    package_filter: Filter
    wheel_filter: Filter
    files: Mapping[str, bytes]
    links: Mapping[str, str]
    packages: tuple[Artefact, ...]
    wheels: tuple[Artefact, ...]
    inputs: str
    build: BuildStep | None = None


def load_recipe(folder: Path) -> Recipe:
    """Read `recipe.toml`, `packages.lock`, `wheels.lock` in `folder`, and what the recipe names beside them.

    Raises `MalformedError` where one is missing or not as it should be.
    """
    texts = [read_bytes(folder / name) for name in ("recipe.toml", "packages.lock", "wheels.lock")]
    recipe = parse_table(texts[0], folder / "recipe.toml")
    if recipe.text("schema") != SCHEMA:
        raise malformed(f"`recipe.toml` has the schema `{recipe.text('schema')}`, not `{SCHEMA}`")
    packages, wheels = recipe.table("packages"), recipe.table("wheels")
    python = _python(recipe.table("python"))
    beside = _Beside(folder)
    files = {path: _content(recipe, path, beside) for path in recipe.table("files").values}
    return Recipe(
        name=recipe.text("name"),
        platform=recipe.text("platform"),
        time=recipe.integer("source-date-epoch"),
        config=_config(recipe.table("config"), python),
        python=python,
        package_filter=Filter(packages.texts("exclude"), packages.texts("keep")),
        wheel_filter=Filter(wheels.texts("exclude"), wheels.texts("keep")),
        files=files,
        links=recipe.strings("links"),
        packages=locked_artefacts(parse_table(texts[1], folder / "packages.lock"), "package"),
        wheels=locked_artefacts(parse_table(texts[2], folder / "wheels.lock"), "wheel"),
        build=_build_step(recipe.table("build"), beside) if "build" in recipe.values else None,
        inputs=sha256_hex("\n".join([*map(sha256_hex, texts), *beside.lines()]).encode()),
    )


class _Beside:
    """The files beside recipe.toml that it names; each is read once, and what was read counts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, bytes] = {}

    def read(self, name: str, where: str) -> bytes:
        if not is_plain_path(name):
            raise malformed(f"{where}: `{name}` is not a plain path below the recipe's folder")
        if name not in self._read:
            path = self._folder / name
            if path.exists() and not self._holds(path):
                raise malformed(f"{where}: `{name}` is not a regular file inside the recipe's folder")
            self._read[name] = read_bytes(path)
        return self._read[name]

    def _holds(self, path: Path) -> bool:
        """Say whether `path` is a file of the recipe's own: a link could bring in one of this machine's."""
        return path.is_file() and path.resolve().is_relative_to(self._folder.resolve())

    def lines(self) -> list[str]:
        """Return one line for each file that was read."""
        return [f"{sha256_hex(data)}  {name}" for name, data in sorted(self._read.items())]


def _content(recipe: Table, path: str, beside: _Beside) -> bytes:
    """Return what `[files]` says of `path`: a text, or `{ from = "FILE" }` beside the recipe."""
    value: Any = recipe.values["files"][path]
    if isinstance(value, str):
        return value.lstrip("\n").encode()
    if isinstance(value, dict) and set(value) == {"from"} and isinstance(value["from"], str):
        return beside.read(value["from"], "recipe.toml: files")
    raise malformed(f'recipe.toml: files: `{path}` is neither a text nor {{ from = "FILE" }}')


def _config(config: Table, python: Python) -> Config:
    return Config(
        user=config.text("user"),
        working_directory=config.text("working-directory"),
        environment=tuple(f"{key}={value}" for key, value in config.strings("environment").items()),
        labels=config.strings("labels"),
        command=(python.interpreter,),
    )


def _python(python: Table) -> Python:
    return Python(
        version=python.text("version"),
        interpreter=python.text("interpreter"),
        standard_library=python.text("standard-library"),
        prefix=python.text("prefix"),
        site_packages=python.text("site-packages"),
    )


def _build_step(build: Table, beside: _Beside) -> BuildStep:
    build.refuse_unknown(_BUILD_KEYS)
    lock = Path("build-packages.lock")
    step = BuildStep(
        packages=locked_artefacts(parse_table(beside.read(lock.name, build.where), lock), "package"),
        package_filter=Filter(build.texts("exclude"), build.texts("keep")),
        compiler=build.text("compiler"),
        sources={name: beside.read(name, build.where) for name in build.texts("sources")},
        command=build.texts("command"),
        environment=build.strings("environment") if "environment" in build.values else {},
        outputs=build.strings("outputs"),
    )
    if not (step.command and step.sources and step.outputs):
        raise malformed(f"{build.where}: `sources`, `command` and `outputs` must not be empty")
    if step.compiler not in {package.name for package in step.packages}:
        raise malformed(f"{build.where}: the compiler `{step.compiler}` is not in build-packages.lock")
    if wrong := [path for pair in step.outputs.items() for path in pair if not is_plain_path(path)]:
        raise malformed(f"{build.where}: `{wrong[0]}` in `outputs` is not a plain relative path")
    if len(set(step.outputs.values())) != len(step.outputs):
        raise malformed(f"{build.where}: `outputs` names a file twice")
    return step
