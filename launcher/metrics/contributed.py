"""What the samples of a redacted bundle contributed, in a few bytes a sample, and the numbers it comes to."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from msgspec import Struct

from launcher.metrics.collection import Chosen
from launcher.metrics.columns import Decode
from launcher.metrics.compact import CompactTally, Rows, tally_of_rows
from launcher.metrics.contributions import Form, bad_contribution, is_rank
from launcher.metrics.definitions import definition_of, statistic_of
from launcher.metrics.evaluation import evaluate_tallies
from launcher.metrics.label_codes import MAX_LABELS
from launcher.metrics.labels import label_key
from launcher.metrics.statistics import ClassScore, Statistic
from launcher.metrics.tally import Tally
from launcher.metrics.work import Meter
from launcher.spec.blueprint import Metric
from launcher.spec.result import MetricResult, SampleCounts

_ITEM: Final = 16
_CELLS: Final = {"right": 1, "class": 2, "ranks": 2, "number": 1}
_TYPES: Final = {"right": "B", "class": "B", "ranks": "Q", "number": "d"}


class ContributionColumn:
    """What samples contributed to one metric: outcomes, each sorted as its code is, of those it is over.

    As long as they are those of `like`, a column of the same form and `where`, they are held there alone.
    """

    def __init__(self, metric: Metric, form: Form, like: "ContributionColumn | None" = None) -> None:
        self.metric, self.form = metric, form
        self.errors = 0
        self._like = like
        self._last: tuple[bool, bool, Any] = (False, False, 0)
        # Without a `where` it is over every sample.
        self._covers = array("B")
        self._codes: array[Any] = array(_TYPES[form.name])

    @property
    def covers(self) -> "array[int]":
        """Return for each sample whether it is over it; empty where it is over all."""
        return self._covers if self._like is None else self._like.covers

    @property
    def codes(self) -> "array[Any]":
        """Return the code of each sample."""
        return self._codes if self._like is None else self._like.codes

    @property
    def covered(self) -> int:
        """Return how many samples it is over."""
        return sum(self.covers) if self.metric.where else len(self.codes)

    def add(self, cell: Any) -> None:
        """Add one sample's contribution; raises `CheckFailedError` for one that no sample makes."""
        self._last = self._read(cell)
        covers, failed, code = self._last
        self.errors += failed
        if self._like is not None:
            if self._last == self._like._last:
                return
            self._part_from(self._like)
        if self.metric.where:
            self._covers.append(covers)
        self._codes.append(code)

    def _part_from(self, like: "ContributionColumn") -> None:
        """Hold from here on what is no longer the other's, which has the next sample already."""
        self._covers, self._codes, self._like = like.covers[:-1], like.codes[:-1], None

    def _read(self, cell: Any) -> tuple[bool, bool, Any]:
        """Return whether the sample is covered, whether it failed, and its code."""
        if cell is None:
            if not self.metric.where:
                raise bad_contribution(f"a sample contributed nothing to `{self.metric.name}`")
            return False, False, 0
        size = 1 + _CELLS[self.form.name]
        if not isinstance(cell, list) or len(cell) != size or not isinstance(cell[0], bool):
            raise bad_contribution("a contribution is malformed")
        return True, cell[0], self._code(cell[0], cell[1:])

    def _code(self, failed: bool, values: list[Any]) -> Any:
        if self.form.name == "number":
            if not isinstance(values[0], int | float) or isinstance(values[0], bool):
                raise bad_contribution("a contributed number is none")
            return float(values[0])
        if self.form.name == "ranks":
            if not all(map(is_rank, values)) or values[0] == 0:
                raise bad_contribution("a contributed rank is none")
        elif not all(isinstance(value, bool) for value in values):
            raise bad_contribution("a contribution is neither true nor false")
        if failed and values[-1]:
            raise bad_contribution("a failed sample contributed an answer")
        if self.form.name == "ranks":
            return values[0] << 32 | values[1]
        code = 0
        for value in values:
            code = code << 1 | (not value)
        return code

    def digest(self) -> bytes:
        """Return what only columns with the same contributions have in common."""
        state = sha256(f"{self.form.name} {self.errors}\n".encode())
        for part in (self.covers, self.codes):
            state.update(part)
        return state.digest()

    def decode(self) -> Decode:
        """Return the function from a code to its outcome."""
        if self.form.name == "number":
            return float
        if self.form.name == "ranks":
            return lambda code: (_token(int(code) >> 32), _token(int(code) & 0xFFFFFFFF))
        if self.form.name == "right":
            return lambda code: ("1", "2" if code else "1")
        return lambda code: ("2" if code & 2 else "1", "3" if code & 1 else "1")

    def statistic(self, made: Tally | CompactTally) -> Statistic:
        """Return the statistic of the metric, in the labels that stand for the real ones here."""
        if self.form.name == "class" or self.form.rank is not None:
            score: Any = definition_of(self.metric).name.removesuffix("@1")
            # A class that no sample has is no token either.
            return ClassScore(
                score, "1" if self.form.name == "class" else _token(self.form.rank or 0) or "none"
            )
        return statistic_of(self.metric, made)


class Contributed:
    """Everything that the samples contributed, added in any order."""

    def __init__(self, metrics: Sequence[Metric], forms: Sequence[Form], seeds: Sequence[int]) -> None:
        self._columns = list(_columns(metrics, forms))
        self._metrics, self._seeds = metrics, seeds
        self._replicates = array("I")
        self._items = bytearray()
        self._weights: array[float] | None = None
        self._failed = 0

    def add(self, cells: Mapping[str, Any], contributions: Sequence[Any]) -> None:
        """Add one sample; raises `CheckFailedError` for one that no run of these seeds makes."""
        replicate, item, weight = cells["replicate"], cells["item"], cells["weight"]
        if type(replicate) is not int or not 0 <= replicate < len(self._seeds):
            raise bad_contribution("a sample is of no replicate of the lock")
        if type(cells["seed"]) is not int or cells["seed"] != self._seeds[replicate]:
            raise bad_contribution("a sample is of no replicate of the lock")
        if not isinstance(item, str) or not (weight is None or _is_weight(weight)):
            raise bad_contribution("a sample's item or weight is none")
        if not isinstance(cells["failed"], bool):
            raise bad_contribution("a sample neither failed nor did not")
        self._failed += cells["failed"]
        self._replicates.append(replicate)
        self._items += item_digest(item)
        self._add_weight(weight)
        for column, cell in zip(self._columns, contributions, strict=True):
            column.add(cell)

    def _add_weight(self, weight: float | None) -> None:
        if self._weights is None:
            if weight is None:
                return
            self._weights = array("d", [1.0]) * (len(self._replicates) - 1)
        self._weights.append(1.0 if weight is None else weight)

    def evaluate(self) -> tuple[tuple[MetricResult, ...], SampleCounts]:
        """Compute every metric, the same as from the samples, bit for bit, and count items and failures.

        Raises `CheckFailedError` unless every replicate answered the same items, each as often.
        """
        import numpy as np

        items = np.frombuffer(self._items, dtype=f"S{_ITEM}")
        replicates = np.frombuffer(self._replicates, dtype=np.uint32)
        order = np.lexsort((items, replicates))
        places = _places(items[order], replicates[order], len(self._seeds))
        first = np.ones(places, dtype=bool)
        answered = items[order[:places]]
        first[1:] = answered[1:] != answered[:-1]
        found = _Found(order, places, self._weights, first)
        measured, meter = [], Meter()
        for column, made in found.tallies(self._columns, len(self._seeds), meter):
            measured.append((made, column.statistic(made)))
        results = evaluate_tallies(self._metrics, measured, meter)
        return results, SampleCounts(int(first.sum()), self._failed)


def _columns(metrics: Sequence[Metric], forms: Sequence[Form]) -> Iterator[ContributionColumn]:
    """Yield a column for each metric, of which those that may well be alike share what they hold."""
    first: dict[Any, ContributionColumn] = {}
    for metric, form in zip(metrics, forms, strict=True):
        over = frozenset((name, label_key(value)) for name, value in metric.where.items())
        seen = (form.name, over)
        column = ContributionColumn(metric, form, first.get(seen))
        first.setdefault(seen, column)
        yield column


def _places(items: Any, replicates: Any, seeds: int) -> int:
    """Return how many samples each replicate has; both arrays are in order."""
    import numpy as np

    counts = np.bincount(replicates, minlength=seeds)
    places = int(counts[0])
    if not places or (counts != places).any() or (items.reshape(seeds, places) != items[:places]).any():
        raise bad_contribution("the replicates answered different items")
    return places


class _Found(Struct, frozen=True):
    """How the samples lie, sorted by replicate and item: `order` sorts them, `first` begin an item each."""

    order: Any
    places: int
    weights: "array[float] | None"
    first: Any

    def tallies(
        self, columns: Sequence[ContributionColumn], replicates: int, meter: Meter
    ) -> Iterator[tuple[ContributionColumn, Tally | CompactTally]]:
        """Yield each column with its tally: those that are alike share one, and so its resamples."""
        known: dict[bytes, Tally | CompactTally] = {}
        for column in columns:
            meter.look(column.covered)
            digest = column.digest()
            if digest not in known:
                known[digest] = self._tally(column, replicates)
            yield column, known[digest]

    def _tally(self, column: ContributionColumn, replicates: int) -> Tally | CompactTally:
        import numpy as np

        codes = np.frombuffer(column.codes, dtype=_TYPES[column.form.name])[self.order]
        chosen = Chosen({"covers": "true"} if column.metric.where else {})
        chosen.counts = [self.places] * replicates
        if chosen.places is not None:
            covers = np.frombuffer(column.covers, dtype=bool)[self.order]
            codes = codes[covers]
            covered = [np.flatnonzero(part) for part in covers.reshape(replicates, self.places)]
            chosen.counts = [len(part) for part in covered]
            chosen.places.frombytes(np.concatenate(covered).astype(np.uint32).tobytes())
        if column.form.name == "ranks":
            _refuse_many_labels(codes)
        weights = self._weights()
        return tally_of_rows(
            Rows(codes, column.decode(), column.errors, chosen, weights, self._of_place(), self.places)
        )

    def _weights(self) -> Any:
        import numpy as np

        return None if self.weights is None else np.frombuffer(self.weights, dtype=np.float64)[self.order]

    def _of_place(self) -> Any:
        """Return which item each place is of; None where no two are of the same."""
        import numpy as np

        return None if self.first.all() else (np.cumsum(self.first) - 1).astype(np.uint32)


def _refuse_many_labels(codes: Any) -> None:
    import numpy as np

    distinct = np.unique(codes)
    ranks = np.unique(np.concatenate((distinct >> np.uint64(32), distinct & np.uint64(0xFFFFFFFF))))
    if len(ranks) > MAX_LABELS + 1:
        raise bad_contribution(f"there are more than {MAX_LABELS} labels")


def item_digest(item: str) -> bytes:
    """Return what stands for an item's opaque name where memory counts."""
    return sha256(item.encode()).digest()[:_ITEM]


def _is_weight(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _token(rank: int) -> str:
    """Return a label that sorts as its rank does; no prediction stays what no label is."""
    return f"{rank:09}" if rank else ""
