"""Strict readers for the fields of signed JSON: each returns the value in its type or refuses it.

All raise `CheckFailedError` (code `bad-statement`) and nothing else.
"""

import re
from datetime import datetime
from typing import Any, Final, get_args

from launcher.digest import is_digest
from launcher.errors import CheckFailedError

MAX_ITEMS: Final = 4096
MAX_TEXT: Final = 4096
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?", re.ASCII | re.IGNORECASE)
_COUNT = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
TIME: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z"
_TIME = re.compile(TIME, re.ASCII)


def table(value: Any, what: str, keys: str, *, optional: str = "") -> dict[str, Any]:
    """Return an object that has all of the space-separated `keys`, perhaps `optional` ones, and no other."""
    if not isinstance(value, dict):
        raise bad(f"{what} is not an object")
    required = keys.split()
    for key in required:
        if key not in value:
            raise bad(f"{what} has no `{key}`")
    for key in sorted(value.keys() - {*required, *optional.split()}):
        raise bad(f"{what} has the unknown field {key[:80]!a}")
    return value


def array(value: Any, what: str, limit: int = MAX_ITEMS) -> list[Any]:
    """Return a list of at most `limit` items."""
    if not isinstance(value, list) or len(value) > limit:
        raise bad(f"`{what}` is not a list of at most {limit} items")
    return value


def text(value: Any, what: str, pattern: re.Pattern[str] | None = None) -> str:
    """Return a string of bounded length, the whole of which matches `pattern`."""
    if not isinstance(value, str) or len(value) > MAX_TEXT or (pattern and not pattern.fullmatch(value)):
        raise bad(f"`{what}` is not the text it must be")
    return value


def texts(value: Any, what: str) -> dict[str, str]:
    """Return an object whose values are strings."""
    if not isinstance(value, dict) or len(value) > MAX_ITEMS:
        raise bad(f"`{what}` is not an object of texts")
    return {key: text(item, f"{what}.{key[:80]}") for key, item in value.items()}


def flag(value: Any, what: str) -> bool:
    """Return a Boolean."""
    if not isinstance(value, bool):
        raise bad(f"`{what}` is not true or false")
    return value


def digest(value: Any, what: str) -> str:
    """Return a `sha256:<64 lowercase hex>`."""
    if not is_digest(checked := text(value, what)):
        raise bad(f"`{what}` is not `sha256:` and 64 lowercase hex digits")
    return checked


def decimal(value: Any, what: str) -> str:
    """Return the text of a decimal number."""
    return text(value, what, _DECIMAL)


def optional_decimal(value: Any, what: str) -> str | None:
    """Return the text of a decimal number, or None."""
    return None if value is None else decimal(value, what)


def count(value: Any, what: str) -> str:
    """Return the text of a whole number that is not negative."""
    return text(value, what, _COUNT)


def time(value: Any, what: str) -> str:
    """Return the text of a UTC time, `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`."""
    checked = text(value, what, _TIME)
    try:
        instant(checked)
    except ValueError as error:
        raise bad(f"`{what}` is not a time that exists") from error
    return checked


def instant(checked: str) -> datetime:
    """Return the moment that a text accepted by `time` stands for."""
    return datetime.fromisoformat(checked)


def one_of(value: Any, what: str, literal: object) -> Any:
    """Return `value` if it is one of the strings (or None) of a `Literal` type."""
    choices = get_args(literal)
    if not (value is None or isinstance(value, str)) or value not in choices:
        raise bad(f"`{what}` is not one of {', '.join(str(choice) for choice in choices)}")
    return value


def bad(message: str, context: str | None = None) -> CheckFailedError:
    """Return the error that says a signed statement is not what it must be."""
    return CheckFailedError(
        f"the signed statement is malformed: {message}", code="bad-statement", context=context
    )
