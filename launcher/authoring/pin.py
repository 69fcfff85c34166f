"""Fill in what a blueprint leaves open: the image's digest, the code's commit, checksums and sizes."""

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from launcher.authoring.commits import Found, Wanted, find_commit, is_committed
from launcher.authoring.draft import Draft, DraftInput, read_draft
from launcher.authoring.drift import Pin, code_drift, input_drift
from launcher.authoring.edit import Change, edited
from launcher.sources.inputs import FetchSettings, identify, local_path, redacted
from launcher.sources.layout import only_digest, open_layout, pin_image
from launcher.store.cache import Cache


class Pinned(Struct, frozen=True):
    """The blueprint's text before and after, the values put in, and what should be known of them."""

    before: str
    after: str
    changes: tuple[Change, ...]
    remarks: tuple[str, ...]


def pin(
    data: bytes, file: Path, cache: Cache, settings: FetchSettings, update: tuple[str, ...] = ()
) -> Pinned:
    """Return the blueprint in `data` with everything pinned; what is pinned already stays as it is.

    Each of `update` (`image`, `code`, `data:NAME`, `model:NAME`) is pinned anew. Nothing is written but the
    cache. Raises `MalformedError` with every problem of the tables concerned, and what the sources raise.
    """
    draft = read_draft(data, file=str(file), update=update)
    found = _commit(draft, file, settings)
    changes = [*_image(draft, settings), *_code(draft, found)]
    for item in draft.inputs:
        if not item.is_pinned:
            changes.extend(_input(item, cache, settings))
    real = tuple(change for change in changes if _value(draft, change.path) != change.value)
    remarks = (
        *_missing_licences(draft),
        *_readable_labels(draft, found, settings),
        *_left_behind(draft, found, file, settings),
    )
    return Pinned(draft.document.text, edited(draft.document, real), real, remarks)


def _image(draft: Draft, settings: FetchSettings) -> Iterator[Change]:
    if draft.layout is not None:
        layout = open_layout(local_path(draft.layout, settings.base))
        digest = only_digest(layout)
        pin_image(layout, digest, draft.platform)
        yield Change(("image", "ref"), f"oci:{draft.layout}@{digest}")


def _commit(draft: Draft, file: Path, settings: FetchSettings) -> Found | None:
    if draft.reference is None:
        return None
    return find_commit(Wanted(draft.git, draft.reference, draft.code_path, file), settings)


def _code(draft: Draft, found: Found | None) -> Iterator[Change]:
    if found is not None:
        yield Change(("code", "commit"), found.commit, ("git",))


def _input(item: DraftInput, cache: Cache, settings: FetchSettings) -> Iterator[Change]:
    settings.say(f"reading {item.name} from {redacted(item.uri)}")
    fetched = identify(item.name, item.uri, cache, settings)
    yield Change((*item.path, "sha256"), fetched.sha256, ("uri",))
    yield Change((*item.path, "size"), fetched.size, ("sha256", "uri"))


def _value(draft: Draft, path: tuple[str | int, ...]) -> object:
    table: object = draft.document.values
    for step in path:
        if isinstance(table, dict):
            table = table.get(step)
        elif isinstance(table, list) and isinstance(step, int):
            table = table[step]
    return table


def _missing_licences(draft: Draft) -> Iterator[str]:
    for item in draft.inputs:
        if not item.licence:
            yield f"`[[{item.kind}]]` {item.name} names no licence: add `license` as its publisher states it"


def _readable_labels(draft: Draft, found: Found | None, settings: FetchSettings) -> Iterator[str]:
    """Yield what is held out and yet in the commit, whose whole tree the program can read."""
    if found is None or found.folder is None:
        return
    for item in draft.inputs:
        place = local_path(item.uri, settings.base)
        if item.is_held_out and is_committed(found.folder, found.commit, place):
            yield (
                f"`[[data]]` {item.name} is held out, and yet the commit holds `{item.uri}`: "
                "the program can read it; take it out of git"
            )


def _left_behind(draft: Draft, found: Found | None, file: Path, settings: FetchSettings) -> Iterator[str]:
    """Yield what was pinned before and is not what its writer sees: the code, and each local file."""
    if found is None:
        commit = draft.document.values["code"]["commit"]
        yield from code_drift(Wanted(draft.git, commit, draft.code_path, file), settings)
    for item in draft.inputs:
        if item.is_pinned:
            sha256, size = (_value(draft, (*item.path, key)) for key in ("sha256", "size"))
            pin = Pin(
                f"{item.kind}:{item.name}", item.uri, str(sha256), size if isinstance(size, int) else None
            )
            yield from input_drift(pin, file, settings.base)
