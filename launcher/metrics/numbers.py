"""Very many numbers, one an item and all of weight 1: the exact sums that a mean needs."""

import math
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_BITS: Final = 53
_LOW: Final = 26
_STEP: Final = 1 << 18


class Numbers:
    """Distinct numbers, and how many items have each."""

    def __init__(self, values: "Array", counts: Any) -> None:
        self._values, self._counts = values, counts
        self._n = int(counts.sum())

    def scale(self) -> int:
        """Return the least power of two that makes every number whole."""
        import numpy as np

        most = 0
        for whole, exponents, _ in self._parts():
            lowest = whole & -whole
            zeros = np.frexp(lowest.astype(np.float64))[1] - 1
            needed = (_BITS - exponents - zeros)[whole != 0]
            most = max(most, int(needed.max(initial=0)))
        return 1 << most

    def total(self, scale: int) -> int:
        """Return the sum over all items times `scale`, exactly."""
        import numpy as np

        shift, total = scale.bit_length() - 1 - _BITS, 0
        for whole, exponents, counts in self._parts():
            for exponent in np.unique(exponents).tolist():
                alike = exponents == exponent
                high = int(((whole[alike] >> _LOW) * counts[alike]).sum())
                low = int(((whole[alike] & ((1 << _LOW) - 1)) * counts[alike]).sum())
                part, by = (high << _LOW) + low, exponent + shift
                total += part << by if by >= 0 else part >> -by
        return total

    def _parts(self) -> Iterator[tuple[Any, Any, Any]]:
        """Yield whole numbers and exponents: a number is whole * 2^(exponent - 53)."""
        import numpy as np

        for start in range(0, len(self._values), _STEP):
            part = slice(start, start + _STEP)
            fractions, exponents = np.frexp(self._values[part])
            yield np.ldexp(fractions, _BITS).astype(np.int64), exponents, self._counts[part]

    def squares(self, mean: float) -> float:
        """Return the sum of squared residuals of items that each weigh 1 / n."""
        return math.fsum(chain.from_iterable(self._squares(mean)))

    def _squares(self, mean: float) -> Iterator[list[float]]:
        for start in range(0, len(self._values), _STEP):
            part = slice(start, start + _STEP)
            residuals = self._values[part] / float(self._n) - mean * (1.0 / self._n)
            yield (self._counts[part] * (residuals * residuals)).tolist()
