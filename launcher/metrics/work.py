"""The meter of the work that metrics take: it refuses before what would be too much is done."""

from collections.abc import Iterable

from launcher.errors import MalformedError
from launcher.metrics.matching import Where
from launcher.spec.work import LOOK, MATCH, MAX_WORK, resample_work


class Meter:
    """The steps taken so far, of those that one bundle's metrics may take."""

    def __init__(self) -> None:
        self.steps = 0

    def look(self, samples: int, metrics: int = 1) -> None:
        """Count that `metrics` look at as many samples each."""
        self._spend(LOOK * samples * metrics)

    def match(self, samples: int, wheres: Iterable[Where]) -> None:
        """Count that samples are held against each of the distinct `wheres`."""
        self._spend(MATCH * samples * sum(map(len, wheres)))

    def draw(self, resamples: int, items: int) -> None:
        """Count that so many items are drawn in each resample."""
        self._spend(resamples * items)

    def resample(self, resamples: int, rows: int, columns: int) -> None:
        """Count that one metric is computed from each resample."""
        self._spend(resamples * resample_work(rows, columns))

    def _spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_WORK:
            raise MalformedError(
                "the metrics take too much work over these samples",
                code="bad-samples",
                context=f"more than {MAX_WORK} steps: samples times metrics, and resamples times items",
                hint="fewer samples, metrics or resamples; docs/numbers.md has the formula",
            )
