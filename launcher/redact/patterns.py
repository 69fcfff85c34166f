"""Look for many texts at once, in time that grows with the bytes alone."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# So many are looked for one by one.
_FEW: Final = 16
_WINDOW: Final = 6
_BITS: Final = 20
_MULTIPLIER: Final = 0x9E3779B97F4A7C15


class Patterns:
    """Byte strings to be found, none shorter than 6 bytes.

    Many are found by their first bytes, of which a table says whether any pattern begins so: what does is
    compared in full.
    """

    def __init__(self, patterns: Iterable[bytes]) -> None:
        self._all = frozenset(patterns)
        self.longest = max(map(len, self._all), default=0)
        self._lengths = sorted({len(pattern) for pattern in self._all})
        self._table: Any = None

    def any_in(self, data: bytes) -> bool:
        """Say whether one of them stands in `data`."""
        if len(self._all) <= _FEW:
            return any(pattern in data for pattern in self._all)
        if len(data) < _WINDOW:
            return False
        return any(
            data[place : place + length] in self._all
            for place in self._candidates(data)
            for length in self._lengths
        )

    def _candidates(self, data: bytes) -> list[int]:
        import numpy as np

        if self._table is None:
            self._table = np.zeros(1 << _BITS, dtype=bool)
            for pattern in self._all:
                self._table[_windows(pattern[:_WINDOW])] = True
        found: list[int] = np.flatnonzero(self._table[_windows(data)]).tolist()
        return found


def _windows(data: bytes) -> "NDArray[np.intp]":
    """Return a number of few bits for each window of bytes."""
    import numpy as np

    letters = np.frombuffer(data, dtype=np.uint8).astype(np.uint64)
    count = len(letters) - _WINDOW + 1
    windows = np.zeros(count, dtype=np.uint64)
    for place in range(_WINDOW):
        windows = windows << np.uint64(8) | letters[place : place + count]
    return (windows * np.uint64(_MULTIPLIER) >> np.uint64(64 - _BITS)).astype(np.intp)
