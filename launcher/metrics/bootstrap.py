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

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from launcher.metrics.draws import draws
from launcher.metrics.features import features_of
from launcher.metrics.statistics import Arithmetic, Statistic
from launcher.metrics.tally import Tallied

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

DEFAULT_RESAMPLES = 1000
MIN_RESAMPLES = 100
MAX_RESAMPLES = 100_000
MAX_CELLS = 1 << 26


def resampled_values(
    tally: Tallied, statistics: Sequence[Statistic], resamples: int
) -> list[list[float] | None]:
    """Return each statistic's values over the same resamples; None where its columns are too many to hold."""
    import numpy as np

    replicates, groups = len(tally.present), len(tally.items)
    arithmetic = Arithmetic(_divide, np.sqrt)
    held = [groups * replicates * statistic.width <= MAX_CELLS for statistic in statistics]
    features = [
        features_of(tally, statistic) if fits else None
        for statistic, fits in zip(statistics, held, strict=True)
    ]
    values: list[list[float]] = [[] for _ in statistics]
    widest = max(
        (replicates * one.width for one, fits in zip(statistics, held, strict=True) if fits), default=1
    )
    for counts in draws([count for _, count in tally.items], resamples, widest):
        for statistic, feature, found in zip(statistics, features, values, strict=True):
            if feature is not None:
                found.extend(_values(feature.sums(counts), statistic, arithmetic).tolist())
    return [found if fits else None for found, fits in zip(values, held, strict=True)]


def percentile_interval(values: Sequence[float], level: float) -> tuple[float, float] | None:
    """Return the interval of resampled `values`; None where they are too few for `level` or all the same."""
    ordered = sorted(values)
    rank = int((len(ordered) + 1) * (1 - Decimal(repr(level))) / 2)
    if rank < 1 or ordered[0] == ordered[-1]:
        return None
    return ordered[rank - 1], ordered[-rank]


def _values(sums: "Array", statistic: Statistic, arithmetic: Arithmetic) -> "Array":
    """Return the statistic of each resample's column sums, the mean over replicates."""
    width = statistic.width
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
