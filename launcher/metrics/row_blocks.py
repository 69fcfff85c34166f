"""Rows of very many distinct items, some thousand at a time: what each adds to a statistic, exactly.

What is added is a whole number without bound: 64 bits where every weight is 1 and outcomes are labels, else
Python's own, in arrays of objects.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from launcher.metrics.compact import RANK, RANK_BITS, CompactTally
from launcher.metrics.statistics import Mean, Statistic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.generic]

_MOST_ROWS: Final = 1 << 16


class RowBlock(Struct, frozen=True):
    """Distinct items that have the same number of rows: all arrays but the first two are item by row.

    `groups` are the items' places in the tally's order, `counts` how many there are of each. `parts` are what
    a row adds to a column, and which column that is, three at the most.
    """

    groups: Any
    counts: Any
    replicates: Any
    outcomes: Any
    weights: Any
    parts: Sequence[tuple[Any, Any]]


def row_blocks(tally: CompactTally, statistic: Statistic) -> Iterator[RowBlock]:
    """Yield the tally's distinct items with what their rows add."""
    import numpy as np

    tables = _Tables(tally, statistic)
    for groups, words, counts in tally.items.placed():
        size = max(1, _MOST_ROWS // words.shape[1])
        for start in range(0, len(words), size):
            part = words[start : start + size]
            ranks = (part >> np.uint64(RANK_BITS) & np.uint64(RANK)).astype(np.intp)
            weights = tables.weights(part)
            yield RowBlock(
                groups[start : start + size],
                counts[start : start + size],
                (part >> np.uint64(2 * RANK_BITS)).astype(np.intp),
                ranks,
                weights,
                tables.parts(ranks, weights),
            )


class _Tables:
    """What each outcome adds for a weight of 1; of very many outcomes only those of one block."""

    def __init__(self, tally: CompactTally, statistic: Statistic) -> None:
        self._statistic, self._meaning = statistic, tally.meaning
        self._kind: Any = object if isinstance(statistic, Mean) or self._meaning.weights else "int64"
        outcomes = tally.outcomes
        self._known = self._table(list(range(len(outcomes)))) if len(outcomes) <= _MOST_ROWS else None

    def weights(self, words: Any) -> Any:
        """Return the whole number for the weight of each word; 1 where all are."""
        import numpy as np

        whole = self._meaning.weights
        if whole is None:
            return 1
        ranks, places = np.unique((words & np.uint64(RANK)).astype(np.intp), return_inverse=True)
        return np.array(whole.of_ranks(ranks), dtype=object)[places].reshape(words.shape)

    def parts(self, ranks: Any, weights: Any) -> list[tuple[Any, Any]]:
        """Return amounts and columns of the rows with these outcomes."""
        import numpy as np

        table, places = self._known, ranks
        if table is None:
            some, places = np.unique(ranks, return_inverse=True)
            table, places = self._table(some.tolist()), places.reshape(ranks.shape)
        return [(amounts[places] * weights, columns[places]) for amounts, columns in table]

    def _table(self, ranks: Sequence[int]) -> list[tuple[Any, Any]]:
        import numpy as np

        if isinstance(self._statistic, Mean):
            return self._numbers(ranks)
        found = [tuple(self._statistic.parts(self._meaning.outcome(rank))) for rank in ranks]
        table = []
        for part in range(max(map(len, found), default=0)):
            cells = [next(islice(parts, part, None), (0, 0)) for parts in found]
            amounts = np.array([amount for _, amount in cells], dtype=self._kind)
            table.append((amounts, np.array([column for column, _ in cells], dtype=np.intp)))
        return table

    def _numbers(self, ranks: Sequence[int]) -> list[tuple[Any, Any]]:
        """Return what `Mean.parts` gives of each number, in a third of the time."""
        import numpy as np

        scale = self._statistic.scale  # type: ignore[attr-defined]
        ratios = [number.as_integer_ratio() for number in self._meaning.outcomes[ranks].tolist()]
        totals = np.array([numerator * (scale // of) for numerator, of in ratios], dtype=object)
        units, nowhere = np.full(len(ratios), scale, dtype=object), np.zeros(len(ratios), dtype=np.intp)
        return [(totals, nowhere), (units, nowhere + 1)]


def sums_of_columns(tally: CompactTally, statistic: Statistic) -> list[list[int]]:
    """Return the exact column sums of each replicate's outcomes."""
    import numpy as np

    width, replicates = statistic.width, len(tally.present)
    sums = [0] * (width * replicates)
    for block in row_blocks(tally, statistic):
        for amounts, columns in block.parts:
            places, counted = (block.replicates * width + columns).ravel(), amounts * block.counts[:, None]
            order = np.argsort(places, kind="stable")
            found, starts = np.unique(places[order], return_index=True)
            totals = np.add.reduceat(counted.ravel()[order], starts)
            for place, total in zip(found.tolist(), totals.tolist(), strict=True):
                sums[place] += total
    return [sums[start : start + width] for start in range(0, len(sums), width)]


def cells_of_items(tally: CompactTally, statistic: Statistic) -> Iterator[tuple[Any, Any, Any]]:
    """Yield places of distinct items, columns (replicate by column of the statistic) and what is added."""
    import numpy as np

    columns = statistic.width * len(tally.present)
    for block in row_blocks(tally, statistic):
        first = block.replicates * statistic.width + block.groups[:, None] * columns
        keys = np.concatenate([(first + places).ravel() for _, places in block.parts])
        amounts = np.concatenate([amounts.ravel() for amounts, _ in block.parts])
        order = np.argsort(keys, kind="stable")
        found, starts = np.unique(keys[order], return_index=True)
        yield found // columns, found % columns, np.add.reduceat(amounts[order], starts)


def sums_of_items(tally: CompactTally, statistic: Statistic) -> Iterator[tuple[Any, Any, Any]]:
    """Yield what distinct items add to a mean's numerator and denominator, and how many there are of each."""
    for block in row_blocks(tally, statistic):
        (totals, _), (weights, _) = block.parts
        yield totals.sum(axis=1), weights.sum(axis=1), block.counts


def trials_of_items(tally: CompactTally, statistic: Any) -> tuple[int, int, int]:
    """Return how many items are trials, the sum of their weights, and that of the squares of those."""
    import numpy as np

    items = total = squares = 0
    flags = np.array([statistic.trials(outcome) for outcome in tally.outcomes])
    for block in row_blocks(tally, statistic):
        weights = (flags[block.outcomes].astype(object) * block.weights).sum(axis=1)
        items += int(block.counts[weights != 0].sum())
        total += (weights * block.counts).sum()
        squares += (weights * weights * block.counts).sum()
    return items, int(total), int(squares)
