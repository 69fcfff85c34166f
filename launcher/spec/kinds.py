"""The field model: what a table of a TOML file may hold, declared once as data.

From one declaration come the reader (`read`, then `build`), the JSON Schema (`schema`) and the field
reference. Reading collects faults and keeps what is well-formed, so that rules across fields still run.
The kinds are named tuples: a dozen dataclasses would cost every command some ten milliseconds at its start.
"""

import keyword
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from launcher.spec.positions import Path

REQUIRED: Final = object()
INVALID: Final = object()


class WrongError(ValueError):
    """A value is not of its kind; the message, if any, says why or what to write."""


class Fault(NamedTuple):
    """What is wrong at a key path; `known` are the keys or words that `unknown` may have meant."""

    path: Path
    message: str
    at: Literal["key", "value"] = "value"
    unknown: str = ""
    known: tuple[str, ...] = ()


# What a value may be. `label` completes the sentence "must be ...". `read` returns the well-formed part of a
# value, or INVALID, and adds what is wrong to a list; `build` gives the final value of what was read without
# faults; `schema` is the JSON Schema.
Kind: TypeAlias = "Scalar | ListOf | MapOf | Free | Table"


class Scalar(NamedTuple):
    """One value without parts; `parse` returns what it means or raises `WrongError`."""

    label: str
    parse: Callable[[Any], Any]
    json: Mapping[str, Any]
    choices: tuple[str, ...] = ()

    def read(self, value: Any, path: Path, faults: list[Fault]) -> Any:
        """Return the parsed value, or INVALID."""
        try:
            return self.parse(value)
        except WrongError as wrong:
            unknown = value if self.choices and isinstance(value, str) else ""
            message = _must_be(_subject(path), self.label, value, str(wrong))
            faults.append(Fault(path, message, unknown=unknown, known=self.choices))
            return INVALID

    def build(self, value: Any) -> Any:
        """Return `value`: scalars are final once parsed."""
        return value

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the scalar."""
        return dict(self.json)


class ListOf(NamedTuple):
    """A list of one kind; `unique` compares tables by their `name`."""

    item: "Kind"
    minimum: int = 0
    maximum: int = 1000
    unique: bool = False

    @property
    def label(self) -> str:
        """Name the kind for messages and the reference."""
        return "a list of tables" if isinstance(self.item, Table) else f"a list, each {self.item.label}"

    def read(self, value: Any, path: Path, faults: list[Fault]) -> Any:
        """Return the items as a list in which INVALID ones keep their places."""
        if not isinstance(value, list):
            tables = isinstance(self.item, Table)
            advice = f"write `[[{key_text(path)}]]`" if tables else "brackets make a list: `[..., ...]`"
            faults.append(Fault(path, _must_be(_subject(path), self.label, value, advice)))
            return INVALID
        if not self.minimum <= len(value) <= self.maximum:
            faults.append(_badly_long(path, value, self.minimum, self.maximum))
            return INVALID
        items = [self.item.read(item, (*path, index), faults) for index, item in enumerate(value)]
        if self.unique:
            faults.extend(_repeated(items, path))
        return items

    def build(self, value: Any) -> Any:
        """Return the built items as a tuple."""
        return tuple(self.item.build(item) for item in value)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the list."""
        bounds: dict[str, Any] = {"maxItems": self.maximum}
        if self.minimum:
            bounds["minItems"] = self.minimum
        if self.unique and not isinstance(self.item, Table):
            bounds["uniqueItems"] = True
        return {"type": "array", "items": self.item.schema(), **bounds}


def _repeated(items: list[Any], path: Path) -> Iterable[Fault]:
    first: dict[Any, int] = {}
    for index, item in enumerate(items):
        value = item.get("name", INVALID) if isinstance(item, dict) else item
        if value is INVALID or first.setdefault(value, index) == index:
            continue
        place: Path = (*path, index, "name") if isinstance(item, dict) else (*path, index)
        mend = "give it a name of its own" if isinstance(item, dict) else "leave one out"
        yield Fault(place, f"`{key_text(place)}` repeats {shown(value)}; {mend}")


class MapOf(NamedTuple):
    """A table whose keys the writer chooses; `key` says what they may be."""

    key: Scalar
    item: "Kind"
    minimum: int = 0
    maximum: int = 1000

    @property
    def label(self) -> str:
        """Name the kind for messages and the reference."""
        return f"a table, each value {self.item.label}"

    def read(self, value: Any, path: Path, faults: list[Fault]) -> Any:
        """Return the entries as a dict, INVALID ones included."""
        if not isinstance(value, dict):
            faults.append(Fault(path, _must_be(_subject(path), self.label, value)))
            return INVALID
        if not self.minimum <= len(value) <= self.maximum:
            faults.append(_badly_long(path, value, self.minimum, self.maximum))
            return INVALID
        entries = {}
        for name, item in value.items():
            try:
                self.key.parse(name)
            except WrongError as wrong:
                message = _must_be(f"a key of `{key_text(path)}`", self.key.label, name, str(wrong))
                faults.append(Fault((*path, name), message, "key"))
            entries[name] = self.item.read(item, (*path, name), faults)
        return entries

    def build(self, value: Any) -> Any:
        """Return the built entries as a dict."""
        return {name: self.item.build(item) for name, item in value.items()}

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the map."""
        result = {
            "type": "object",
            "propertyNames": self.key.schema(),
            "additionalProperties": self.item.schema(),
            "maxProperties": self.maximum,
        }
        return result | ({"minProperties": self.minimum} if self.minimum else {})


class Free(NamedTuple):
    """Any TOML value that a lock can carry exactly; `table` asks for a table at the top."""

    table: bool = True

    @property
    def label(self) -> str:
        """Name the kind for messages and the reference."""
        return "a table of any values" if self.table else "any value"

    def read(self, value: Any, path: Path, faults: list[Fault]) -> Any:
        """Return `value` itself, or INVALID; every part that no lock can carry is a fault of its own."""
        if self.table and not isinstance(value, dict):
            faults.append(Fault(path, _must_be(_subject(path), "a table", value)))
            return INVALID
        before = len(faults)
        _check_free(value, path, faults)
        return value if len(faults) == before else INVALID

    def build(self, value: Any) -> Any:
        """Return `value` as it was read."""
        return value

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema: a reference to FREE_DEFINITIONS, which the root must hold."""
        return {"$ref": "#/$defs/free-table" if self.table else "#/$defs/free-value"}


FREE_DEFINITIONS: Final[Mapping[str, Any]] = {
    "free-value": {
        "anyOf": [
            {"type": ["string", "boolean", "number"]},
            {"type": "array", "items": {"$ref": "#/$defs/free-value"}},
            {"$ref": "#/$defs/free-table"},
        ]
    },
    "free-table": {
        "type": "object",
        "propertyNames": {"pattern": r"^(?!\$)"},
        "additionalProperties": {"$ref": "#/$defs/free-value"},
    },
}


def _check_free(value: Any, path: Path, faults: list[Fault]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if key.startswith("$"):
                message = (
                    f"`{key_text((*path, key))}` starts with `$`, which locks keep for themselves; rename it"
                )
                faults.append(Fault((*path, key), message, "key"))
            _check_free(item, (*path, key), faults)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_free(item, (*path, index), faults)
    elif reason := number_fault(value):
        faults.append(Fault(path, f"`{key_text(path)}` {reason}"))


def number_fault(value: Any) -> str:
    """Say why a number cannot go into a lock; return the empty string where it can."""
    if isinstance(value, float) and value - value != 0:
        return f"is {value}; only finite numbers can be compared and signed; write one, or text"
    if isinstance(value, int) and abs(value) >= 2**53:
        return f"is {shown(value)}, beyond 2^53: other programs would round it; write it as text"
    return ""


class Key(NamedTuple):
    """One key of a table; `default` is spelled as in TOML, None means absent."""

    name: str
    kind: "Kind"
    text: str
    default: Any = REQUIRED

    @property
    def attribute(self) -> str:
        """The field of the value class that holds this key's value."""
        name = self.name.replace("-", "_")
        return f"{name}_" if keyword.iskeyword(name) else name

    def fill(self, values: Mapping[str, Any]) -> Any:
        """Return the built value, or the default where `values` has none."""
        if self.name in values:
            return self.kind.build(values[self.name])
        if self.default is None:
            return None
        return self.kind.build(self.kind.read(self.default, (), []))


Rule = Callable[[Mapping[str, Any]], Iterable[Fault]]


class Table(NamedTuple):
    """A table with known keys, all that may stand there.

    `make` receives every key as a keyword argument. `exactly_one` and `at_least_one` name keys of which one
    must be there. Rules see what was read and well-formed, without defaults, and give paths below the table.
    """

    text: str
    keys: tuple[Key, ...]
    make: Callable[..., Any] = dict
    exactly_one: tuple[str, ...] = ()
    at_least_one: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def label(self) -> str:
        """Name the kind for messages and the reference."""
        return "a table"

    def read(self, value: Any, path: Path, faults: list[Fault]) -> Any:
        """Return the well-formed entries by key, without defaults; an empty dict where there is no table."""
        if not isinstance(value, dict):
            advice = f"write `[{key_text(path)}]`" if isinstance(value, list) else ""
            faults.append(Fault(path, _must_be(_subject(path), "a table", value, advice)))
            return {}
        names = tuple(key.name for key in self.keys)
        for name in value.keys() - set(names):
            message = f"unknown key `{key_text((*path, name))}`"
            faults.append(Fault((*path, name), message, "key", name, names))
        faults.extend(self._missing(value, path))
        entries = {}
        for key in self.keys:
            if key.name in value:
                entry = key.kind.read(value[key.name], (*path, key.name), faults)
                if entry is not INVALID:
                    entries[key.name] = entry
        for rule in self.rules:
            faults.extend(fault._replace(path=(*path, *fault.path)) for fault in rule(entries))
        return entries

    def _missing(self, value: Mapping[str, Any], path: Path) -> Iterable[Fault]:
        here = f"`{key_text(path)}`" if path else "the blueprint"
        for key in self.keys:
            if key.default is REQUIRED and key.name not in value:
                yield Fault(path, f"{here} lacks {_wanted(key)}")
        given = [name for name in self.exactly_one if name in value]
        if self.exactly_one and len(given) != 1:
            names = " or ".join(f"`{name}`" for name in self.exactly_one)
            yield Fault(path, f"{here} needs {names}" + (", not both: leave one out" if given else ""))
        if self.at_least_one and not any(name in value for name in self.at_least_one):
            names = " or ".join(f"`{name}`" for name in self.at_least_one)
            yield Fault(path, f"{here} needs {names}, or both")

    def build(self, value: Any) -> Any:
        """Return the value class's instance with every default filled in."""
        return self.make(**{key.attribute: key.fill(value) for key in self.keys})

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the table."""
        result: dict[str, Any] = {"type": "object", "additionalProperties": False, "properties": {}}
        for key in self.keys:
            schema = key.kind.schema() | {"description": key.text}
            if key.default is not REQUIRED and key.default is not None:
                schema["default"] = key.default
            result["properties"][key.name] = schema
        if required := [key.name for key in self.keys if key.default is REQUIRED]:
            result["required"] = required
        if self.exactly_one:
            result["oneOf"] = [{"required": [name]} for name in self.exactly_one]
        if self.at_least_one:
            result["anyOf"] = [{"required": [name]} for name in self.at_least_one]
        return result


def _subject(path: Path) -> str:
    """Name what stands at `path` at the start of a sentence."""
    entry = "an entry of " if path and isinstance(path[-1], int) else ""
    return f"{entry}`{key_text(path)}`"


def _wanted(key: Key) -> str:
    """Name a missing key, and what to write."""
    if isinstance(key.kind, Table):
        return f"`[{key.name}]`"
    if isinstance(key.kind, ListOf) and isinstance(key.kind.item, Table):
        return f"`[[{key.name}]]`"
    return f"`{key.name}`: {key.kind.label}"


def _must_be(what: str, label: str, value: Any, reason: str = "") -> str:
    return f"{what} must be {label}, not {shown(value)}" + (f": {reason}" if reason else "")


def _badly_long(path: Path, value: list[Any] | dict[str, Any], minimum: int, maximum: int) -> Fault:
    if len(value) < minimum:
        return Fault(path, f"`{key_text(path)}` must not be empty; write an entry")
    return Fault(
        path, f"`{key_text(path)}` has {len(value)} entries, more than {maximum}; put them into an input file"
    )


def key_text(path: Path) -> str:
    """Return a key path as a person would write it, without list indexes."""
    return ".".join(printable(step) for step in path if isinstance(step, str))


def printable(text: str, limit: int = 60) -> str:
    """Return `text` cut to `limit` characters, with what a terminal could misread escaped."""
    cut = text if len(text) <= limit else text[: limit - 3] + "..."
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in cut)


def _without_credentials(text: str) -> str:
    """Return `text` without the user and password of an address: messages end up in logs."""
    address, at, rest = text.rpartition("@")
    scheme, slashes, _ = address.partition("//")
    return f"{scheme}//...@{rest}" if at and slashes and scheme.endswith(":") else text


def shown(value: Any) -> str:
    """Name a TOML value in a message: its type and, where short, the value itself."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{printable(_without_credentials(value))}"' if value else "empty text"
    if isinstance(value, int):
        return f"the integer {value}" if abs(value) < 10**20 else "an integer of many digits"
    if isinstance(value, float):
        return f"the number {value}"
    if isinstance(value, date | datetime | time):
        return f"the date or time {value.isoformat()}"
    return "a list" if isinstance(value, list) else "a table"
