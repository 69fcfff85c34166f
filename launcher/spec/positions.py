"""Find the line and column of every key and value of a TOML document.

`tomli` gives values without places, so this scanner walks the same text beside it. It accepts a little more
than TOML does and stops silently at what it cannot read: whether a document is TOML is tomli's to say. It
runs first, and bounds what tomli would only hang on: nesting, dotted keys, long numbers, countless values.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

Path = tuple[str | int, ...]
Place = tuple[int, int]

MAX_DEPTH = 32
MAX_ENTRIES = 50_000
MAX_BARE = 256

_BLANK = re.compile(r"(?:[ \t\n]++|#[^\n]*+)*+")
_SPACE = re.compile(r"[ \t]*+")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]++")
_STRINGS = (
    ('"""', re.compile(r'"""(?:[^"\\]++|\\.|"(?!""))*+"{3,5}', re.DOTALL)),
    ("'''", re.compile(r"'''(?:[^']++|'(?!''))*+'{3,5}")),
    ('"', re.compile(r'"(?:[^"\\\n]++|\\.)*+"')),
    ("'", re.compile(r"'[^'\n]*+'")),
)
_BARE_VALUE = re.compile(r"[^ \t\n,#\]}]++(?: [0-9]{2}:[^ \t\n,#\]}]*+)?")


class TooMuchError(Exception):
    """The document exceeds a bound at `offset`; the message says which."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class Positions(NamedTuple):
    """Offsets into `text` (line ends as LF) of each key and each value, by key path.

    Array elements have integer steps. A table that a header opens has its value at the header's bracket, one
    that only a dotted key implies at that key. `order` lists every key met, duplicates included.
    """

    text: str
    keys: Mapping[Path, int]
    values: Mapping[Path, int]
    order: tuple[tuple[int, Path], ...] = ()

    def key(self, path: Path) -> int:
        """Return the offset of the key that ends `path`, of an array element's value where it has none."""
        return self.keys[path] if path in self.keys else self.value(path)

    def value(self, path: Path) -> int:
        """Return the offset of the value at `path`, or of the nearest table or array around it."""
        while path not in self.values:
            path = path[:-1]
        return self.values[path]

    def place(self, offset: int) -> Place:
        """Return the 1-based line and column of `offset`, the column in characters."""
        return place_in(self.text, offset)


def place_in(text: str, offset: int) -> Place:
    """Return the 1-based line and column of `offset` in `text`."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def scan(text: str) -> Positions:
    """Return the places of all keys and values of `text`, whose line ends are LF.

    Raises `TooMuchError` where a bound of this module is exceeded.
    """
    scanner = _Scanner(text)
    scanner.document()
    return Positions(text, scanner.keys, scanner.values, tuple(scanner.order))


def scalar_end(text: str, offset: int) -> int:
    """Return the offset behind the text or number that begins at `offset` in a well-formed document."""
    return _Scanner(text).scalar(offset)


class _NotTomlError(Exception):
    """The scanner met what no TOML document holds."""


class _Scanner:
    """One pass over a text; every method starts at an offset and returns the offset behind what it read."""

    __slots__ = ("keys", "lengths", "order", "text", "values")

    def __init__(self, text: str) -> None:
        self.text = text
        self.keys: dict[Path, int] = {}
        self.values: dict[Path, int] = {(): 0}
        self.order: list[tuple[int, Path]] = []
        self.lengths: dict[Path, int] = {}

    def document(self) -> None:
        prefix: Path = ()
        offset = self._blank(0)
        try:
            while offset < len(self.text):
                if self.text[offset] == "[":
                    offset, prefix = self._header(offset)
                else:
                    offset = self._pair(offset, prefix)
                offset = self._blank(offset)
        except _NotTomlError:
            return

    def _header(self, start: int) -> tuple[int, Path]:
        brackets = 2 if self.text.startswith("[[", start) else 1
        parts, offset = self._parts(self._space(start + brackets))
        if not self.text.startswith("]" * brackets, offset):
            raise _NotTomlError
        path: Path = ()
        for at, part in parts[:-1]:
            path = self._last((*path, part))
            self.keys.setdefault(path, at)
            self.values.setdefault(path, start)
        at, part = parts[-1]
        path = (*path, part)
        self._enter(path, at, start)
        if brackets == 2:
            index = self.lengths.get(path, 0)
            self.lengths[path] = index + 1
            path = (*path, index)
            self._enter(path, at, start)
        return offset + brackets, path

    def _last(self, path: Path) -> Path:
        """Step into the newest table where `path` is an array of tables."""
        return (*path, self.lengths[path] - 1) if path in self.lengths else path

    def _pair(self, start: int, prefix: Path) -> int:
        parts, offset = self._parts(start)
        path = prefix
        for at, part in parts[:-1]:
            path = self._last((*path, part))
            self.keys.setdefault(path, at)
            self.values.setdefault(path, at)
        at, part = parts[-1]
        if not self.text.startswith("=", offset):
            raise _NotTomlError
        offset = self._space(offset + 1)
        path = (*path, part)
        self._enter(path, at, offset)
        return self._space(self._value(offset, path))

    def _enter(self, path: Path, key: int, value: int) -> None:
        if len(path) > MAX_DEPTH:
            raise TooMuchError(f"nested deeper than {MAX_DEPTH} levels; put it into an input file", value)
        if len(self.values) >= MAX_ENTRIES:
            raise TooMuchError(f"more than {MAX_ENTRIES} keys and values; put data into an input file", value)
        if isinstance(path[-1], str):
            self.order.append((key, path))
            self.keys[path] = key
        self.values[path] = value

    def _parts(self, offset: int) -> tuple[list[tuple[int, str]], int]:
        """Read a dotted key: each part with its offset, then the offset behind it and its blanks."""
        parts = []
        while True:
            part, end = self._part(offset)
            parts.append((offset, part))
            if len(parts) > MAX_DEPTH:
                raise TooMuchError(f"a key of more than {MAX_DEPTH} parts; write fewer", offset)
            offset = self._space(end)
            if not self.text.startswith(".", offset):
                return parts, offset
            offset = self._space(offset + 1)

    def _part(self, offset: int) -> tuple[str, int]:
        if match := _BARE_KEY.match(self.text, offset):
            return match.group(), match.end()
        end = self._string(offset)
        quoted = self.text[offset:end]
        if "\\" not in quoted:
            return quoted[1:-1], end
        return _unescaped(quoted), end

    def _string(self, offset: int) -> int:
        for quote, pattern in _STRINGS:
            if self.text.startswith(quote, offset):
                if match := pattern.match(self.text, offset):
                    return match.end()
                break
        raise _NotTomlError

    def _value(self, offset: int, path: Path) -> int:
        first = self.text[offset : offset + 1]
        if first == "[":
            return self._array(offset + 1, path)
        if first == "{":
            return self._inline_table(offset + 1, path)
        if first in ('"', "'"):
            return self._string(offset)
        match = _BARE_VALUE.match(self.text, offset)
        if match is None:
            raise _NotTomlError
        if match.end() - offset > MAX_BARE:
            raise TooMuchError(
                f"a value of more than {MAX_BARE} characters without quotation marks; write it as text",
                offset,
            )
        return match.end()

    def scalar(self, offset: int) -> int:
        return self._value(offset, ())

    def _array(self, offset: int, path: Path) -> int:
        index = 0
        offset = self._blank(offset)
        while not self.text.startswith("]", offset):
            element = (*path, index)
            self._enter(element, offset, offset)
            offset = self._comma(self._value(offset, element), "]")
            index += 1
        return offset + 1

    def _inline_table(self, offset: int, path: Path) -> int:
        offset = self._blank(offset)
        while not self.text.startswith("}", offset):
            offset = self._comma(self._pair(offset, path), "}")
        return offset + 1

    def _comma(self, offset: int, closing: str) -> int:
        offset = self._blank(offset)
        if self.text.startswith(",", offset):
            return self._blank(offset + 1)
        if not self.text.startswith(closing, offset):
            raise _NotTomlError
        return offset

    def _blank(self, offset: int) -> int:
        match = _BLANK.match(self.text, offset)
        return match.end() if match else offset

    def _space(self, offset: int) -> int:
        match = _SPACE.match(self.text, offset)
        return match.end() if match else offset


def _unescaped(quoted: str) -> str:
    import tomli

    try:
        (key,) = tomli.loads(f"{quoted} = 0")
    except (tomli.TOMLDecodeError, ValueError) as error:
        raise _NotTomlError from error
    return key
