"""Read a blueprint whose digests are not filled in yet: what it names, and what of that lacks a pin."""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

from launcher.errors import MalformedError
from launcher.spec import grammars
from launcher.spec.document import Document, read_document
from launcher.spec.image import PLATFORM
from launcher.spec.kinds import Fault
from launcher.spec.language import BLUEPRINT
from launcher.spec.pins import input_tables, open_pins
from launcher.spec.positions import Path
from launcher.spec.reading import refused
from launcher.spec.unsupported import unsupported

_TABLES = ("image", "code", "model", "data")
_NO_SHA256, _NO_COMMIT = "0" * 64, "0" * 40


class DraftInput(Struct, frozen=True):
    """An input and where it stands; `is_pinned` says whether its checksum is known."""

    kind: Literal["data", "model"]
    path: Path
    name: str
    uri: str
    licence: str
    is_held_out: bool
    is_pinned: bool


class Draft(Struct, frozen=True):
    """What a blueprint names; `reference` is the commit to find, `layout` the image's, None where pinned."""

    document: Document
    layout: str | None
    platform: str
    git: str
    reference: str | None
    code_path: str
    inputs: tuple[DraftInput, ...]


def read_draft(data: bytes, *, file: str, update: tuple[str, ...] = ()) -> Draft:
    """Return what the blueprint in `data` names; what stands in `update` counts as not pinned.

    Of `update`, each is `image`, `code`, `data:NAME` or `model:NAME`. Only the tables that are pinned are
    looked at. Raises `MalformedError` with every problem in them.
    """
    document = read_document(data, file=file)
    open_paths = set(open_pins(document.values)) | set(_updated(document.values, update))
    filled = copy.deepcopy(document.values)
    for path in open_paths:
        _fill(filled, path)
    faults: list[Fault] = []
    values = dict(_read(filled, faults))
    faults.extend(_beyond_reach(document.values, open_paths))
    if faults:
        raise refused(document, faults, command="pin")
    image, code = values["image"], values["code"]
    return Draft(
        document,
        grammars.split_image(image["ref"])[1] if ("image", "ref") in open_paths else None,
        image.get("platform", PLATFORM),
        code["git"],
        _reference(document.values["code"]) if ("code", "commit") in open_paths else None,
        code.get("path", ""),
        tuple(_inputs(values, open_paths)),
    )


def _updated(values: Mapping[str, Any], update: tuple[str, ...]) -> Iterator[Path]:
    known: dict[str, Path] = {
        f"{path[0]}:{item['name']}": (*path, "sha256")
        for path, item in input_tables(values)
        if isinstance(item.get("name"), str)
    }
    known |= {name: (name, key) for name, key in (("image", "ref"), ("code", "commit")) if name in values}
    for wanted in update:
        if wanted not in known:
            raise MalformedError(
                f"there is no `{wanted}` to update",
                code="unknown-pin",
                context=f"the blueprint has {', '.join(f'`{name}`' for name in sorted(known))}",
                hint="see `evalctl pin --help`",
            )
        yield known[wanted]


def _is_layout(reference: Any) -> bool:
    return isinstance(reference, str) and reference.startswith("oci:")


def _fill(values: dict[str, Any], path: Path) -> None:
    """Put a pin that proves nothing where there is none, so that the reader finds all other problems."""
    table: Any = values
    for step in path[:-1]:
        table = table[step]
    key = path[-1]
    if key == "ref":
        place = (
            re.sub("@sha256:[0-9a-f]{64}$", "", table["ref"])
            if _is_layout(table.get("ref"))
            else "registry/image"
        )
        table["ref"] = f"{place}@sha256:{_NO_SHA256}"
    elif isinstance(table, dict):
        table[key] = _NO_COMMIT if key == "commit" else _NO_SHA256


def _reference(code: Mapping[str, Any]) -> str:
    """Return what the writer wants of git: the branch or tag that stands there, else what is checked out."""
    written = code.get("commit", "")
    return "HEAD" if not written or re.fullmatch(grammars.COMMIT, written) else written


def _read(values: Mapping[str, Any], faults: list[Fault]) -> Iterator[tuple[str, Any]]:
    for key in BLUEPRINT.keys:
        if key.name not in _TABLES:
            continue
        if key.name in values:
            yield key.name, key.kind.read(values[key.name], (key.name,), faults)
        elif key.name in ("image", "code"):
            faults.append(Fault((), f"the blueprint lacks `[{key.name}]`"))


def _beyond_reach(values: Mapping[str, Any], open_paths: set[Path]) -> Iterator[Fault]:
    """Yield what lacks a pin at a place that this version cannot ask."""
    image = values.get("image")
    reference = image.get("ref") if isinstance(image, dict) else None
    if isinstance(reference, str) and not _is_layout(reference) and ("image", "ref") in open_paths:
        yield Fault(("image", "ref"), _REGISTRY)
    wanted = {(*path[:-1], "uri") for path in open_paths} | {("code", "git")}
    yield from (fault for fault in unsupported(values) if fault.path in wanted)


_REGISTRY = (
    "`image.ref` is in a registry, and this version asks none for a digest; copy the image into a folder "
    "(`skopeo copy docker://... oci:image`) and write `oci:image`"
)


def _inputs(values: Mapping[str, Any], open_paths: set[Path]) -> Iterator[DraftInput]:
    kinds: tuple[Literal["model", "data"], ...] = ("model", "data")
    for kind in kinds:
        for index, item in enumerate(values.get(kind, ())):
            path: Path = (kind, index)
            yield DraftInput(
                kind,
                path,
                item["name"],
                item["uri"],
                item.get("license", ""),
                item.get("role") == "held-out",
                (*path, "sha256") not in open_paths,
            )
