"""One JSON value, one sequence of bytes (RFC 8785), and a strict reader that never guesses.

The writer is https://www.rfc-editor.org/rfc/rfc8785; the reader refuses what two parsers could read
differently: duplicate keys, NaN, lone surrogates, integers beyond 2^53, deep nesting, bad UTF-8.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, NoReturn

from launcher.errors import MalformedError

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 64
_LONGEST_DOUBLE = 22
_SURROGATE = re.compile("[\ud800-\udfff]")


def canonical_bytes(value: Any) -> bytes:
    """Return the RFC 8785 bytes of a JSON value.

    Raises `MalformedError` for what JSON cannot carry exactly (NaN, infinity, integers beyond 2^53).
    """
    if is_plain(value):
        try:
            return _PLAIN.encode(value).encode()
        except UnicodeEncodeError as error:
            raise _malformed("a string holds a lone surrogate") from error
    import rfc8785

    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError) as error:
        raise _malformed(f"a value cannot be written as canonical JSON: {error}") from error


_PLAIN = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def is_plain(value: Any) -> bool:
    """Say whether the standard library writes RFC 8785 here: ASCII keys, safe integers, everyday floats.

    In this range `repr` gives the shortest digits without an exponent, as ECMAScript does.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return bool(-MAX_INTEGER <= value <= MAX_INTEGER)
    if kind is float:
        return 1e-4 <= abs(value) < 1e16 and not value.is_integer()
    if kind is list or kind is tuple:
        return all(map(is_plain, value))
    if kind is dict:
        names_fit = all(type(key) is str and key.isascii() for key in value)
        return names_fit and all(map(is_plain, value.values()))
    return False


def parse_json(data: bytes, *, what: str = "JSON", max_depth: int = MAX_DEPTH, exact: bool = True) -> Any:
    """Read one JSON value strictly; `what` names it in the error.

    Unless `exact`, what other programs write is let through: NaN, infinities, integers beyond 2^53 and lone
    surrogates written as escapes. Raises `MalformedError` and nothing else, whatever bytes it is given.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed(f"{what} is not UTF-8: {error.reason} at byte {error.start}") from error
    if _SURROGATE.search(text):
        raise _malformed(f"{what} holds a lone surrogate")
    _refuse_depth(text, what, max_depth)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant if exact else float,
            parse_int=_safe_integer if exact else int,
            parse_float=_finite_float if exact else float,
        )
    except MalformedError as error:
        raise _malformed(f"{what}: {error.message}") from error
    except (ValueError, RecursionError) as error:
        raise _malformed(f"{what} is not JSON: {error}") from error
    if exact:
        _refuse_surrogates(value, what)
    return value


def count_values(data: bytes) -> int:
    """Return how many values a JSON text holds at most: each takes far more memory than its bytes."""
    return sum(map(data.count, (b",", b"[", b"{")))


# A string without its end matches to the end of the text: tried anew at each of its quotation marks, it would
# take quadratic time.
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)


def _refuse_depth(text: str, what: str, limit: int) -> None:
    if text.count("[") + text.count("{") <= limit:
        return
    depth = 0
    for match in _BRACKETS.finditer(text):
        bracket = match.group()
        depth += (bracket in "[{") - (bracket in "]}")
        if depth > limit:
            raise _malformed(f"{what} is nested deeper than {limit} levels")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _malformed(f"the key `{key}` stands twice")
            seen.add(key)
    return table


def _refuse_constant(name: str) -> NoReturn:
    raise _malformed(f"{name} is not a JSON number")


def _safe_integer(digits: str) -> int | float:
    """Return an integer, or beyond 2^53 the double whose RFC 8785 form these digits are."""
    if len(digits) <= 17 and abs(value := int(digits)) <= MAX_INTEGER:
        return value
    if len(digits) <= _LONGEST_DOUBLE and canonical_bytes(float(digits)).decode() == digits:
        return float(digits)
    raise _malformed(f"the integer {digits[:20]} is beyond 2^53")


def _finite_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _malformed(f"the number {digits[:20]} is beyond a double's range")
    return value


def _refuse_surrogates(value: Any, what: str) -> None:
    """Refuse escapes such as `\\ud800` that became lone surrogates."""
    if isinstance(value, str):
        if not value.isascii() and _SURROGATE.search(value):
            raise _malformed(f"{what} holds a lone surrogate")
    elif isinstance(value, list):
        for item in value:
            _refuse_surrogates(item, what)
    elif isinstance(value, dict):
        for key, item in value.items():
            _refuse_surrogates(key, what)
            _refuse_surrogates(item, what)


def freeze(value: Any) -> Any:
    """Return a TOML value as float-free JSON: floats become `{"$float": "0.1"}`, dates `{"$datetime": ...}`.

    The text of a float is the shortest that reads back as the same double. Raises `MalformedError` for NaN,
    infinity, integers beyond 2^53 and keys that start with `$`.
    """
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _malformed(f"{value} is not a finite number")
        return {"$float": repr(value)}
    if isinstance(value, datetime | date | time):
        return {"$datetime": value.isoformat()}
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > MAX_INTEGER:
        raise _malformed(f"the integer {value} is beyond 2^53")
    if isinstance(value, list | tuple):
        return [freeze(item) for item in value]
    if isinstance(value, Mapping):
        for key in value:
            if key.startswith("$"):
                raise _malformed(f"the key `{key}` starts with `$`, which is reserved")
        return {key: freeze(item) for key, item in value.items()}
    return value


def thaw(value: Any) -> Any:
    """Return what `freeze` was given, with dates as ISO 8601 text: real JSON numbers for the container."""
    if isinstance(value, list):
        return [thaw(item) for item in value]
    if isinstance(value, dict):
        if set(value) == {"$float"}:
            return float(value["$float"])
        if set(value) == {"$datetime"}:
            return value["$datetime"]
        return {key: thaw(item) for key, item in value.items()}
    return value


def _malformed(message: str) -> MalformedError:
    return MalformedError(message, code="malformed-json")
