"""Take things out of the text of a `trust.toml`: a name from a list, a key with its value; comments stay."""

import re
import tomllib
from collections.abc import Iterable
from typing import Final

from launcher.spec.positions import scalar_end, scan

Path = tuple[str, ...]

_BLANK: Final = re.compile(r"(?:[ \t\n]++|#[^\n]*+)*+")


def without_names(text: str, path: Path, names: Iterable[str]) -> str:
    """Return `text` without `names` in the list at `path`; raises `ValueError` where one is not in it."""
    for name in names:
        values = scan(text).values
        starts: list[int] = []
        while (start := values.get((*path, len(starts)))) is not None:
            starts.append(start)
        said = [_value(text, start) for start in starts]
        text = _without_element(text, starts, said.index(name))
    return text


def without_pair(text: str, path: Path) -> str:
    """Return `text` without the key at `path` and its value; a line that is blank then goes with them."""
    positions = scan(text)
    if path not in positions.keys:
        return text
    start, end = positions.keys[path], scalar_end(text, positions.values[path])
    return _joined(text[:start], text[end:])


def _value(text: str, start: int) -> object:
    return tomllib.loads(f"it = {text[start : scalar_end(text, start)]}")["it"]


def _without_element(text: str, starts: list[int], index: int) -> str:
    start = starts[index]
    end = scalar_end(text, start)
    comma = _comma_behind(text, end)
    if comma is not None:
        return _joined(text[:start], text[end:comma] + text[comma + 1 :].removeprefix(" "))
    before = text[:start]
    if index:
        comma = _comma_behind(text, scalar_end(text, starts[index - 1]))
        if comma is not None:
            before = (before[:comma] + before[comma + 1 :]).rstrip(" ")
    return _joined(before, text[end:])


def _comma_behind(text: str, end: int) -> int | None:
    blank = _BLANK.match(text, end)
    at = blank.end() if blank else end
    return at if text.startswith(",", at) else None


def _joined(before: str, after: str) -> str:
    """Join what is left; where nothing stands on the line any more, its end goes too."""
    line, rest = before.rpartition("\n")[2], after.partition("\n")[0]
    if line.strip(" \t") or rest.strip(" \t"):
        return before + after
    return before[: len(before) - len(line)] + after[len(rest) + 1 :]
