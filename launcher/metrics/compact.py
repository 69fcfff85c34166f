"""Compact tallies: what `tally` gives, made from columns of many samples.

A row (replicate, outcome, weight) is one whole number that sorts as the row does; items are grouped by
sorting those. Where few distinct items are left, an ordinary `Tally` comes out.
"""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from heapq import merge
from itertools import accumulate, pairwise, repeat
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from launcher.metrics.collection import Chosen, Collection
from launcher.metrics.columns import ClassColumn, Decode, RightColumn
from launcher.metrics.numbers import Numbers
from launcher.metrics.tally import Item, Outcome, Row, Tally, WholeWeights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]

_FEW_ROWS: Final = 1 << 12
RANK_BITS: Final = 23
RANK: Final = (1 << RANK_BITS) - 1
_STEP: Final = 1 << 18


class Meaning:
    """What the whole numbers that stand for rows mean."""

    def __init__(self, outcomes: Any, decode: Decode, weights: WholeWeights | None) -> None:
        self.outcomes, self._decode, self.weights = outcomes, decode, weights

    def row(self, word: int) -> Row:
        """Return the row that a number stands for."""
        weight = 1 if self.weights is None else self.weights.of_rank(word & RANK)
        return word >> 2 * RANK_BITS, self.outcome(word >> RANK_BITS & RANK), weight

    def outcome(self, rank: int) -> Outcome:
        """Return the outcome of a rank."""
        return self._decode(self.outcomes[rank])


class Outcomes(Sequence[Outcome]):
    """The distinct outcomes, sorted."""

    def __init__(self, meaning: Meaning) -> None:
        self._meaning = meaning

    def __len__(self) -> int:
        return len(self._meaning.outcomes)

    def __getitem__(self, rank: Any) -> Outcome:
        return self._meaning.outcome(rank)


class Items:
    """Distinct items and how many there are of each, sorted; read anew at each iteration."""

    def __init__(self, groups: Sequence[tuple["Words", Any]], meaning: Meaning) -> None:
        self._groups, self._meaning = groups, meaning

    @property
    def total(self) -> int:
        """Return the number of items, distinct or not."""
        return sum(int(counts.sum()) for _, counts in self._groups)

    @property
    def rows(self) -> int:
        """Return the number of rows of the distinct items."""
        return sum(int(patterns.size) for patterns, _ in self._groups)

    @property
    def counts(self) -> Any:
        """Return how many there are of each, in their order."""
        if len(self._groups) == 1:
            return self._groups[0][1]
        return [count for _, count in merge(*(_listed(*group) for group in self._groups))]

    def placed(self) -> Iterator[tuple[Any, "Words", Any]]:
        """Yield places in this order, rows and counts of all items that have the same number of rows."""
        for places, (words, counts) in zip(self._places, self._groups, strict=True):
            yield places, words, counts

    @cached_property
    def _places(self) -> list[Any]:
        import numpy as np

        if len(self._groups) == 1:
            return [np.arange(len(self._groups[0][1]))]
        found = [array("q") for _ in self._groups]
        listed = (
            zip((words for words, _ in _listed(*group)), repeat(which))
            for which, group in enumerate(self._groups)
        )
        for place, (_, which) in enumerate(merge(*listed)):
            found[which].append(place)
        return [np.frombuffer(places, dtype=np.int64) for places in found]

    def __len__(self) -> int:
        return sum(len(counts) for _, counts in self._groups)

    def __iter__(self) -> Iterator[Item]:
        row = self._meaning.row
        for words, count in merge(*(_listed(patterns, counts) for patterns, counts in self._groups)):
            yield tuple(map(row, words)), count


def _listed(patterns: "Words", counts: Any) -> Iterator[tuple[list[int], int]]:
    for start in range(0, len(counts), _STEP):
        part = slice(start, start + _STEP)
        yield from zip(patterns[part].tolist(), counts[part].tolist(), strict=True)


class CompactTally:
    """A tally of many distinct items."""

    def __init__(
        self, errors: int, present: Sequence[bool], items: Items, meaning: Meaning, numbers: Numbers | None
    ) -> None:
        self.errors, self.present, self.items, self.numbers = errors, present, items, numbers
        self.meaning, self.outcomes = meaning, Outcomes(meaning)
        self.n, self.rows = items.total, items.rows

    @property
    def counts(self) -> Sequence[int]:
        """Return how many items there are of each distinct one, in their order."""
        counts: Sequence[int] = self.items.counts
        return counts


class Rows(Struct, frozen=True):
    """One ordinal for each sample chosen, in the order of replicates and places, and what they mean.

    `of_place` has the item of each place of a replicate; None where that is its own. `weights` are those of
    all samples, of which each replicate has `places`.
    """

    ordinals: Any
    decode: Decode
    errors: int
    chosen: Chosen
    weights: Any
    of_place: Any
    places: int


def compact_tally(collection: Collection, index: int) -> Tally | CompactTally:
    """Return the tally of what `collection.wanted[index]` looks at; forgets its column."""
    one, errors = collection.wanted[index], collection.errors[index]
    chosen, items = collection.chosen(one), collection.items
    once = len(chosen.counts) == 1 and items.of_place is None and collection.weights is None
    if once and isinstance(one.column, RightColumn | ClassColumn):
        return _tally_of_kinds(one.column, errors)
    return tally_of_rows(
        Rows(
            one.column.ordinals(),
            one.column.decode(),
            errors,
            chosen,
            collection.weights,
            items.of_place,
            collection.places,
        )
    )


def _tally_of_kinds(column: RightColumn | ClassColumn, errors: int) -> Tally:
    """Return the tally of items measured once each, without NumPy, whose start takes longer than this."""
    kinds, decode = column.kinds(), column.decode()
    counts = [(decode(kind), kinds.count(kind)) for kind in range(4)]
    totals = Counter({outcome: count for outcome, count in counts if count})
    items = tuple((((0, outcome, 1),), count) for outcome, count in totals.items())
    return Tally(len(kinds), errors, items, (totals,))


def tally_of_rows(rows: Rows) -> Tally | CompactTally:
    """Return the tally of samples in columns."""
    import numpy as np

    ordinals, decode, chosen, errors = rows.ordinals, rows.decode, rows.chosen, rows.errors
    weights = _weights(rows)
    if len(chosen.counts) == 1 and rows.of_place is None and weights is None:
        outcomes, counts = np.unique(ordinals, return_counts=True)
        words = np.arange(len(outcomes), dtype=np.uint64) << np.uint64(RANK_BITS)
        groups = [(words[:, None], counts)] if len(words) else []
        numbers = Numbers(outcomes.astype(np.float64), counts) if outcomes.dtype == np.float64 else None
        return _tally(chosen, errors, groups, Meaning(outcomes, decode, None), numbers)
    outcomes, words = _ranked(ordinals)
    whole = None if weights is None else WholeWeights(np.unique(weights))  # type: ignore[arg-type]
    _complete(words, chosen, None if whole is None else whole.ranks(weights))
    del weights
    groups = [_patterns(matrix) for matrix in _by_item(words, rows)]
    return _tally(chosen, errors, groups, Meaning(outcomes, decode, whole))


def _tally(
    chosen: Chosen,
    errors: int,
    groups: Sequence[tuple["Words", Any]],
    meaning: Meaning,
    numbers: Numbers | None = None,
) -> Tally | CompactTally:
    items = Items(groups, meaning)
    if sum(patterns.size for patterns, _ in groups) > _FEW_ROWS:
        present = [count > 0 for count in chosen.counts]
        return CompactTally(errors, present, items, meaning, numbers)
    totals: list[Counter[Outcome]] = [Counter() for _ in chosen.counts]
    for rows, count in items:
        for replicate, outcome, weight in rows:
            totals[replicate][outcome] += weight * count
    return Tally(items.total, errors, tuple(items), tuple(totals))


def _weights(rows: Rows) -> Any:
    """Return the weights of the samples chosen; None where all are 1."""
    import numpy as np

    if rows.weights is None:
        return None
    weights = np.frombuffer(rows.weights, dtype=np.float64)
    return weights if rows.chosen.places is None else weights[_lines(rows)]


def _lines(rows: Rows) -> Any:
    """Return the samples chosen, counted through all replicates."""
    import numpy as np

    lines = np.array(rows.chosen.places, dtype=np.intp)
    for replicate, (start, end) in enumerate(pairwise((0, *accumulate(rows.chosen.counts)))):
        lines[start:end] += replicate * rows.places
    return lines


def _ranked(ordinals: Any) -> tuple[Any, "Words"]:
    """Return the distinct ordinals, sorted, and each sample's rank among them where a word has it.

    The words take the place of the ordinals where those are as wide: there may be millions.
    """
    import numpy as np

    outcomes = np.unique(ordinals)
    fits = ordinals.dtype.itemsize == 8 and ordinals.flags.writeable
    words: Words = ordinals.view(np.uint64) if fits else np.empty(len(ordinals), dtype=np.uint64)
    for start in range(0, len(ordinals), _STEP):
        part = slice(start, start + _STEP)
        words[part] = np.searchsorted(outcomes, ordinals[part])
        words[part] <<= np.uint64(RANK_BITS)
    return outcomes, words


def _complete(words: "Words", chosen: Chosen, weights: Any) -> None:
    """Add replicate and weight to the words, each of which then stands for a row."""
    import numpy as np

    if weights is not None:
        words |= weights
    for replicate, (start, end) in enumerate(pairwise((0, *accumulate(chosen.counts)))):
        words[start:end] |= np.uint64(replicate << 2 * RANK_BITS)


def _by_item(words: "Words", rows: Rows) -> Iterator["Words"]:
    """Yield the rows of all items that have the same number of them: item by row, sorted."""
    import numpy as np

    of_place, chosen = rows.of_place, rows.chosen
    if of_place is None and chosen.places is None:
        yield words.reshape(len(chosen.counts), -1).T
        return
    if chosen.places is None and of_place is not None:
        item = np.tile(np.frombuffer(of_place, dtype=np.uint32), len(chosen.counts))
    else:
        places = np.frombuffer(chosen.places or b"", dtype=np.uint32)
        item = places if of_place is None else np.frombuffer(of_place, dtype=np.uint32)[places]
    words = words[np.argsort(item, kind="stable")]
    sizes = np.bincount(item)
    starts = np.cumsum(sizes) - sizes
    for size in np.unique(sizes[sizes > 0]).tolist():
        of_size = starts[sizes == size]
        yield np.sort(words[of_size[:, None] + np.arange(size)], axis=1)


def _patterns(matrix: "Words") -> tuple["Words", Any]:
    """Return the distinct lines of a matrix, sorted, and how often each occurs."""
    import numpy as np

    if matrix.shape[1] == 1:
        patterns, counts = np.unique(matrix[:, 0], return_counts=True)
        return patterns[:, None], counts
    matrix = matrix[np.lexsort(matrix.T[::-1])]
    first = np.ones(len(matrix), dtype=bool)
    for column in matrix.T:
        # Gathered column by column, so that no second matrix of Booleans is held.
        first[1:] &= column[1:] == column[:-1]
    first[1:] = ~first[1:]
    starts = np.flatnonzero(first)
    if len(starts) == len(matrix):
        return matrix, np.ones(len(matrix), dtype=np.int64)
    return matrix[starts], np.diff(starts, append=len(matrix))
