"""The kinds of scalar a blueprint knows: text, numbers, choices, sizes, durations, days, patterns."""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from launcher.spec.kinds import Scalar, WrongError, number_fault
from launcher.spec.units import (
    DURATION_PATTERN,
    MAX_SIZE,
    SIZE_PATTERN,
    parse_duration,
    parse_size,
)

MAX_TEXT = 10_000
_HIDDEN = r"\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff"
_LINE = rf"[^\u0000-\u001f{_HIDDEN}]*"
_PROSE = rf"[^\u0000-\u0008\u000b-\u001f{_HIDDEN}]*"


def _text(label: str, pattern: str, advice: str, *, limit: int, minimum: int = 0) -> Scalar:
    def parse(value: Any) -> str:
        if not isinstance(value, str):
            raise WrongError
        if len(value) > limit:
            raise WrongError(f"it is longer than {limit} characters")
        if len(value) < minimum:
            raise WrongError
        if re.fullmatch(pattern, value) is None:
            raise WrongError(advice)
        return value

    json = {"type": "string", "pattern": anchored(pattern), "maxLength": limit}
    return Scalar(label, parse, json | ({"minLength": minimum} if minimum else {}))


def line(label: str = "text of one line", *, minimum: int = 0) -> Scalar:
    """Return the kind of text that a terminal can show in one line."""
    return _text(
        label, _LINE, "it holds control or invisible characters; leave them out", limit=1000, minimum=minimum
    )


def prose() -> Scalar:
    """Return the kind of text of several lines."""
    return _text("text", _PROSE, "it holds control or invisible characters; leave them out", limit=MAX_TEXT)


def argument(label: str = "text") -> Scalar:
    """Return the kind of text that goes to a process: anything but NUL."""
    return _text(
        label, r"[^\u0000]*", "a process cannot be given a NUL character; leave it out", limit=MAX_TEXT
    )


def pattern(label: str, expression: str, advice: str = "", *, limit: int = 255) -> Scalar:
    """Return the kind of text that `expression` matches as a whole."""
    return _text(label, expression, advice, limit=limit)


def grammar(label: str, expression: str, explain: Callable[[str], str], *, limit: int = 2000) -> Scalar:
    """Return the kind of text with which `explain` finds nothing wrong; `expression` is for the schema."""

    def parse(value: Any) -> str:
        if not isinstance(value, str):
            raise WrongError
        if len(value) > limit:
            raise WrongError(f"it is longer than {limit} characters")
        if wrong := explain(value):
            raise WrongError(wrong)
        return value

    return Scalar(label, parse, {"type": "string", "pattern": anchored(expression), "maxLength": limit})


def anchored(expression: str) -> str:
    """Return the schema's spelling of a pattern that must match the whole text."""
    return f"^(?:{expression})$"


def constant(text: str) -> Scalar:
    """Return the kind that is one fixed text."""

    def parse(value: Any) -> str:
        if value != text:
            raise WrongError
        return text

    return Scalar(f'"{text}"', parse, {"const": text})


def choice(*words: str) -> Scalar:
    """Return the kind that is one of a few words."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise WrongError
        return value

    return Scalar(_one_of(words), parse, {"enum": list(words)}, words)


def _one_of(words: tuple[str, ...]) -> str:
    quoted = [f'"{word}"' for word in words]
    return " or ".join(quoted) if len(words) == 2 else f"one of {', '.join(quoted)}"


def flag() -> Scalar:
    """Return the kind of true and false."""

    def parse(value: Any) -> bool:
        if not isinstance(value, bool):
            raise WrongError
        return value

    return Scalar("true or false", parse, {"type": "boolean"})


def integer(minimum: int, maximum: int) -> Scalar:
    """Return the kind of whole numbers from `minimum` to `maximum`."""

    def parse(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise WrongError
        return value

    label = f"a whole number from {minimum} to {maximum}"
    return Scalar(label, parse, {"type": "integer", "minimum": minimum, "maximum": maximum})


def number(minimum: float | None = None, maximum: float | None = None, *, open_ends: bool = False) -> Scalar:
    """Return the kind of finite numbers, read as floats; `open_ends` excludes the bounds themselves."""

    def parse(value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or number_fault(value):
            raise WrongError
        too_small = minimum is not None and (value < minimum or (open_ends and value == minimum))
        too_large = maximum is not None and (value > maximum or (open_ends and value == maximum))
        if too_small or too_large:
            raise WrongError
        return float(value)

    prefix = "exclusiveM" if open_ends else "m"
    json: dict[str, Any] = {"type": "number"}
    if minimum is not None:
        json[f"{prefix}inimum"] = minimum
    if maximum is not None:
        json[f"{prefix}aximum"] = maximum
    return Scalar(_number_label(minimum, maximum, open_ends=open_ends), parse, json)


def _number_label(minimum: float | None, maximum: float | None, *, open_ends: bool) -> str:
    if minimum is None:
        return "a finite number"
    if maximum is None:
        return f"a number of at least {minimum:g}"
    words = ("between", "and") if open_ends else ("from", "to")
    return f"a number {words[0]} {minimum:g} {words[1]} {maximum:g}"


def size() -> Scalar:
    """Return the kind of sizes in bytes, at least one."""

    def parse(value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_SIZE:
            return value
        if not isinstance(value, str):
            raise WrongError
        return _parsed(parse_size, value)

    json = {
        "anyOf": [
            {"type": "string", "pattern": anchored(SIZE_PATTERN)},
            {"type": "integer", "minimum": 1, "maximum": MAX_SIZE},
        ]
    }
    return Scalar('a size such as "4GiB"', parse, json)


def duration() -> Scalar:
    """Return the kind of durations in whole seconds, at least one."""

    def parse(value: Any) -> int:
        if not isinstance(value, str):
            raise WrongError
        return _parsed(parse_duration, value)

    json = {"type": "string", "pattern": anchored(DURATION_PATTERN)}
    return Scalar('a duration such as "45m" or "1h30m"', parse, json)


def _parsed(parse: Callable[[str], int], text: str) -> int:
    try:
        return parse(text)
    except ValueError as error:
        raise WrongError(str(error)) from error


def day() -> Scalar:
    """Return the kind of calendar days: a TOML local date, or its text."""

    def parse(value: Any) -> date:
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        if not isinstance(value, str) or re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) is None:
            raise WrongError
        return _day(value)

    json = {"type": "string", "format": "date", "pattern": anchored("[0-9]{4}-[0-9]{2}-[0-9]{2}")}
    return Scalar("a day such as 2024-01-31", parse, json)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise WrongError(str(error)) from error


def plain() -> Scalar:
    """Return the kind of a group's value: text, a number, true or false."""

    def parse(value: Any) -> str | int | float | bool:
        if not isinstance(value, str | int | float) or number_fault(value):
            raise WrongError
        return value

    return Scalar("text, a finite number, true or false", parse, {"type": ["string", "number", "boolean"]})
