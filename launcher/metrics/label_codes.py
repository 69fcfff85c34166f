"""Labels as small whole numbers, so that a million samples take a few bytes each.

Code 0 is that of a failed item's prediction, the empty text, which no label has.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from launcher.canonical import MAX_INTEGER
from launcher.errors import MalformedError
from launcher.metrics.labels import label_key

MAX_LABELS: Final = 100_000
MAX_LABEL_BYTES: Final = 8 << 20
_PLAIN: Final = (frozenset({str}), frozenset({int}))


class LabelCodes:
    """Numbers for the labels met so far; forgets them all once they are too many to hold."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {"": 0}
        self._direct: dict[type, dict[Any, int]] = {str: {}, int: {}}
        self._bytes = 0
        self.overflowed = False

    @property
    def labels(self) -> list[str]:
        """Return the label (`label_key`) of each code."""
        return list(self._codes)

    def __len__(self) -> int:
        return len(self._codes)

    def code_of(self, label: str) -> int:
        """Return the code of a label, -1 where no value had it."""
        return self._codes.get(label, -1)

    def codes(self, values: Sequence[Any], types: frozenset[type]) -> list[int] | None:
        """Return the code of each value, None being a failed item's prediction; None: they are too many.

        `types` are those of the values, or more.
        """
        if self.overflowed:
            return None
        if types in _PLAIN:
            codes = self._look_up(values, self._direct[next(iter(types))])
        else:
            codes = [0 if value is None else self._code(value) for value in values]
        if len(self._codes) > MAX_LABELS or self._bytes > MAX_LABEL_BYTES:
            self._forget()
            return None
        return codes

    def _look_up(self, values: Sequence[Any], known: dict[Any, int]) -> list[int]:
        try:
            return list(map(known.__getitem__, values))
        except KeyError:
            known.update((value, self._code(value)) for value in set(values).difference(known))
            return list(map(known.__getitem__, values))

    def _code(self, value: Any) -> int:
        key = label_key(value)
        if key not in self._codes:
            self._codes[key] = len(self._codes)
            self._bytes += len(key.encode())
        return self._codes[key]

    def _forget(self) -> None:
        self.overflowed = True
        self._codes = {"": 0}
        self._direct = {}


def too_many_labels() -> MalformedError:
    """Return the error for a metric that needs to hold more labels than can be held."""
    return MalformedError(
        "the samples have too many distinct labels for the metric",
        code="bad-samples",
        context=f"at most {MAX_LABELS}, of {MAX_LABEL_BYTES >> 20} MiB together",
    )


def label_value(label: str) -> Any:
    """Return the JSON value whose `label_key` this is."""
    if label.startswith('"'):
        return label[1:]
    value = json.loads(label)
    return float(value) if type(value) is int and abs(value) > MAX_INTEGER else value
