"""The tally: samples reduced to counts of outcomes, exact and free of order.

An outcome is what a metric needs of one sample: `(target key, prediction key)` or a number. Weights are
turned into whole numbers over one common power of two, so that every sum is exact and the samples' order,
the machine and its mathematics library cannot change a digit.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from launcher.metrics.numbers import Numbers
from launcher.spec.sample import Sample

_WEIGHT_BITS = 900

Outcome = Any
Row = tuple[int, Outcome, int]
Item = tuple[tuple[Row, ...], int]


class Tally(Struct, frozen=True):
    """What is left of a set of samples.

    `items` has each distinct tuple of rows `(replicate, outcome, weight)` that one item (task and id) gave,
    with the number of items that gave it, sorted. `totals` has the weight of each outcome by replicate.
    """

    n: int
    errors: int
    items: tuple[Item, ...]
    totals: tuple[Mapping[Outcome, int], ...]

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """Return the distinct outcomes, sorted."""
        return sorted(set().union(*self.totals))

    @property
    def counts(self) -> Sequence[int]:
        """Return how many items there are of each distinct one."""
        return [count for _, count in self.items]

    @property
    def rows(self) -> int:
        """Return how many rows the distinct items have."""
        return sum(len(rows) for rows, _ in self.items)

    @property
    def present(self) -> Sequence[bool]:
        """Say of each replicate whether it has a sample."""
        return [bool(total) for total in self.totals]

    @property
    def numbers(self) -> None:
        """Return None: they are few enough."""


class Tallied(Protocol):
    """What metrics are computed from: a `Tally`, or what stands for one of very many distinct items."""

    @property
    def n(self) -> int:
        """Return the number of items."""

    @property
    def errors(self) -> int:
        """Return the number of failed samples."""

    @property
    def items(self) -> "DistinctItems":
        """Return the distinct items with their numbers, sorted."""

    @property
    def counts(self) -> Sequence[int]:
        """Return how many items there are of each distinct one, in their order."""

    @property
    def rows(self) -> int:
        """Return how many rows the distinct items have."""

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """Return the distinct outcomes, sorted."""

    @property
    def present(self) -> Sequence[bool]:
        """Say of each replicate whether it has a sample."""

    @property
    def numbers(self) -> Numbers | None:
        """Return the items as bare numbers, where they are that and too many to be looked at one by one."""


class DistinctItems(Protocol):
    """Distinct items, which can be read more than once."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Item]: ...


class View(Protocol):
    """What a metric looks at in a sample; equal views give equal tallies."""

    def outcome(self, sample: Sample) -> Outcome:
        """Return the sample's outcome; raises `MalformedError` where it has none."""

    def is_failed(self, sample: Sample) -> bool:
        """Say whether the sample counts as a failed item."""


def tally(samples: Sequence[Sample], view: View, replicates: int) -> Tally:
    """Reduce `samples`, whose replicates are 0 to `replicates` - 1, to their outcomes."""
    weights = _whole_weights(samples)
    rows: dict[tuple[str | None, str], list[Row]] = {}
    totals: list[Counter[Outcome]] = [Counter() for _ in range(replicates)]
    for sample, weight in zip(samples, weights, strict=True):
        outcome, replicate = view.outcome(sample), sample.replicate or 0
        rows.setdefault((sample.task, sample.id), []).append((replicate, outcome, weight))
        totals[replicate][outcome] += weight
    items = Counter(tuple(sorted(of_item)) for of_item in rows.values())
    errors = sum(map(view.is_failed, samples))
    return Tally(len(rows), errors, tuple(sorted(items.items())), tuple(totals))


class WholeWeights:
    """Weights times the least power of two that makes all of them whole, smallest first.

    A weight 2^900 times smaller than the largest is rounded, so that sums stay within a double's range.
    """

    def __init__(self, weights: Sequence[float]) -> None:
        self._common = max((weight.as_integer_ratio()[1] for weight in weights), default=1)
        largest = self._whole(weights[-1]).bit_length() if len(weights) else 0
        self._excess = max(largest - _WEIGHT_BITS, 0)
        self._distinct = weights

    def of(self, weight: float) -> int:
        """Return the whole number for a weight."""
        whole = self._whole(weight)
        return max(whole >> self._excess, 1) if self._excess else whole

    def of_rank(self, rank: int) -> int:
        """Return the whole number for the weight at this rank."""
        return self.of(self._distinct[rank])

    def of_ranks(self, ranks: Any) -> list[int]:
        """Return the whole numbers for the weights at an array of ranks."""
        if self._excess:
            return [self.of_rank(rank) for rank in ranks.tolist()]
        ratios = [weight.as_integer_ratio() for weight in self._distinct[ranks].tolist()]
        return [numerator * (self._common // denominator) for numerator, denominator in ratios]

    def ranks(self, weights: Any) -> Any:
        """Return the rank of each of `weights`; weights with the same whole number have the same."""
        import numpy as np

        if self._excess:
            self._distinct = [weight for weight, _ in self._classes()]
        return (np.searchsorted(self._distinct, weights, side="right") - 1).astype(np.uint64)

    def _classes(self) -> Iterator[tuple[float, int]]:
        """Yield the least weight of each whole number."""
        last = 0
        for weight in self._distinct:
            if (whole := self.of(weight)) != last:
                yield weight, whole
            last = whole

    def _whole(self, weight: float) -> int:
        numerator, denominator = weight.as_integer_ratio()
        return numerator * (self._common // denominator)


def _whole_weights(samples: Sequence[Sample]) -> list[int]:
    given = [1.0 if sample.weight is None else float(sample.weight) for sample in samples]
    whole = WholeWeights(sorted(set(given)))
    return [whole.of(weight) for weight in given]
