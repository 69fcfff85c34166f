"""What one item of each group adds to each column of a statistic, in whole numbers that stay exact."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from launcher.metrics.compact import CompactTally
from launcher.metrics.row_blocks import cells_of_items
from launcher.metrics.statistics import Statistic
from launcher.metrics.tally import Row, Tallied

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_EXACT: Final = 1 << 53
_DENSE: Final = 6


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
    groups, columns = len(tally.items), statistic.width * len(tally.present)
    scales = np.array([2.0 ** (shift - max(shifts)) for shift in shifts] * len(tally.present))
    if groups * columns <= _DENSE * tally.rows:
        matrix = np.zeros((groups, columns))
        for lines, places, amounts in _rounded(tally, statistic, shifts):
            matrix[lines, places] = amounts
        return Features(scales, matrix=matrix)
    found = list(_rounded(tally, statistic, shifts))
    cells = tuple(np.concatenate(parts) for parts in zip(*found, strict=True))
    return Features(scales, cells=cells)


def _rounded(tally: Tallied, statistic: Statistic, shifts: Sequence[int]) -> Iterator[tuple[Any, Any, Any]]:
    """Yield groups, columns and the amounts that are not 0, cut to what stays exact."""
    import numpy as np

    # NumPy would make floats of a list that mixes whole numbers below and from 2^63.
    by_column = np.array(shifts, dtype=object)
    halves = np.array([(1 << shift) >> 1 for shift in shifts], dtype=object)
    for groups, places, exact in _all_cells(tally, statistic):
        amounts = exact
        if any(shifts):
            columns = places % statistic.width
            amounts = (exact.astype(object) + halves[columns]) >> by_column[columns]
        some = amounts != 0
        yield (
            groups[some].astype(np.int32),
            places[some].astype(np.int32),
            amounts[some].astype(np.float64),
        )


def _all_cells(tally: Tallied, statistic: Statistic) -> Iterator[tuple[Any, Any, Any]]:
    """Yield groups, columns and amounts, each group and column once."""
    if isinstance(tally, CompactTally):
        yield from cells_of_items(tally, statistic)
        return
    import numpy as np

    found = [
        (group, place, amount)
        for group, (rows, _) in enumerate(tally.items)
        for place, amount in _cells(rows, statistic).items()
    ]
    groups, places, amounts = zip(*found, strict=True)
    yield np.array(groups), np.array(places), np.array(amounts, dtype=object)


def _shifts(tally: Tallied, statistic: Statistic) -> list[int]:
    """Return by how many bits each column's amounts are cut so that none exceeds 2^53 / n."""
    largest = [0] * statistic.width
    for _, places, amounts in _all_cells(tally, statistic):
        sizes = abs(amounts)
        if statistic.alike:
            largest[0] = max(largest[0], int(sizes.max()))
            continue
        for column in range(statistic.width):
            largest[column] = max(
                largest[column], int(sizes[places % statistic.width == column].max(initial=0))
            )
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
