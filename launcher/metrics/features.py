"""What one item of each group adds to each column of a statistic, in whole numbers that stay exact."""

from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from launcher.metrics.statistics import Statistic
from launcher.metrics.tally import Row, Tallied

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_EXACT: Final = 1 << 53


class Features(Struct, frozen=True):
    """The amounts by group and column (replicate by column of the statistic), whole or only where not 0."""

    scales: Any
    matrix: Any = None
    cells: Any = None

    def sums(self, counts: "Array") -> "Array":
        """Return the column sums of resamples that have `counts` of each group."""
        import numpy as np

        if self.matrix is not None:
            whole: Array = (counts @ self.matrix) * self.scales
            return whole
        groups, places, amounts = self.cells
        width = len(self.scales)
        lines = [np.bincount(places, weights=line[groups] * amounts, minlength=width) for line in counts]
        sums: Array = np.array(lines) * self.scales
        return sums


def features_of(tally: Tallied, statistic: Statistic) -> Features:
    """Return the features of a tally's distinct items; sums over its n items are exact in a double."""
    import numpy as np

    shifts = _shifts(tally, statistic)
    groups, places, amounts = array("q"), array("q"), array("d")
    for group, (rows, _) in enumerate(tally.items):
        for place, amount in _cells(rows, statistic).items():
            shift = shifts[place % statistic.width]
            if rounded := (amount + (1 << shift >> 1)) >> shift:
                groups.append(group)
                places.append(place)
                amounts.append(rounded)
    top, columns = max(shifts), statistic.width * len(tally.present)
    scales = np.array([2.0 ** (shift - top) for shift in shifts] * len(tally.present))
    cells = (np.frombuffer(groups, dtype=np.int64), np.frombuffer(places, dtype=np.int64), np.array(amounts))
    if len(tally.items) * columns > 3 * len(groups):
        return Features(scales, cells=cells)
    matrix = np.zeros((len(tally.items), columns))
    matrix[cells[0], cells[1]] = cells[2]
    return Features(scales, matrix=matrix)


def _shifts(tally: Tallied, statistic: Statistic) -> list[int]:
    """Return by how many bits each column's amounts are cut so that none exceeds 2^53 / n."""
    largest = [0] * statistic.width
    for rows, _ in tally.items:
        for place, amount in _cells(rows, statistic).items():
            column = place % statistic.width
            largest[column] = max(largest[column], abs(amount))
    limit = _EXACT // tally.n
    shifts = [(amount // limit).bit_length() for amount in largest]
    return [max(shifts)] * statistic.width if statistic.alike else shifts


def _cells(rows: Iterable[Row], statistic: Statistic) -> dict[int, int]:
    """Return what one item adds, by column."""
    cells: dict[int, int] = {}
    for replicate, outcome, weight in rows:
        for column, amount in statistic.parts(outcome):
            place = replicate * statistic.width + column
            cells[place] = cells.get(place, 0) + amount * weight
    return cells
