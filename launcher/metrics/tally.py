"""The tally: samples reduced to counts of outcomes, exact and free of order.

An outcome is what a metric needs of one sample: `(target key, prediction key)` or a number. Weights are
turned into whole numbers over one common power of two, so that every sum is exact and the samples' order,
the machine and its mathematics library cannot change a digit.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from launcher.spec.sample import Sample

_WEIGHT_BITS = 900

Outcome = Any
Row = tuple[int, Outcome, int]


class Tally(Struct, frozen=True):
    """What is left of a set of samples.

    `items` has each distinct tuple of rows `(replicate, outcome, weight)` that one item (task and id) gave,
    with the number of items that gave it, sorted. `totals` has the weight of each outcome by replicate.
    """

    n: int
    errors: int
    items: tuple[tuple[tuple[Row, ...], int], ...]
    totals: tuple[Mapping[Outcome, int], ...]

    @property
    def outcomes(self) -> list[Outcome]:
        """Return the distinct outcomes, sorted."""
        return sorted(set().union(*self.totals))


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


def _whole_weights(samples: Sequence[Sample]) -> list[int]:
    """Return the weights times the least power of two that makes all of them whole.

    A weight 2^900 times smaller than the largest is rounded, so that sums stay within a double's range.
    """
    ratios = [(1, 1) if sample.weight is None else sample.weight.as_integer_ratio() for sample in samples]
    common = max((denominator for _, denominator in ratios), default=1)
    weights = [numerator * (common // denominator) for numerator, denominator in ratios]
    excess = max((weight.bit_length() for weight in weights), default=0) - _WEIGHT_BITS
    return weights if excess <= 0 else [max(weight >> excess, 1) for weight in weights]
