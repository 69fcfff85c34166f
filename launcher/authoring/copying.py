"""Begin from a blueprint that exists: its text, the files it names beside it, and a link to its image."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from launcher.authoring.edit import Change, edited
from launcher.authoring.repository import CHECKOUT
from launcher.authoring.scaffold import Scaffold
from launcher.errors import InfrastructureError, MalformedError
from launcher.spec.document import Document, read_document
from launcher.spec.pins import input_tables
from launcher.spec.positions import Path as KeyPath

FILE = "blueprint.toml"
_IGNORE = ".gitignore"
_IMAGE = "image"
_MOST_BYTES = 256 << 20


class Copied(Struct, frozen=True):
    """The files of a copy, and the blueprint's name in it."""

    scaffold: Scaffold
    name: str


def find_blueprint(named: str) -> Path:
    """Return the blueprint that `named` means: a file, a folder with one, or one of evalctl's own.

    Raises `MalformedError` (`no-such-blueprint`) naming evalctl's own.
    """
    own = CHECKOUT / "blueprints"
    for path in (Path(named), Path(named, FILE), own / named / FILE):
        if path.is_file():
            return path
    known = sorted(path.parent.name for path in own.glob(f"*/{FILE}"))
    raise MalformedError(
        f"there is no blueprint `{named}`",
        code="no-such-blueprint",
        context=f"evalctl's own: {', '.join(known) or 'none here'}",
        hint="name one of them, a file or a folder, as in `evalctl init --from digits-svm`",
    )


def copy_blueprint(source: Path, name: str | None, layout: Path | None) -> Copied:
    """Return a copy of the blueprint at `source`, under `name` if given, running in `layout` if given.

    Files that it names in its own folder are copied, what it names elsewhere keeps its place. Raises
    `MalformedError` where it is no TOML, `InfrastructureError` where a file cannot be read.
    """
    document = read_document(_read(source, _MOST_BYTES), file=str(source))
    base = source.parent.resolve()
    named = dict(_named(document.values))
    files = {place: base / place for place in named.values() if _is_inside(base, place)}
    changes = [
        Change(path, str(base / place)) for path, place in named.items() if place not in files and place
    ]
    links = {}
    for path, place in _layouts(document.values):
        at = place.rfind("@sha256:") if "@sha256:" in place else len(place)
        if path == ("image", "ref"):
            links[_IMAGE] = str(layout or (base / place[4:at]).resolve())
            changes.append(Change(path, f"oci:{_IMAGE}{place[at:]}"))
        else:
            changes.append(Change(path, f"oci:{(base / place[4:]).resolve()}"))
    if name is not None:
        changes.append(Change(("blueprint", "name"), name, ("version",)))
    data = {FILE: edited(document, changes).encode(), _IGNORE: f"/{_IMAGE}\n".encode()}
    return Copied(Scaffold(data | _contents(files), links, _remarks(links, files)), name or _name(document))


def _named(values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield where the blueprint names a relative path, and the path; images are linked, not copied."""
    for path, item in input_tables(values):
        yield from _relative((*path, "uri"), item.get("uri"))
    code = values.get("code")
    if isinstance(code, dict):
        yield from _relative(("code", "git"), code.get("git"))


def _layouts(values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Yield each place of the image that is a layout."""
    image = values.get("image")
    if not isinstance(image, dict):
        return
    mirrors = image.get("mirrors")
    places: list[tuple[KeyPath, Any]] = [(("image", "ref"), image.get("ref"))]
    for index, mirror in enumerate(mirrors if isinstance(mirrors, list) else ()):
        places.append((("image", "mirrors", index), mirror))
    yield from (entry for entry in places if isinstance(entry[1], str) and entry[1].startswith("oci:"))


def _relative(path: KeyPath, place: Any) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(place, str) and ":" not in place and not place.startswith("/"):
        yield path, place


def _is_inside(base: Path, place: str) -> bool:
    """Say whether `place` is a plain file below `base`, not by way of a link or of `..`, fit to be copied."""
    path = base / place
    is_plain = path.is_file() and os.path.normpath(place) == place and path.resolve() == path
    return is_plain and not _means_something(place)


def _means_something(place: str) -> bool:
    """Say whether the copy has its own of that name, or git would take it for a repository's settings."""
    parts = place.lower().split("/")
    return ".git" in parts or parts[0] in (FILE, _IGNORE, _IMAGE)


def _contents(files: Mapping[str, Path]) -> dict[str, bytes]:
    left, contents = _MOST_BYTES, {}
    for place, path in files.items():
        contents[place] = _read(path, left)
        left -= len(contents[place])
    return contents


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise InfrastructureError(
            f"cannot read `{path}`", code="not-readable", context=error.strerror, hint="make it readable"
        ) from error
    if len(data) > most:
        raise MalformedError(
            "the blueprint's files are too large to copy",
            code="too-large",
            context=f"together more than {_MOST_BYTES >> 20} MiB, with `{path}`",
            hint="copy the folder by hand, then `evalctl pin blueprint.toml`",
        )
    return data


def _name(document: Document) -> str:
    about = document.values.get("blueprint")
    name = about.get("name") if isinstance(about, dict) else None
    return name if isinstance(name, str) else "without a name"


def _remarks(links: Mapping[str, str], files: Mapping[str, Path]) -> dict[str, str]:
    remarks = {FILE: "what is evaluated, how, and what counts as a result"}
    remarks |= dict.fromkeys(sorted(files), "copied as it is")
    return remarks | {place: f"-> {target}" for place, target in links.items()}
