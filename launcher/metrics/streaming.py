"""Evaluate a stream of samples: the metrics of `evaluate` in memory that is bounded, whatever they hold.

Metrics that look at the samples the same way share a column. Where all columns together would take too much
memory, the samples are read several times.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from launcher.metrics.collection import Collection, Wanted
from launcher.metrics.columns import ClassColumn, Column, LabelColumn, NumberColumn, RightColumn
from launcher.metrics.compact import compact_tally
from launcher.metrics.definitions import method_of, statistic_of, view_of
from launcher.metrics.evaluation import evaluate_tallies, refuse_misuse
from launcher.metrics.label_codes import LabelCodes
from launcher.metrics.labels import label_key
from launcher.metrics.matching import Matcher, Where
from launcher.metrics.tally import View
from launcher.metrics.views import Labels
from launcher.metrics.work import Meter
from launcher.spec.blueprint import Metric
from launcher.spec.result import MetricResult, SampleCounts
from launcher.spec.sample import Sample

# Of the columns that are held at a time.
_MOST_BYTES: Final = 48 << 20

Blocks = Callable[[], Iterable[Sequence[Sample]]]


class Evaluated(Struct, frozen=True):
    """What samples come to: metrics, counts, and the confusion table where there is one."""

    metrics: tuple[MetricResult, ...]
    counts: SampleCounts
    confusion: dict[str, Any] | None


class _Group(Struct, frozen=True):
    """Metrics that share a column."""

    view: View
    where: dict[str, str]
    kind: str
    metrics: tuple[Metric, ...]

    def wanted(self, labels: LabelCodes) -> Wanted:
        return Wanted(self.view, self.where, self._column(labels))

    def _column(self, labels: LabelCodes) -> Column:
        if self.kind == "number":
            return NumberColumn(self.view)
        if self.kind == "labels":
            return LabelColumn(labels)
        return (
            RightColumn() if self.kind == "right" else ClassColumn(self.kind.removeprefix("class:"), labels)
        )

    @property
    def width(self) -> int:
        """Return how many bytes a sample takes in it."""
        return (8 if self.kind in ("number", "labels") else 1) + (4 if self.where else 0)


def evaluate_blocks(metrics: Sequence[Metric], blocks: Blocks, seeds: Sequence[int], most: int) -> Evaluated:
    """Compute `metrics` from the samples, `most` at most, that `blocks` gives anew at each call, in order.

    The results are those of `evaluate`, bit for bit. Raises `MalformedError` as it does, and with the code
    `bad-samples` where replicates answered different items, or labels are too many to hold.
    """
    refuse_misuse(metrics)
    found: dict[int, MetricResult] = {}
    collection, meter, groups = None, Meter(), _groups(metrics)
    expected = [most for _ in groups]
    if sum(group.width for group in groups) * most > _MOST_BYTES:
        expected = _looked_at(groups, blocks, meter)
        counted = True
    else:
        counted = False
    wheres = [] if counted else _wheres(groups)
    for batch in _batches(groups, expected):
        labels = LabelCodes()
        collection = Collection(seeds, [group.wanted(labels) for group in batch], labels)
        for block in blocks():
            meter.match(len(block), wheres)
            collection.add(block)
        collection.close()
        for group, wanted in zip(batch, collection.wanted, strict=True) if not counted else ():
            meter.look(collection.chosen(wanted).total, len(group.metrics))
        for index, group in enumerate(batch):
            tally = compact_tally(collection, index)
            tallies = [(tally, statistic_of(metric, tally)) for metric in group.metrics]
            measured = evaluate_tallies(group.metrics, tallies, meter, metrics)
            found.update((id(metric), result) for metric, result in zip(group.metrics, measured, strict=True))
    assert collection  # noqa: S101 - there is one batch at least
    ordered = tuple(found[id(metric)] for metric in metrics)
    return Evaluated(ordered, collection.counts, collection.table.table())


def _wheres(groups: Sequence[_Group]) -> list[Where]:
    """Return the distinct `where` of all groups, the empty one left out."""
    return list({frozenset(group.where.items()): group.where for group in groups if group.where}.values())


def _looked_at(groups: Sequence[_Group], blocks: Blocks, meter: Meter) -> list[int]:
    """Return how many samples each group looks at; raises `MalformedError` where that is too much work."""
    wheres = _wheres(groups)
    matcher, total, matching = Matcher(wheres), 0, [0] * len(wheres)
    for block in blocks():
        meter.match(len(block), wheres)
        total += len(block)
        for sample in block if wheres else ():
            for place in matcher.matching(sample):
                matching[place] += 1
    of_where = {frozenset(where.items()): count for where, count in zip(wheres, matching, strict=True)}
    counts = [of_where.get(frozenset(group.where.items()), total) for group in groups]
    for group, count in zip(groups, counts, strict=True):
        meter.look(count, len(group.metrics))
    return counts


def _groups(metrics: Sequence[Metric]) -> list[_Group]:
    """Return the metrics by what they look at; those that only ask whether labels are equal stand apart."""
    alike: dict[Any, list[Metric]] = {}
    for metric in metrics:
        view = view_of(metric)
        where = {name: label_key(value) for name, value in metric.where.items()}
        alike.setdefault((view, frozenset(where.items())), []).append(metric)
    return [group for (view, where), same in alike.items() for group in _by_kind(view, dict(where), same)]


def _by_kind(view: View, where: dict[str, str], metrics: Sequence[Metric]) -> Iterator[_Group]:
    if not isinstance(view, Labels):
        yield _Group(view, where, "number", tuple(metrics))
        return
    if any(method_of(metric) == "bootstrap" or "average" in metric.parameters for metric in metrics):
        yield _Group(view, where, "labels", tuple(metrics))
        return
    kinds: dict[str, list[Metric]] = {}
    for metric in metrics:
        label = metric.parameters.get("class")
        kinds.setdefault("right" if label is None else f"class:{label_key(label)}", []).append(metric)
    for kind, same in kinds.items():
        yield _Group(view, where, kind, tuple(same))


def _batches(groups: Sequence[_Group], counts: Sequence[int]) -> Iterator[list[_Group]]:
    """Yield groups, of so many samples each, that can be held together; one batch at least, even if empty."""
    batch: list[_Group] = []
    size = 0
    for group, count in zip(groups, counts, strict=True):
        if batch and size + group.width * count > _MOST_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(group)
        size += group.width * count
    yield batch
