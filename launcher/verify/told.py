"""Hold what visible samples contributed against their fields, as far as those are given out."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Final

from msgspec import json
from msgspec.structs import replace

from launcher.errors import CheckFailedError
from launcher.metrics.contributions import Contributor, Form, contributors
from launcher.metrics.definitions import definition_of
from launcher.metrics.label_codes import MAX_LABELS
from launcher.metrics.labels import label_key
from launcher.metrics.matching import matches
from launcher.metrics.views import Labels
from launcher.spec.blueprint import Metric
from launcher.spec.disclosure import metric_column
from launcher.spec.sample import Sample

# What says how a sample was answered.
_OUTCOME: Final = frozenset({"error", "prediction", "scores"})
_NAME: Final = 12


class FieldComparison:
    """Compares sample by sample; `gone` are the columns that were committed to and are withheld.

    Names are held as hashes under `key`, which nobody may know beforehand: so they can be short.
    """

    def __init__(
        self, metrics: Sequence[Metric], forms: Sequence[Form], gone: frozenset[str], key: bytes
    ) -> None:
        self._key = key
        self._shows_groups, self._shows_outcome = "groups" not in gone, not gone & _OUTCOME
        self._ways = [
            _MetricComparison(metric, form, way, gone)
            for metric, form, way in zip(metrics, forms, contributors(metrics), strict=True)
        ]
        self._columns = [metric_column(index) for index in range(len(metrics))]
        self._items = bytearray()

    def add(self, cells: Mapping[str, Any], sample: Sample) -> None:
        """Add one sample, whose contributions are well-formed.

        Raises `CheckFailedError` where it contributed something else than it says.
        """
        self._items += self._short(json.encode((sample.task, sample.id))) + self._short(
            cells["item"].encode()
        )
        if self._shows_outcome and cells["failed"] is not sample.is_failed:
            raise _untrue()
        for way, column in zip(self._ways, self._columns, strict=True):
            cell = cells[column]
            if self._shows_groups and matches(sample, way.where) is (cell is None):
                raise _untrue()
            if cell is not None:
                way.compare(sample, cell)

    def close(self) -> None:
        """Check what only all samples together tell.

        They are of one item exactly where task and id are the same, and ranks are in the order of labels.
        """
        if not _is_one_to_one(self._items):
            raise _untrue()
        self._items = bytearray()
        for way in self._ways:
            way.close()

    def _short(self, name: bytes) -> bytes:
        return blake2b(name, key=self._key, digest_size=_NAME).digest()


def _is_one_to_one(pairs: bytearray) -> bool:
    """Say whether each left half stands with one right half only, and the other way round; sorts them."""
    import numpy as np

    whole = np.frombuffer(pairs, dtype=f"S{2 * _NAME}")
    # In place: there may be millions.
    whole.sort()
    halves = np.frombuffer(pairs, dtype=f"S{_NAME}").reshape(-1, 2)
    count, left, right = _steps(whole), _steps(halves[:, 0]), _steps(np.sort(halves[:, 1]))
    return count == left == right


def _steps(ordered: Any) -> int:
    """Return how often what is in order changes."""
    return int((ordered[1:] != ordered[:-1]).sum())


class _MetricComparison:
    """Compares what samples contributed to one metric, which is over each of them."""

    def __init__(self, metric: Metric, form: Form, way: Contributor, gone: frozenset[str]) -> None:
        self.where = way.where
        # Whether the metric is over a sample is asked before: its groups may be withheld.
        self._form, self._way = form, replace(way, where={})
        target = set() if definition_of(metric).name == "mean@1" else {"target"}
        self._is_told = not (_OUTCOME | target) & gone
        self._shows = ("target" not in gone, not _OUTCOME & gone)
        self._ranks: dict[str, int] = {}

    def compare(self, sample: Sample, cell: list[Any]) -> None:
        """Compare one sample's contribution."""
        if not isinstance(self._way.view, Labels):
            if self._is_told and self._way.of(sample) != cell:
                raise _untrue()
            return
        if self._is_told and self._way.told_by(sample) != self._told(cell):
            raise _untrue()
        for label, part in self._labels(sample, cell):
            if self._form.name == "class" and part is not (label == self._way.label):
                raise _untrue()
            if self._form.name == "ranks":
                self._rank(label, part)

    def _told(self, cell: list[Any]) -> list[Any]:
        return [cell[0], cell[1] == cell[2]] if self._form.name == "ranks" else cell

    def _labels(self, sample: Sample, cell: list[Any]) -> Iterator[tuple[str, Any]]:
        """Yield each label that is given out, with what was contributed of it."""
        if self._form.name == "right":
            return
        if self._shows[0]:
            if sample.target is None:
                raise _untrue()
            yield label_key(sample.target), cell[1]
        if self._shows[1]:
            failed = self._way.view.is_failed(sample)
            yield "" if failed else label_key(sample.prediction), cell[2]

    def _rank(self, label: str, rank: int) -> None:
        if self._ranks.setdefault(label, rank) != rank or (label == "") is not (rank == 0):
            raise _untrue()
        if len(self._ranks) > MAX_LABELS + 1:
            raise CheckFailedError(f"there are more than {MAX_LABELS} labels", code="metric-mismatch")

    def close(self) -> None:
        """Check that ranks are in the order of the labels, the class that is measured among them."""
        named = self._way.label
        if named is not None and self._ranks.get(named, self._form.rank) != self._form.rank:
            raise _untrue()
        ranks = [self._ranks[label] for label in sorted(self._ranks)]
        if any(rank >= following for rank, following in pairwise(ranks)):
            raise _untrue()


def _untrue() -> CheckFailedError:
    return CheckFailedError("a sample contributed something else than its fields say", code="metric-mismatch")
