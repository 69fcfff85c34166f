"""Openings: the salts and values of commitments that a redacted bundle gives out, in openings.jsonl."""

import re
from collections.abc import Iterator
from typing import Any, Final

from launcher.canonical import canonical_bytes
from launcher.errors import CheckFailedError
from launcher.spec.commitments import (
    SALT_BYTES,
    Entry,
    SaltKey,
    bad,
    commitment,
    entry_line,
    read_entries,
    read_line,
    slots_of,
)

SCHEMA: Final = "evalctl/openings/v1"
_SALT: Final = re.compile(f"[0-9a-f]{{{2 * SALT_BYTES}}}")
HEADER: Final = canonical_bytes({"schema": SCHEMA}) + b"\n"


def opened(key: SaltKey, entry: Entry) -> Entry:
    """Return the entry with the salt and value of each cell, `[salt in hex, value]`."""
    cells = {column: [key.salt(slot).hex(), value] for column, slot, value in slots_of(entry)}
    return Entry(entry.kind, entry.name, cells)


def opened_and_line(key: SaltKey, entry: Entry) -> tuple[Entry, bytes]:
    """Return the opening of an entry, and its line of commitments.jsonl: each salt is derived once."""
    openings, commitments = {}, {}
    for column, slot, value in slots_of(entry):
        salt = key.salt(slot)
        openings[column] = [salt.hex(), value]
        commitments[column] = commitment(slot, salt, value)
    return Entry(entry.kind, entry.name, openings), entry_line(entry, "commitment", commitments)


def opening_line(opening: Entry) -> bytes:
    """Return the line of openings.jsonl for one opening; `HEADER` comes first."""
    return entry_line(opening, "opening", opening.cells)


def read_openings(lines: Iterator[bytes]) -> Iterator[Entry]:
    """Read openings.jsonl strictly; raises `CheckFailedError`."""
    if read_line(next(lines, b""), "the first line") != {"schema": SCHEMA}:
        raise bad("the first line is no header of openings")
    yield from read_entries(lines, "opening", _is_opening)


def _is_opening(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2 or not isinstance(value[0], str):
        return False
    return _SALT.fullmatch(value[0]) is not None


def check_opening(committed: Entry, opening: Entry) -> Entry:
    """Return the values that `opening` gives out; raises `CheckFailedError` for one not committed to."""
    values = {}
    for column, slot, (salt, value) in slots_of(opening):
        if commitment(slot, bytes.fromhex(salt), value) != committed.cells.get(column):
            raise CheckFailedError(
                f"what is given out of the {opening.kind} {opening.name!a} is not what was committed to",
                code="bad-opening",
                context=f"`{column}` differs" if column else None,
            )
        values[column] = value
    return Entry(opening.kind, opening.name, values)
