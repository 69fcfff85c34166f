"""Openings: the salts and values of commitments that a redacted bundle gives out, in openings.jsonl."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from launcher.canonical import canonical_bytes
from launcher.errors import CheckFailedError
from launcher.spec.commitments import (
    SALT_BYTES,
    Entry,
    SaltKey,
    bad,
    commitment,
    read_entries,
    read_line,
    slot_of,
)

SCHEMA: Final = "evalctl/openings/v1"
_HEADER: Final = canonical_bytes({"schema": SCHEMA}) + b"\n"


def opened(key: SaltKey, entry: Entry) -> Entry:
    """Return the entry with the salt and value of each cell, `[salt in hex, value]`."""
    return Entry(
        entry.kind,
        entry.name,
        {column: [key.salt(slot_of(entry, column)).hex(), value] for column, value in entry.cells.items()},
    )


def opening_lines(openings: Iterable[Entry]) -> Iterator[bytes]:
    """Yield the lines of openings.jsonl for `openings`, which are in their order."""
    yield _HEADER
    for entry in openings:
        cells = entry.cells if entry.kind == "sample" else entry.cells[""]
        yield canonical_bytes({entry.kind: entry.name, "opening": cells}) + b"\n"


def read_openings(lines: Iterator[bytes]) -> Iterator[Entry]:
    """Read openings.jsonl strictly; raises `CheckFailedError`."""
    if read_line(next(lines, b""), "the first line") != {"schema": SCHEMA}:
        raise bad("the first line is no header of openings")
    yield from read_entries(lines, "opening", _is_opening)


def _is_opening(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], str):
        return False
    digits = value[0]
    return len(digits) == 2 * SALT_BYTES and all(letter in "0123456789abcdef" for letter in digits)


def check_opening(committed: Entry, opening: Entry) -> Entry:
    """Return the values that `opening` gives out; raises `CheckFailedError` for one not committed to."""
    values = {}
    for column, (salt, value) in opening.cells.items():
        expected = committed.cells.get(column)
        if commitment(slot_of(opening, column), bytes.fromhex(salt), value) != expected:
            raise CheckFailedError(
                f"what is given out of the {opening.kind} {opening.name!a} is not what was committed to",
                code="bad-opening",
                context=f"`{column}` differs" if column else None,
            )
        values[column] = value
    return Entry(opening.kind, opening.name, values)
