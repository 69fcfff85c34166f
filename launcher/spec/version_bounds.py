"""Bounds of versions such as `>=550` or `>=8.0, <9.0`: as many numbers are compared as the bound has."""

import operator
import re
from collections.abc import Callable, Mapping

_BOUND = re.compile(r"(>=|<=|==|>|<)([0-9]+(?:\.[0-9]+)*)")
_HOLDS: Mapping[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


def within(version: str, bounds: str) -> bool:
    """Say whether `version` keeps every bound; `==550` and `<=550` take 550.54, `>550` does not."""
    numbers = tuple(map(int, re.findall(r"[0-9]+", version)))
    for sign, text in _BOUND.findall(bounds):
        bound = tuple(map(int, text.split(".")))
        given = (numbers + (0,) * len(bound))[: len(bound)]
        if not numbers or not _HOLDS[sign](given, bound):
            return False
    return True
