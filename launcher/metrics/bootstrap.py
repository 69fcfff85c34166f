"""The bootstrap: percentile intervals that any verifier gets again, bit for bit.

The items (task and id, with all their epochs and replicates) are drawn with replacement, n at a time:

1. Items with the same rows are one group; groups are sorted, and items numbered 0 to n-1 group by group.
2. PCG64 (XSL-RR, 128 bits) starts from SHA-256 of `evalctl/bootstrap/v1`: state the first 16 bytes and
   increment the last 16, big-endian, the increment's lowest bit set. Resample b takes the words b*n to
   b*n + n-1; the word w draws the item ((w >> 32) * n) >> 32.
3. The statistic of each resample comes from column sums in whole numbers of at most 2^53 (what an item adds
   is cut to at most 2^53 / n first, half up, at a power of two), and is the mean over replicates.
4. Of B sorted values the interval is the k-th from either end, k the whole part of (B + 1) * (1 - level) / 2.

https://www.pcg-random.org/paper.html; Davison and Hinkley (1997), section 5.2.1
"""

import hashlib
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from launcher.metrics.statistics import Arithmetic, Statistic
from launcher.metrics.tally import Tally

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

DEFAULT_RESAMPLES = 1000
MIN_RESAMPLES = 100
MAX_RESAMPLES = 100_000
MAX_CELLS = 1 << 26
_SEED = b"evalctl/bootstrap/v1"
_BLOCK = 1 << 21
_EXACT = 1 << 53


def resampled_values(
    tally: Tally, statistics: Sequence[Statistic], resamples: int
) -> list[list[float] | None]:
    """Return each statistic's values over the same resamples; None where its columns are too many to hold."""
    import numpy as np

    replicates = len(tally.totals)
    arithmetic = Arithmetic(_divide, np.sqrt)
    held = [len(tally.items) * replicates * statistic.width <= MAX_CELLS for statistic in statistics]
    features = [
        _features(tally, statistic) if fits else None
        for statistic, fits in zip(statistics, held, strict=True)
    ]
    values: list[list[float]] = [[] for _ in statistics]
    for counts in _draws([count for _, count in tally.items], resamples):
        for statistic, feature, found in zip(statistics, features, values, strict=True):
            if feature is not None:
                found.extend(_values(counts, feature, statistic, arithmetic).tolist())
    return [found if fits else None for found, fits in zip(values, held, strict=True)]


def percentile_interval(values: Sequence[float], level: float) -> tuple[float, float] | None:
    """Return the interval of resampled `values`; None where they are too few for `level` or all the same."""
    ordered = sorted(values)
    rank = int((len(ordered) + 1) * (1 - Decimal(repr(level))) / 2)
    if rank < 1 or ordered[0] == ordered[-1]:
        return None
    return ordered[rank - 1], ordered[-rank]


def _draws(counts: Sequence[int], resamples: int) -> Iterator["Array"]:
    """Yield blocks of resamples: how often each group was drawn (resample by group)."""
    import numpy as np

    words, n, groups = _words(), sum(counts), len(counts)
    group_of = np.repeat(np.arange(groups), counts)
    block = max(1, _BLOCK // max(n, groups))
    for start in range(0, resamples, block):
        size = min(block, resamples - start)
        drawn = ((words.random_raw(size * n) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32)
        picked = group_of[drawn.astype(np.intp)].reshape(size, n) + groups * np.arange(size)[:, None]
        yield np.bincount(picked.ravel(), minlength=size * groups).reshape(size, groups).astype(np.float64)


def _words() -> Any:
    import numpy as np

    seed = hashlib.sha256(_SEED).digest()
    generator = np.random.PCG64(0)
    generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": int.from_bytes(seed[:16]), "inc": int.from_bytes(seed[16:]) | 1},
        "has_uint32": 0,
        "uinteger": 0,
    }
    return generator


def _features(tally: Tally, statistic: Statistic) -> tuple["Array", "Array"]:
    """Return what one item of each group adds to each column (group by replicate and column), and the scales.

    The columns are whole numbers whose sums over n items stay exact in a double.
    """
    import numpy as np

    width = statistic.width
    amounts: dict[tuple[int, int], int] = {}
    for group, (rows, _) in enumerate(tally.items):
        for replicate, outcome, weight in rows:
            for column, amount in statistic.parts(outcome):
                cell = (group, replicate * width + column)
                amounts[cell] = amounts.get(cell, 0) + amount * weight
    shifts = _shifts(amounts, width, _EXACT // tally.n)
    if statistic.alike:
        shifts = [max(shifts)] * width
    matrix = np.zeros((len(tally.items), width * len(tally.totals)))
    for (group, place), amount in amounts.items():
        shift = shifts[place % width]
        matrix[group, place] = (amount + (1 << shift >> 1)) >> shift
    top = max(shifts)
    scales = np.array([2.0 ** (shift - top) for shift in shifts] * len(tally.totals))
    return matrix, scales


def _shifts(amounts: dict[tuple[int, int], int], width: int, limit: int) -> list[int]:
    """Return by how many bits each column's amounts are cut so that none exceeds `limit`."""
    largest = [0] * width
    for (_, place), amount in amounts.items():
        largest[place % width] = max(largest[place % width], abs(amount))
    return [(amount // limit).bit_length() for amount in largest]


def _values(
    counts: "Array", features: tuple["Array", "Array"], statistic: Statistic, arithmetic: Arithmetic
) -> "Array":
    matrix, scales = features
    sums, width = (counts @ matrix) * scales, statistic.width
    replicates = sums.shape[1] // width
    total: Any = 0.0
    for replicate in range(replicates):
        columns = list(sums[:, replicate * width : (replicate + 1) * width].T)
        total = total + statistic.value(columns, arithmetic)
    average: Array = total / replicates
    return average


def _divide(numerator: Any, denominator: Any) -> Any:
    import numpy as np

    return np.divide(
        numerator, denominator, out=np.zeros_like(denominator, dtype=float), where=denominator != 0
    )
