"""Views: what a metric looks at in a sample."""

from math import isfinite

from msgspec import Struct

from launcher.errors import MalformedError
from launcher.metrics.correct_digits import correct_digits
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
        if self.is_failed(sample):
            raise _refused(sample, "has no number as `prediction`")
        difference = abs(_number(sample, "prediction") - _number(sample, "target"))
        deviation = difference * difference if self.squared else difference
        if not isfinite(deviation):
            raise _refused(sample, "is too far from its target for a double")
        return deviation

    def is_failed(self, sample: Sample) -> bool:
        """Say whether the sample has an error or no prediction."""
        return sample.error is not None or sample.prediction is None


class Digits(Struct, frozen=True):
    """To how many digits a number predicted is its target, `most` at the most; a failed item has none."""

    most: int

    def outcome(self, sample: Sample) -> float:
        """Return the number of correct digits, which need not be whole."""
        target = _number(sample, "target")
        if self.is_failed(sample):
            return 0.0
        return correct_digits(_number(sample, "prediction"), target, self.most)

    def is_failed(self, sample: Sample) -> bool:
        """Say whether the sample has an error or no prediction."""
        return sample.error is not None or sample.prediction is None


def _number(sample: Sample, field: str) -> float:
    """Return the sample's `field` as a double; raises `MalformedError` where it is no number."""
    value = getattr(sample, field)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _refused(sample, f"has no number as `{field}`")
    return float(value)


def _refused(sample: Sample, what: str) -> MalformedError:
    return MalformedError(
        f"the sample {ascii(sample.id)[:80]} {what}, so the metric has no value",
        code="bad-samples",
        context="expected: every sample that the metric covers can be measured",
    )
