"""Texts that strangers wrote into an image, made fit to be put into a document."""

import re
from collections.abc import Mapping
from typing import Any, Final

_LONGEST: Final = 300
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


def paragraphs(text: str) -> list[dict[str, str]]:
    """Return the paragraphs of a Debian control file: first line of each field, by its name in lower case.

    https://www.debian.org/doc/debian-policy/ch-controlfields.html
    """
    found = []
    for part in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        for line in part.split("\n"):
            name, colon, value = line.partition(":")
            if colon and line[:1] not in (" ", "\t", "#"):
                fields.setdefault(name.lower(), value.strip())
        if fields:
            found.append(fields)
    return found
