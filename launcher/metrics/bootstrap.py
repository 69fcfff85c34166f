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

MAX_CELLS = 1 << 26


def can_resample(tally: Tallied, statistic: Statistic) -> bool:
    """Say whether the statistic's columns are few enough to be held for each group of items."""
    return len(tally.items) * len(tally.present) * statistic.width <= MAX_CELLS


def resampled_values(tally: Tallied, statistics: Sequence[Statistic], resamples: int) -> list["Array"]:
    """Return each statistic's values over the same resamples."""
    import numpy as np

    arithmetic = Arithmetic(_divide, np.sqrt, lambda function, *columns: function(*columns))
    features = [features_of(tally, statistic) for statistic in statistics]
    values = [np.empty(resamples) for _ in statistics]
    widest = max(len(tally.present) * statistic.width for statistic in statistics)
    start = 0
    for counts in draws(tally.counts, resamples, widest):
        for statistic, feature, found in zip(statistics, features, values, strict=True):
            found[start : start + len(counts)] = _values(feature.sums(counts), statistic, arithmetic)
        start += len(counts)
    return values


def percentile_interval(values: "Array", level: float) -> tuple[float, float] | None:
    """Return the interval of resampled `values`; None where they are too few for `level` or all the same."""
    import numpy as np

    ordered = np.sort(values).tolist()
    rank = int((len(ordered) + 1) * (1 - Decimal(repr(level))) / 2)
    if rank < 1 or ordered[0] == ordered[-1]:
        return None
    return ordered[rank - 1], ordered[-rank]


def _values(sums: "Array", statistic: Statistic, arithmetic: Arithmetic) -> "Array":
    """Return the statistic of each resample's column sums, the mean over replicates."""
    import numpy as np

    columns = np.ascontiguousarray(sums.reshape(len(sums), -1, statistic.width).transpose(2, 1, 0))
    of_replicates = statistic.value(columns, arithmetic)
    average: Array = sum(of_replicates) / len(of_replicates)
    return average


def _divide(numerator: Any, denominator: Any) -> Any:
    import numpy as np

    return np.divide(
        numerator, denominator, out=np.zeros_like(denominator, dtype=float), where=denominator != 0
    )
