"""Put values into a TOML text in place: no byte changes but those of the values."""

import copy
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from launcher.errors import MalformedError
from launcher.spec.document import Document
from launcher.spec.kinds import key_text
from launcher.spec.positions import Path, Positions, scalar_end
from launcher.spec.toml_text import toml_value


class Change(Struct, frozen=True):
    """A value for the key at `path`; a key that is not there goes behind the first of `after` that is."""

    path: Path
    value: str | int
    after: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The key path as a person would write it."""
        return key_text(self.path)


def edited(document: Document, changes: Sequence[Change]) -> str:
    """Return the document's text with `changes` made; comments, order and line ends stay.

    Raises `MalformedError` (`cannot-edit`) where the text would not say then what it should.
    """
    positions = document.positions
    splices = [_splice(positions, change) for change in changes]
    text, newline = document.text, "\r\n" if "\r\n" in document.text else "\n"
    returns = _returns(text)
    for start, end, new in sorted(splices, key=lambda splice: splice[0])[::-1]:
        before, behind = (offset + bisect_left(returns, offset) for offset in (start, end))
        text = text[:before] + new.replace("\n", newline) + text[behind:]
    _require(document, changes, text)
    return text


def _splice(positions: Positions, change: Change) -> tuple[int, int, str]:
    """Return what to put where: offsets into the text whose line ends are LF."""
    literal = toml_value(change.value)
    if change.path in positions.values:
        start = positions.values[change.path]
        return start, scalar_end(positions.text, start), literal
    table = change.path[:-1]
    anchor = next((*table, name) for name in change.after if (*table, name) in positions.keys)
    end = scalar_end(positions.text, positions.values[anchor])
    new = f"{change.path[-1]} = {literal}"
    if positions.text[positions.values[table]] == "{":
        return end, end, f", {new}"
    key = positions.keys[anchor]
    lead = positions.text[positions.text.rfind("\n", 0, key) + 1 : key]
    line_end = positions.text.find("\n", end)
    place = len(positions.text) if line_end < 0 else line_end
    return place, place, f"\n{lead}{new}"


def _returns(text: str) -> list[int]:
    """Return the offsets, in the text whose line ends are LF, of the line ends that were CRLF."""
    places: list[int] = []
    at = text.find("\r\n")
    while at >= 0:
        places.append(at - len(places))
        at = text.find("\r\n", at + 2)
    return places


def _require(document: Document, changes: Sequence[Change], text: str) -> None:
    """Read the new text back: it must hold the old values and the changes, nothing else."""
    import tomli

    wanted = copy.deepcopy(document.values)
    for change in changes:
        table: Any = wanted
        for step in change.path[:-1]:
            table = table[step]
        table[change.path[-1]] = change.value
    try:
        found = tomli.loads(text.replace("\r\n", "\n"))
    except ValueError:
        found = None
    if found != wanted:
        lines = "; ".join(f"{change.key} = {toml_value(change.value)}" for change in changes)
        raise MalformedError(
            f"`{document.file}` cannot be edited in place",
            code="cannot-edit",
            context="its tables are written in a way that an edit would break",
            hint=f"write by hand: {lines}",
        )
