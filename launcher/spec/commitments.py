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
from hashlib import sha256
from typing import Any, Final, Literal, TypeGuard

from msgspec import Struct

from launcher.canonical import MAX_DEPTH, canonical_bytes, parse_json
from launcher.digest import is_sha256_hex
from launcher.errors import CheckFailedError, EvalctlError

SCHEMA: Final = "evalctl/commitments/v1"
KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
MAX_LINE_BYTES: Final = 4 << 20
MAX_COLUMNS: Final = 2048
# What of samples is committed to is held whole where it is given out.
MAX_SAMPLE_CELLS: Final = 500_000
MAX_SAMPLES_BYTES: Final = 16 << 20
MAX_OPENINGS_BYTES: Final = 64 << 20

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
        return self._derived(_SAMPLE, canonical_bytes(list(place)))[:16].hex()

    def item(self, task: str | None, identifier: str) -> str:
        """Return the opaque name of an item, which its samples of all replicates and epochs share."""
        return self._derived(_ITEM, canonical_bytes([task, identifier]))[:16].hex()

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


def slot_of(entry: Entry, column: str) -> bytes:
    """Return the canonical bytes that name one part of a bundle."""
    return canonical_bytes([entry.kind, entry.name, column])


def commitment(slot: bytes, salt: bytes, value: Any) -> str:
    """Return the commitment to `value` in `slot`, in hex."""
    data = canonical_bytes(value)
    framed = len(slot).to_bytes(8, "big") + slot + len(data).to_bytes(8, "big") + data
    return sha256(_COMMITMENT + salt + framed).hexdigest()


def commit(key: SaltKey, entry: Entry) -> Entry:
    """Return the entry with the commitment to each value in its place."""
    cells = {}
    for column, value in entry.cells.items():
        slot = slot_of(entry, column)
        cells[column] = commitment(slot, key.salt(slot), value)
    return Entry(entry.kind, entry.name, cells)


def commitment_lines(key: SaltKey, header: Header, entries: Iterable[Entry]) -> Iterator[bytes]:
    """Yield the lines of commitments.jsonl for a bundle's `entries`, which are in their order."""
    yield canonical_bytes(header.as_json()) + b"\n"
    for entry in entries:
        made = commit(key, entry)
        cells = made.cells if made.kind == "sample" else made.cells[""]
        yield canonical_bytes({made.kind: made.name, "commitment": cells}) + b"\n"


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

    def is_commitment(value: Any) -> bool:
        return isinstance(value, str) and is_sha256_hex(value)

    for entry in read_entries(lines, "commitment", is_commitment):
        if entry.kind == "sample" and entry.cells.keys() != columns:
            raise bad("a sample has other columns than the header lists")
        yield entry


def read_entries(lines: Iterable[bytes], key: str, is_cell: Callable[[Any], bool]) -> Iterator[Entry]:
    """Read lines that each hold a part's name and, under `key`, its cell or cells, in their order."""
    last: tuple[int, bytes] = (-1, b"")
    for line in lines:
        table = read_line(line, "a line")
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


def refuse_large(samples: int, columns: int, size: int) -> None:
    """Raise `CheckFailedError` for more than can be redacted in bounded memory."""
    if samples * columns > MAX_SAMPLE_CELLS or size > MAX_SAMPLES_BYTES:
        raise bad(
            f"a redactable bundle holds at most {MAX_SAMPLE_CELLS} commitments to samples and "
            f"{MAX_SAMPLES_BYTES} bytes of them, this one {samples} times {columns} and {size} bytes"
        )


def bad(message: str) -> CheckFailedError:
    """Return the error for commitments, or openings of them, that are not well-formed."""
    return CheckFailedError(message, code="bad-commitments")
