"""Statistics: functions of exact column sums, the same for one data set and for a block of resamples.

Each outcome adds to a few columns; a statistic's value is made of the columns' sums. The sums are Python
integers for the headline and numpy arrays (one entry a resample) for the bootstrap: `Arithmetic` holds the
two operations that differ. No statistic changes when every sum is multiplied by one number.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol

from msgspec import Struct

from launcher.metrics.tally import Outcome, Tallied, Tally

Columns = Any
Score = Literal["precision", "recall", "f1"]
Average = Literal["macro", "micro", "weighted"]


class Arithmetic(Struct, frozen=True):
    """Division where 0/0 is 0, the square root, and what gives a function of each label's sums."""

    divide: Callable[[Any, Any], Any]
    root: Callable[[Any], Any]
    each: Callable[..., Any]


def _divide(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else 0.0


SCALARS = Arithmetic(_divide, math.sqrt, map)


class Statistic(Protocol):
    """A function of column sums; `alike` says that its columns count in one unit."""

    @property
    def width(self) -> int:
        """Return the number of columns."""

    @property
    def alike(self) -> bool:
        """Say whether amounts that are too large are rounded alike in all columns."""

    def parts(self, outcome: Outcome) -> Iterable[tuple[int, int]]:
        """Yield (column, amount) for one sample of weight 1."""

    def value(self, columns: Columns, arithmetic: Arithmetic) -> Any:
        """Return the statistic of the columns' sums."""


class Accuracy(Struct, frozen=True):
    """The share of samples whose prediction is the target."""

    width: int = 2
    alike: bool = True

    def parts(self, outcome: Outcome) -> Iterable[tuple[int, int]]:
        """Yield whether the prediction is right, and 1."""
        target, prediction = outcome
        return ((0, int(target == prediction)), (1, 1))

    def value(self, columns: Columns, arithmetic: Arithmetic) -> Any:
        """Return right / all."""
        return arithmetic.divide(columns[0], columns[1])

    def trials(self, outcome: Outcome) -> int:
        """Return 1: every sample is a trial."""
        del outcome
        return 1

    def to_share(self, value: float) -> float:
        """Return `value`."""
        return value

    def from_share(self, share: float) -> float:
        """Return `share`."""
        return share


class ClassScore(Struct, frozen=True):
    """Precision, recall or F1 of one label."""

    score: Score
    label: str
    width: int = 3
    alike: bool = True

    def parts(self, outcome: Outcome) -> Iterable[tuple[int, int]]:
        """Yield true positive, predicted, actual."""
        target, prediction = outcome
        actual, predicted = int(target == self.label), int(prediction == self.label)
        return ((0, actual * predicted), (1, predicted), (2, actual))

    def value(self, columns: Columns, arithmetic: Arithmetic) -> Any:
        """Return the label's score."""
        return _score(self.score, columns[0], columns[1], columns[2], arithmetic)

    def trials(self, outcome: Outcome) -> int:
        """Return 1 where the label was predicted (precision), was the target (recall), or either (F1)."""
        target, prediction = outcome
        predicted, actual = prediction == self.label, target == self.label
        return int({"precision": predicted, "recall": actual, "f1": predicted or actual}[self.score])

    def to_share(self, value: float) -> float:
        """Return `value`; for F1 the share TP / (TP + FP + FN), which is F1 / (2 - F1)."""
        return value / (2.0 - value) if self.score == "f1" else value

    def from_share(self, share: float) -> float:
        """Undo `to_share`."""
        return 2.0 * share / (1.0 + share) if self.score == "f1" else share


class AverageScore(Struct, frozen=True):
    """Precision, recall or F1 over all labels; `places` has each label's index, in the labels' order."""

    score: Score
    average: Average
    places: Mapping[str, int]
    alike: bool = True

    @property
    def width(self) -> int:
        """Return three columns a label."""
        return 3 * len(self.places)

    def parts(self, outcome: Outcome) -> Iterable[tuple[int, int]]:
        """Yield the non-zero ones of (true positive, predicted, actual) of the two labels."""
        target, prediction = outcome
        yield 3 * self.places[target] + 2, 1
        if prediction:
            yield 3 * self.places[prediction] + 1, 1
        if prediction == target:
            yield 3 * self.places[target], 1

    def value(self, columns: Columns, arithmetic: Arithmetic) -> Any:
        """Return the average over the labels that occur."""
        true, predicted, actual = columns[0::3], columns[1::3], columns[2::3]
        if self.average == "micro":
            return _score(self.score, sum(true), sum(predicted), sum(actual), arithmetic)
        scores = arithmetic.each(
            lambda t, p, a: _score(self.score, t, p, a, arithmetic), true, predicted, actual
        )
        if self.average == "macro":
            occurring = sum((p + a > 0) * 1 for p, a in zip(predicted, actual, strict=True))
            return arithmetic.divide(sum(scores), occurring)
        weighted = sum(support * score for support, score in zip(actual, scores, strict=True))
        # Rounded alike above and below, a share can round up to 1 and never beyond.
        return arithmetic.divide(weighted, sum(support * 1.0 for support in actual))


class Mean(Struct, frozen=True):
    """The mean of numbers, or its square root; `scale` is a power of two that makes every number whole."""

    scale: int
    root: bool = False
    width: int = 2
    alike: bool = False

    def parts(self, outcome: Outcome) -> Iterable[tuple[int, int]]:
        """Yield the number as a whole one, and 1 on the same scale."""
        numerator, denominator = outcome.as_integer_ratio()
        return ((0, numerator * (self.scale // denominator)), (1, self.scale))

    def value(self, columns: Columns, arithmetic: Arithmetic) -> Any:
        """Return the mean."""
        mean = arithmetic.divide(columns[0], columns[1])
        return arithmetic.root(mean) if self.root else mean


def column_sums(statistic: Statistic, of: Tallied) -> list[list[int]]:
    """Return the exact column sums of each replicate's outcomes."""
    sums = [[0] * statistic.width for _ in of.present]
    if isinstance(of, Tally):
        for total, into in zip(of.totals, sums, strict=True):
            for outcome, weight in total.items():
                for column, amount in statistic.parts(outcome):
                    into[column] += amount * weight
        return sums
    if of.numbers is not None and isinstance(statistic, Mean):
        return [[of.numbers.total(statistic.scale), statistic.scale * of.n]]
    for rows, count in of.items:
        for replicate, outcome, weight in rows:
            for column, amount in statistic.parts(outcome):
                sums[replicate][column] += amount * weight * count
    return sums


def _score(score: Score, true: Any, predicted: Any, actual: Any, arithmetic: Arithmetic) -> Any:
    if score == "precision":
        return arithmetic.divide(true, predicted)
    if score == "recall":
        return arithmetic.divide(true, actual)
    return arithmetic.divide(2 * true, predicted + actual)
