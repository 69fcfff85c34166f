"""The bound on the work that metrics may ask for, so that no blueprint and no samples make anybody wait.

Work is counted in steps of some twenty nanoseconds. It follows from the lock and the samples alone, so that
every machine refuses the same:

- LOOK for each sample that each metric is over;
- MATCH for each sample of the run and each group that a distinct `where` names;
- one for each item drawn in each resample, once for all metrics that look at the same of the same samples;
- RESAMPLE for each resample of each metric, and one for each row of its distinct items and each column.

Rows are (replicate, outcome, weight). The columns are 2 a replicate, 3 for the score of a class, and 3 a
label for an average over labels. What is not resampled counts nothing there: a metric without a value, of one
item, or of too many labels to hold.
"""

from collections.abc import Sequence
from typing import Final

MAX_WORK: Final = 3_000_000_000
LOOK: Final = 80
MATCH: Final = 10
RESAMPLE: Final = 500
DEFAULT_RESAMPLES: Final = 1000
MIN_RESAMPLES: Final = 100
MAX_RESAMPLES: Final = 100_000

_FEWEST_ITEMS: Final = 2
_FEWEST_COLUMNS: Final = 2


def resample_work(rows: int, columns: int) -> int:
    """Return the steps of computing one metric from one resample."""
    return RESAMPLE + rows + columns


def place_beyond(resamples: Sequence[int], replicates: int) -> int | None:
    """Return which metric is the first that no samples could be few enough for; None where there is none.

    `resamples` has the number of each metric, 0 where it is not resampled, as fewer than two items never are.
    """
    work = 0
    for place, count in enumerate(resamples):
        work += _FEWEST_ITEMS * replicates * LOOK
        work += count * resample_work(replicates, _FEWEST_COLUMNS * replicates)
        if work > MAX_WORK:
            return place
    return None
