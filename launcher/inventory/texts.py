"""Texts that strangers wrote into an image, made fit to be put into a document."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from launcher.errors import MalformedError

_LONGEST: Final = 300
_MOST_LINES: Final = 4_000_000
_LONGEST_LINE: Final = 64 << 10
_MOST_FIELDS: Final = 200
_CHARACTER: Final = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
_URL: Final = re.compile(
    r"(?:https?|ftp|git\+https?|git\+ssh|file)://(?:[A-Za-z0-9._~-]+(?::[0-9]{1,5})?)?"
    rf"(?:/{_CHARACTER}*)?(?:\?(?:{_CHARACTER}|\?)*)?(?:#(?:{_CHARACTER}|\?)*)?"
)
_WITH_PASSWORD: Final = re.compile(r"//[^/@]*@")


def tidy(value: Any, longest: int = _LONGEST) -> str:
    """Return `value` as one printable line of bounded length; empty where it is no text."""
    if not isinstance(value, str):
        return ""
    line = " ".join(value[: 4 * longest].split())
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in line)[:longest]


def tidy_url(value: Any) -> str:
    """Return a URL without user and password, empty where it is no plain one."""
    text = _WITH_PASSWORD.sub("//", tidy(value, 1000))
    return text if _URL.fullmatch(text) else ""


def decoded(data: bytes) -> str:
    """Return bytes as text; what is no UTF-8 becomes a replacement character."""
    return data.decode("utf-8", errors="replace")


def json_table(data: bytes) -> Mapping[str, Any] | None:
    """Return a JSON object, None for anything else."""
    import json

    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return table if isinstance(table, dict) else None


def lines_of(text: str) -> Iterator[str]:
    """Yield the lines of a text, each bounded; raises `MalformedError` where there are too many."""
    at = 0
    for _ in range(_MOST_LINES):
        end = text.find("\n", at)
        if end < 0:
            yield text[at : at + _LONGEST_LINE]
            return
        yield text[at : min(end, at + _LONGEST_LINE)]
        at = end + 1
    raise MalformedError(f"there are more than {_MOST_LINES} lines", code="bad-package-database")


def paragraphs(text: str) -> Iterator[dict[str, str]]:
    """Yield the paragraphs of a Debian control file: first line of each field, by its name in lower case.

    Of each paragraph only so many fields count; raises what `lines_of` raises.
    https://www.debian.org/doc/debian-policy/ch-controlfields.html
    """
    fields: dict[str, str] = {}
    for line in lines_of(text):
        name, colon, value = line.partition(":")
        if not line.strip(" \t") and fields:
            yield fields
            fields = {}
        elif colon and line[:1] not in (" ", "\t", "#") and len(fields) < _MOST_FIELDS:
            fields.setdefault(name.lower(), value.strip())
    if fields:
        yield fields
