"""Columns: what a metric looks at in each sample, in a few bytes a sample.

Each column gives, in the end, one ordinal a sample, which sorts as the outcomes do, and the outcome of each
ordinal. Where a metric is only asked which samples are right, its outcomes are no finer than that.
"""

import operator
from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from launcher.metrics.label_codes import LabelCodes, too_many_labels
from launcher.metrics.tally import Outcome, View
from launcher.metrics.views import Labels, Scores
from launcher.spec.sample_block import ABSENT, Block

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ordinals = NDArray[np.generic]

Codes = tuple[list[int], list[int]]
Decode = Callable[[Any], Outcome]
_LABELS: Final = Labels()
_SOME: Final = '"'


class Column(Protocol):
    """The outcomes of one view of the samples that were added, in their order."""

    @property
    def width(self) -> int:
        """Return how many bytes a sample takes."""

    def add(self, samples: Block, codes: Codes | None) -> None:
        """Add samples, whose labels have these codes where there are any."""

    def ordinals(self) -> "Ordinals":
        """Return each sample's ordinal, in an array that may be changed; to be asked once."""

    def decode(self) -> Decode:
        """Return the function from an ordinal to its outcome."""


class NumberColumn:
    """The outcomes of a view that gives numbers."""

    width = 8

    def __init__(self, view: View) -> None:
        self._view = view
        self._values = array("d")

    def add(self, samples: Block, codes: Codes | None) -> None:
        """Add the samples' numbers; raises `MalformedError` for a sample that has none."""
        del codes
        self._values.extend(self._numbers(samples))

    def _numbers(self, samples: Block) -> list[float]:
        if isinstance(self._view, Scores):
            columns = samples.columns("scores") or {}
            if self._view.name in columns:
                return columns[self._view.name]
        return [self._view.outcome(sample) for sample in samples]

    def ordinals(self) -> "Ordinals":
        """Return the numbers, and hold them no longer."""
        import numpy as np

        values, self._values = self._values, array("d")
        return np.frombuffer(values, dtype=np.float64)

    def decode(self) -> Decode:
        """Return the number itself."""
        return float


class LabelColumn:
    """Pairs of a target's and a prediction's label."""

    width = 8

    def __init__(self, codes: LabelCodes) -> None:
        self._codes = codes
        self._pairs = array("Q")

    def add(self, samples: Block, codes: Codes | None) -> None:
        """Add the samples' labels; raises `MalformedError` where they are missing or too many."""
        refuse_unlabelled(samples)
        if codes is None:
            raise too_many_labels()
        targets, predictions = codes
        self._pairs.extend([target << 32 | other for target, other in zip(targets, predictions, strict=True)])

    def ordinals(self) -> "Ordinals":
        """Return the pairs of the labels' places in their own order, and hold them no longer."""
        import numpy as np

        labels = self._codes.labels
        places = np.empty(len(labels), dtype=np.uint64)
        places[sorted(range(len(labels)), key=labels.__getitem__)] = np.arange(len(labels), dtype=np.uint64)
        pairs, self._pairs = np.frombuffer(self._pairs, dtype=np.uint64), array("Q")
        for start in range(0, len(pairs), 1 << 18):
            part = pairs[start : start + (1 << 18)]
            high, low = part >> np.uint64(32), part & np.uint64(0xFFFFFFFF)
            part[:] = places[high] << np.uint64(32) | places[low]
        return pairs

    def decode(self) -> Decode:
        """Return the labels at two places."""
        ordered = sorted(self._codes.labels)
        return lambda pair: (ordered[int(pair) >> 32], ordered[int(pair) & 0xFFFFFFFF])


class RightColumn:
    """Whether each prediction is right: all that an accuracy without resampling depends on."""

    width = 1

    def __init__(self) -> None:
        self._right = array("B")

    def add(self, samples: Block, codes: Codes | None) -> None:
        """Add whether the samples' predictions are right."""
        refuse_unlabelled(samples)
        if codes is not None:
            self._right.frombytes(bytes(list(map(operator.eq, *codes))))
            return
        outcomes = map(_LABELS.outcome, samples)
        self._right.extend([target == prediction for target, prediction in outcomes])

    def kinds(self) -> bytes:
        """Return the ordinals as bytes."""
        return self._right.tobytes()

    def ordinals(self) -> "Ordinals":
        """Return 1 for what is right, 0 for what is wrong."""
        import numpy as np

        return np.frombuffer(self._right, dtype=np.uint8)

    def decode(self) -> Decode:
        """Return a pair of labels that are equal, or not."""
        return lambda right: (_SOME, _SOME if right else "")


class ClassColumn:
    """Whether target and prediction are one label: all that its scores without resampling depend on."""

    width = 1

    def __init__(self, label: str, codes: LabelCodes) -> None:
        self._label, self._codes = label, codes
        self._kinds = array("B")

    def add(self, samples: Block, codes: Codes | None) -> None:
        """Add whether the samples' targets and predictions are the label."""
        refuse_unlabelled(samples)
        code: Any = self._label
        if codes is None:
            pairs: list[tuple[Any, Any]] = [_LABELS.outcome(sample) for sample in samples]
        else:
            code = self._codes.code_of(self._label)
            pairs = list(zip(codes[0], codes[1], strict=True))
        self._kinds.extend([(target == code) | (other == code) << 1 for target, other in pairs])

    def kinds(self) -> bytes:
        """Return the ordinals as bytes."""
        return self._kinds.tobytes()

    def ordinals(self) -> "Ordinals":
        """Return 1 where the target is the label, and 2 more where the prediction is."""
        import numpy as np

        return np.frombuffer(self._kinds, dtype=np.uint8)

    def decode(self) -> Decode:
        """Return a pair of labels of which each is the label, or is not."""
        return lambda kind: (self._label if kind & 1 else "", self._label if kind & 2 else "")


def refuse_unlabelled(samples: Block) -> None:
    """Raise `MalformedError` for the first sample without a target."""
    if type(None) in samples.types("target"):
        for sample in samples:
            _LABELS.outcome(sample)


def labels_of(samples: Block, known: LabelCodes) -> Codes | None:
    """Return the codes of the samples' targets and predictions; None where one is missing or too many."""
    if type(None) in samples.types("target"):
        return None
    target_codes = known.codes(samples.values("target"), samples.types("target"))
    predictions, types = samples.values("prediction"), samples.types("prediction")
    if not samples.lacks("error"):
        predictions = [None if sample.error is not None else sample.prediction for sample in samples]
        types = types | ABSENT
    prediction_codes = known.codes(predictions, types)
    if target_codes is None or prediction_codes is None:
        return None
    return target_codes, prediction_codes
