"""What each field of a sample may hold, and how to say it."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final

from launcher.digest import is_sha256_hex

MAX_SEED: Final = 2**32 - 1
MAX_TEXT: Final = 1024
MAX_ERROR: Final = 1 << 16
MAX_NAMES: Final = 1024


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != "" and len(value.encode()) <= MAX_TEXT


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _is_weight(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_duration(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_seed(value: Any) -> bool:
    return _is_count(value) and value <= MAX_SEED


def _is_scores(value: Any) -> bool:
    return _is_small_table(value) and all(map(_is_number, value.values()))


def _is_groups(value: Any) -> bool:
    return _is_small_table(value) and all(map(_is_scalar, value.values()))


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | bool) or _is_number(value)


def _is_small_table(value: Any) -> bool:
    return isinstance(value, dict) and len(value) <= MAX_NAMES and all(map(_is_name, value))


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and is_sha256_hex(value)


def _is_error(value: Any) -> bool:
    return isinstance(value, str) and value != "" and len(value.encode()) <= MAX_ERROR


CHECKS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "id": _is_name,
    "prediction": lambda _: True,
    "target": lambda _: True,
    "scores": _is_scores,
    "groups": _is_groups,
    "weight": _is_weight,
    "input_sha256": _is_sha256,
    "seconds": _is_duration,
    "error": _is_error,
    "epoch": _is_count,
    "task": _is_name,
    "replicate": _is_count,
    "seed": _is_seed,
}
EXPECTED: Final[Mapping[str, str]] = {
    "id": f"a non-empty string of at most {MAX_TEXT} bytes",
    "scores": "a table of names and finite numbers",
    "groups": "a table of names and strings, numbers or booleans",
    "weight": "a number above 0",
    "input_sha256": "64 lowercase hexadecimal digits",
    "seconds": "a number of at least 0",
    "error": f"a non-empty string of at most {MAX_ERROR} bytes",
    "epoch": "a whole number of at least 0",
    "task": f"a non-empty string of at most {MAX_TEXT} bytes",
    "replicate": "a whole number of at least 0",
    "seed": f"a whole number from 0 to {MAX_SEED}",
}
