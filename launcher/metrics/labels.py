"""Labels: when two predictions or targets are the same label, and the order labels are shown in."""

from typing import Any

from launcher.canonical import MAX_INTEGER, canonical_bytes


def label_key(value: Any) -> str:
    """Return a text that two JSON values share exactly when they are the same label.

    That is when their RFC 8785 bytes are equal: 1, 1.0 and 1e0 are one label; "1" and true are others. The
    text of a string label starts with `"`, so it is never empty and never another kind's.
    """
    if isinstance(value, str):
        return '"' + value
    if type(value) is int and abs(value) <= MAX_INTEGER:
        return str(value)
    return canonical_bytes(value).decode()


def is_category(value: Any) -> bool:
    """Say whether `value` can head a row of a table: a string, a Boolean or a whole number."""
    return isinstance(value, str | int) or (isinstance(value, float) and value.is_integer())


def label_order(value: Any) -> tuple[int, float, str]:
    """Return a category's place: numbers by size, then strings by code point, then false and true."""
    if isinstance(value, bool):
        return (2, float(value), "")
    if isinstance(value, str):
        return (1, 0.0, value)
    return (0, float(value), "")
