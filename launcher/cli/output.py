"""What every command prints the same way: JSON on stdout, errors and talk on stderr."""

import json
import os
import sys
import unicodedata
from typing import Any

from launcher.errors import EvalctlError


def print_json(value: Any) -> None:
    """Print one JSON object on stdout."""
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


def say(text: str, *, label: str = "") -> None:
    """Print a line of talk on stderr, control characters escaped, after our own `label`."""
    print(f"{label}: {printable(text)}" if label else printable(text), file=sys.stderr)


def fail(error: EvalctlError, *, as_json: bool) -> int:
    """Print `error` for a person, or as JSON, on stderr; return its exit code."""
    if as_json:
        print(json.dumps({"error": error.as_json()}, ensure_ascii=False), file=sys.stderr)
        return error.exit_status
    for problem in error.problems:
        say(str(problem))
    say(error.message, label=paint("error", 31))
    if error.context:
        say(f"  {error.context}")
    if error.hint:
        say(error.hint, label=paint("  hint", 36))
    return error.exit_status


def paint(text: str, colour: int) -> str:
    """Colour `text` (an ANSI code) where stderr is a terminal and `NO_COLOR` is not set."""
    if not sys.stderr.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{colour}m{text}\x1b[0m"


def printable(text: str) -> str:
    """Return `text` with control characters escaped, but for line feeds."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(letter) for letter in text)


def _escape(letter: str) -> str:
    if letter == "\n" or letter.isprintable() or unicodedata.category(letter) == "Zs":
        return letter
    return letter.encode("unicode_escape").decode()
