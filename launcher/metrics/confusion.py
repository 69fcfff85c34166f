"""The confusion table: which label was predicted for which target."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from launcher.canonical import MAX_INTEGER
from launcher.metrics.label_codes import LabelCodes, label_value
from launcher.metrics.labels import is_category, label_key, label_order
from launcher.spec.sample import Sample

MAX_LABELS = 50


def confusion(samples: Sequence[Sample]) -> dict[str, Any] | None:
    """Return `{"labels", "counts", "failed"}`; None without targets, or where values are not few categories.

    `counts[i][j]` is how many samples with the target `labels[i]` were predicted as `labels[j]`, over all
    epochs and replicates and without weights; `failed[i]` how many gave no prediction.
    """
    pairs: Counter[tuple[str, str]] = Counter()
    shown: dict[str, Any] = {}
    for sample in samples:
        prediction = None if sample.error is not None else sample.prediction
        if sample.target is None or not is_category(sample.target):
            return None
        if prediction is not None and not is_category(prediction):
            return None
        keys = [label_key(value) for value in (sample.target, prediction) if value is not None]
        shown.update(zip(keys, (sample.target, prediction), strict=False))
        pairs[keys[0], keys[1] if len(keys) == 2 else ""] += 1
        if len(shown) > MAX_LABELS:
            return None
    return _table(pairs, shown) if pairs else None


class ConfusionCounts:
    """The table of samples whose labels come as codes; stops counting once there can be none."""

    def __init__(self, labels: LabelCodes) -> None:
        self._labels = labels
        self._pairs: Counter[tuple[int, int]] = Counter()
        self._alive = True

    def add(self, codes: tuple[Sequence[int], Sequence[int]] | None) -> None:
        """Count pairs of a target and a prediction, which is 0 where it failed; None: there is no table."""
        self._alive = self._alive and codes is not None and len(self._labels) <= MAX_LABELS + 1
        if self._alive and codes is not None:
            self._pairs.update(zip(*codes, strict=True))

    def table(self) -> dict[str, Any] | None:
        """Return what `confusion` returns."""
        if not self._alive or not self._pairs:
            return None
        labels = self._labels.labels
        shown = {key: label_value(key) for key in labels if key}
        if not all(map(is_category, shown.values())):
            return None
        pairs = Counter({(labels[one], labels[two]): count for (one, two), count in self._pairs.items()})
        return _table(pairs, shown)


def _table(pairs: Counter[tuple[str, str]], shown: Mapping[str, Any]) -> dict[str, Any]:
    labels = sorted(shown, key=lambda key: label_order(shown[key]))
    return {
        "labels": [_plain(shown[key]) for key in labels],
        "counts": [[pairs[target, prediction] for prediction in labels] for target in labels],
        "failed": [pairs[target, ""] for target in labels],
    }


def _plain(value: Any) -> Any:
    """Write whole doubles as integers where JSON carries those exactly."""
    return int(value) if isinstance(value, float) and abs(value) <= MAX_INTEGER else value
