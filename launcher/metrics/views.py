"""Views: what a metric looks at in a sample."""

from math import isfinite
from typing import Any

from msgspec import Struct

from launcher.errors import MalformedError
from launcher.metrics.labels import label_key
from launcher.spec.sample import Sample


class Labels(Struct, frozen=True):
    """The target's and the prediction's label; a failed item's prediction is "", which no label is."""

    def outcome(self, sample: Sample) -> tuple[str, str]:
        """Return (target, prediction)."""
        if sample.target is None:
            raise _refused(sample, "has no `target`")
        return label_key(sample.target), "" if self.is_failed(sample) else label_key(sample.prediction)

    def is_failed(self, sample: Sample) -> bool:
        """Say whether the sample has an error or no prediction."""
        return sample.error is not None or sample.prediction is None


class Scores(Struct, frozen=True):
    """The number a container left as `scores.NAME`; a sample without it is refused, never left out."""

    name: str

    def outcome(self, sample: Sample) -> float:
        """Return the score."""
        score = (sample.scores or {}).get(self.name)
        if score is None:
            raise _refused(sample, f"has no `scores.{self.name}`")
        return score

    def is_failed(self, sample: Sample) -> bool:
        """Say whether the sample has an error."""
        return sample.error is not None


class Deviations(Struct, frozen=True):
    """How far a number predicted is from its target, or the square of that; failed items are refused."""

    squared: bool

    def outcome(self, sample: Sample) -> float:
        """Return |prediction - target| or its square, in double precision."""
        if self.is_failed(sample) or not _is_number(sample.prediction):
            raise _refused(sample, "has no number as `prediction`")
        if not _is_number(sample.target):
            raise _refused(sample, "has no number as `target`")
        difference = abs(float(sample.prediction) - float(sample.target))
        deviation = difference * difference if self.squared else difference
        if not isfinite(deviation):
            raise _refused(sample, "is too far from its target for a double")
        return deviation

    def is_failed(self, sample: Sample) -> bool:
        """Say whether the sample has an error or no prediction."""
        return sample.error is not None or sample.prediction is None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _refused(sample: Sample, what: str) -> MalformedError:
    return MalformedError(
        f"the sample {ascii(sample.id)[:80]} {what}, so the metric has no value",
        code="bad-samples",
        context="expected: every sample that the metric covers can be measured",
    )
