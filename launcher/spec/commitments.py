"""Commitments: a salted SHA-256 of every part of a bundle that may be withheld, in commitments.jsonl.

A commitment binds a slot (which part it is) and a value. It is the SHA-256 of `evalctl/commitment/v1`, a zero
byte, the salt of 16 bytes, and slot and value, each as RFC 8785 JSON after its length in 8 bytes, big-endian.
Salts are HMAC-SHA256 of the slot under the bundle's key, cut to 16 bytes, so whoever holds the key can open
every commitment, and who has one salt can open one.
"""

import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, Literal, TypeGuard

import msgspec
from msgspec import Struct

from launcher.canonical import MAX_DEPTH, MAX_INTEGER, canonical_bytes, is_plain, parse_json
from launcher.digest import is_sha256_hex
from launcher.errors import CheckFailedError, EvalctlError

SCHEMA: Final = "evalctl/commitments/v1"
KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
MAX_LINE_BYTES: Final = 4 << 20
MAX_COLUMNS: Final = 2048
# Each takes a hash of whoever verifies.
MAX_SAMPLE_CELLS: Final = 16_000_000

Kind = Literal["result", "file", "event", "sample"]
# The order of the kinds in the file; within a kind, by the name's UTF-8 bytes.
KINDS: Final[tuple[Kind, ...]] = ("result", "file", "event", "sample")

# Not in a string, where it would follow a letter or a quotation mark.
_LONG_INTEGER: Final = re.compile(rb"[\[,:-][0-9]{16}")
_COMMITMENT: Final = b"evalctl/commitment/v1\0"
_SALT: Final = b"evalctl/commitment-salt/v1\0"
_SAMPLE: Final = b"evalctl/commitment-sample/v1\0"
_ITEM: Final = b"evalctl/commitment-item/v1\0"


class SaltKey(Struct, frozen=True):
    """The random key of one bundle: salts and the opaque names of samples and items come from it."""

    data: bytes

    def salt(self, slot: bytes) -> bytes:
        """Return the salt of one slot."""
        return self._derived(_SALT, slot)[:SALT_BYTES]

    def sample(self, place: tuple[int, str | None, str, int | None]) -> str:
        """Return the opaque name of the sample at `place`: replicate, task, id and epoch."""
        return self._derived(_SAMPLE, value_bytes(list(place)))[:16].hex()

    def item(self, task: str | None, identifier: str) -> str:
        """Return the opaque name of an item, which its samples of all replicates and epochs share."""
        return self._derived(_ITEM, value_bytes([task, identifier]))[:16].hex()

    def _derived(self, purpose: bytes, what: bytes) -> bytes:
        return hmac.digest(self.data, purpose + what, "sha256")


class Header(Struct, frozen=True):
    """The first line: which columns each sample has, and how each metric's contributions are written."""

    columns: tuple[str, ...]
    metrics: tuple[Mapping[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        """Return the line's object."""
        return {"schema": SCHEMA, "columns": list(self.columns), "metrics": [dict(m) for m in self.metrics]}


class Entry(Struct, frozen=True):
    """One line: the part of the bundle that it is about, and a value or commitment for each of its columns.

    Only a sample has several columns; any other part has the column "" alone.
    """

    kind: Kind
    name: str
    cells: Mapping[str, Any]

    @property
    def order(self) -> tuple[int, bytes]:
        """Where it stands in the file."""
        return KINDS.index(self.kind), self.name.encode()


def event_name(number: int) -> str:
    """Return the name of the event in line `number`, counted from 0, so that names sort as numbers."""
    return f"{number:09}"


def slots_of(entry: Entry) -> Iterator[tuple[str, bytes, Any]]:
    """Yield each column with the canonical bytes that name this part of a bundle, and what is in its cell."""
    start = value_bytes([entry.kind, entry.name])[:-1] + b","
    for column, cell in entry.cells.items():
        yield column, start + _slot_end(column), cell


@lru_cache(maxsize=MAX_COLUMNS)
def _slot_end(column: str) -> bytes:
    return canonical_bytes(column) + b"]"


def commitment(slot: bytes, salt: bytes, value: Any) -> str:
    """Return the commitment to `value` in `slot`, in hex."""
    data = value_bytes(value)
    framed = len(slot).to_bytes(8, "big") + slot + len(data).to_bytes(8, "big") + data
    return sha256(_COMMITMENT + salt + framed).hexdigest()


def value_bytes(value: Any) -> bytes:
    """Return the canonical bytes of a value: what most cells hold, quickly."""
    kind = type(value)
    if (kind is str and value.isascii()) or value is None or kind is bool:
        return _encode(value)
    if kind is int and -MAX_INTEGER <= value <= MAX_INTEGER:
        return _encode(value)
    if kind is list:
        return b"[" + b",".join(map(value_bytes, value)) + b"]"
    return canonical_bytes(value)


_encode: Final = msgspec.json.Encoder().encode


def commitment_line(key: SaltKey, entry: Entry) -> bytes:
    """Return the line of commitments.jsonl for one part of a bundle."""
    made = {column: commitment(slot, key.salt(slot), value) for column, slot, value in slots_of(entry)}
    return entry_line(entry, "commitment", made)


def entry_line(entry: Entry, key: str, cells: Mapping[str, Any]) -> bytes:
    """Return the canonical line that has the part's name and, under `key`, its cell or cells."""
    if entry.kind != "sample":
        return canonical_bytes({entry.kind: entry.name, key: cells[""]}) + b"\n"
    return b'{"%s":%s,"sample":%s}\n' % (key.encode(), object_bytes(cells), value_bytes(entry.name))


def object_bytes(table: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of an object, quickly where its names are in ASCII, as most are."""
    if not all(map(str.isascii, table)):
        return canonical_bytes(dict(table))
    pairs = (value_bytes(name) + b":" + value_bytes(table[name]) for name in sorted(table))
    return b"{" + b",".join(pairs) + b"}"


def header_line(header: Header) -> bytes:
    """Return the first line of commitments.jsonl."""
    return canonical_bytes(header.as_json()) + b"\n"


def read_header(lines: Iterator[bytes]) -> Header:
    """Read the first of the `lines` of commitments.jsonl; raises `CheckFailedError`."""
    table = read_line(next(lines, b""), "the first line")
    columns, metrics = table.get("columns"), table.get("metrics")
    if table.keys() != {"schema", "columns", "metrics"} or table["schema"] != SCHEMA:
        raise bad("the first line is no header of commitments")
    if not _is_short_list(columns, str) or columns != sorted({*columns}):
        raise bad("the header's columns are malformed")
    if not _is_short_list(metrics, dict):
        raise bad("the header's metrics are malformed")
    return Header(tuple(columns), tuple(metrics))


def _is_short_list(value: Any, kind: type) -> TypeGuard[list[Any]]:
    return (
        isinstance(value, list)
        and len(value) <= MAX_COLUMNS
        and all(isinstance(item, kind) for item in value)
    )


def read_commitments(header: Header, lines: Iterable[bytes]) -> Iterator[Entry]:
    """Read the lines behind the header strictly; raises `CheckFailedError`."""
    columns = frozenset(header.columns)

    for entry in read_entries(lines, "commitment", _is_commitment):
        if entry.kind == "sample" and entry.cells.keys() != columns:
            raise bad("a sample has other columns than the header lists")
        yield entry


def _is_commitment(value: Any) -> bool:
    return isinstance(value, str) and is_sha256_hex(value)


def read_entries(lines: Iterable[bytes], key: str, is_cell: Callable[[Any], bool]) -> Iterator[Entry]:
    """Read lines that each hold a part's name and, under `key`, its cell or cells, in their order."""
    last: tuple[int, bytes] = (-1, b"")
    for line in lines:
        table = _certain_sample(line) or read_line(line, "a line")
        kind = next((kind for kind in KINDS if kind in table), None)
        if kind is None or table.keys() != {kind, key} or not isinstance(table[kind], str):
            raise bad(f"a line does not name one part of the bundle and its `{key}`")
        cells = table[key] if kind == "sample" else {"": table[key]}
        if not isinstance(cells, dict) or not all(map(is_cell, cells.values())):
            raise bad(f"a `{key}` is not what it must be")
        entry = Entry(kind, table[kind], cells)
        if entry.order <= last:
            raise bad("a line is out of order or stands twice")
        last = entry.order
        yield entry


class _SampleLine(Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    sample: str
    commitment: dict[str, str] | None = None
    opening: dict[str, tuple[str, Any]] | None = None


_decoder: Final = msgspec.json.Decoder(_SampleLine)
_encoder: Final = msgspec.json.Encoder(order="sorted")
_TEXTS: Final = frozenset({str, bool, type(None)})


def _certain_sample(line: bytes) -> dict[str, Any] | None:
    """Return the object of a sample's line, quickly, if it is certain to be canonical; None says nothing.

    msgspec writes text as RFC 8785 does, names in ASCII in the same order, and numbers not always.
    """
    if len(line) > MAX_LINE_BYTES or line.count(b"[") + line.count(b"{") > MAX_DEPTH:
        return None
    try:
        read = _decoder.decode(line)
        same = _encoder.encode(read) + b"\n" == line
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    cells = read.opening if read.commitment is None else read.commitment
    if not same or cells is None or None not in (read.opening, read.commitment):
        return None
    if not all(map(str.isascii, cells)):
        return None
    if read.opening is not None:
        others = (value for _, value in read.opening.values() if type(value) not in _TEXTS)
        opening = {column: [*cell] for column, cell in read.opening.items()}
        return {"sample": read.sample, "opening": opening} if all(map(is_plain, others)) else None
    return {"sample": read.sample, "commitment": cells}


def read_line(line: bytes, what: str) -> dict[str, Any]:
    """Read one canonical object with its line feed; raises `CheckFailedError`."""
    if not line.endswith(b"\n") or len(line) > MAX_LINE_BYTES:
        raise bad(f"{what} has no line feed or is longer than {MAX_LINE_BYTES} bytes")
    try:
        table = _read_json(line, what)
        canonical = canonical_bytes(table) + b"\n"
    except EvalctlError as error:
        raise bad(error.message) from error
    if not isinstance(table, dict) or canonical != line:
        raise bad(f"{what} is not a canonical object (RFC 8785)")
    return table


def _read_json(line: bytes, what: str) -> Any:
    """Read JSON of which it is asked next whether it is canonical: that refuses what is let through here.

    The standard library's reader recurses, so depth is bounded first.
    """
    if line.count(b"[") + line.count(b"{") > MAX_DEPTH or _LONG_INTEGER.search(line):
        return parse_json(line, what=what)
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise bad(f"{what} is not JSON") from error


def refuse_large(samples: int, columns: int) -> None:
    """Raise `CheckFailedError` for more commitments than are checked in bounded time."""
    if samples * columns > MAX_SAMPLE_CELLS:
        raise bad(
            f"a redactable bundle holds at most {MAX_SAMPLE_CELLS} commitments to samples, "
            f"this one {samples} times {columns}"
        )


def bad(message: str) -> CheckFailedError:
    """Return the error for commitments, or openings of them, that are not well-formed."""
    return CheckFailedError(message, code="bad-commitments")
