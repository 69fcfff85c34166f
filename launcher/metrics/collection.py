"""Collect a bundle's samples, block by block, into columns: what all metrics need, in a few bytes a sample.

Samples come in a bundle's order (replicate, task, id, epoch), and every replicate answers the same items, so
that a sample's place in its replicate says which item it is of.
"""

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec
from msgspec import Struct

from launcher.errors import MalformedError
from launcher.metrics.columns import Codes, Column, labels_of
from launcher.metrics.confusion import ConfusionCounts
from launcher.metrics.label_codes import LabelCodes
from launcher.metrics.matching import Matcher, Where
from launcher.metrics.tally import View
from launcher.metrics.views import Scores
from launcher.spec.result import SampleCounts
from launcher.spec.sample import Sample
from launcher.spec.sample_block import Block


class Wanted(Struct, frozen=True):
    """Samples that metrics look at, all or those whose groups match, and the column of what they see."""

    view: View
    where: Where
    column: Column


class Chosen:
    """The samples that a `where` matches: how many in each replicate, and their places in it."""

    def __init__(self, where: Where) -> None:
        self.counts: list[int] = []
        self.places: array[int] | None = array("I") if where else None

    @property
    def total(self) -> int:
        """Return how many there are in all replicates."""
        return sum(self.counts)

    def choose_all(self, count: int) -> None:
        """Note that the next `count` samples of the last replicate match."""
        self.counts[-1] += count

    def choose(self, found: Sequence[int], start: int) -> None:
        """Note the places of samples that match, counted from `start` of the last replicate."""
        assert self.places is not None  # noqa: S101 - there is a `where`
        self.counts[-1] += len(found)
        self.places.extend([start + index for index in found] if start else found)


class Items:
    """Which item each place of a replicate is of: its own, unless items were measured in several epochs."""

    def __init__(self) -> None:
        self.count = 0
        self.of_place: array[int] | None = None
        self._last: tuple[str | None, str] | None = None

    def add(self, samples: Block) -> None:
        """Add samples of the first replicate."""
        if self.of_place is None and samples.lacks("epoch"):
            self.count += len(samples)
            self._last = (samples[-1].task, samples[-1].id)
            return
        if self.of_place is None:
            self.of_place = array("I", range(self.count))
        for sample in samples:
            item = (sample.task, sample.id)
            self.count += item != self._last
            self._last = item
            self.of_place.append(self.count - 1)


class Collection:
    """The columns of all samples, with their weights and the counts of items and failures."""

    def __init__(self, seeds: Sequence[int], wanted: Sequence[Wanted], labels: LabelCodes) -> None:
        self.replicates = len(seeds)
        self.wanted = wanted
        self.items = Items()
        self.weights: array[float] | None = None
        self.table = ConfusionCounts(labels)
        self.errors = [0] * len(wanted)
        self.failed = 0
        self.size = 0
        self.places = 0
        self._seeds = seeds
        self._labels = labels
        self._replicate = -1
        self._place = 0
        self._answered: list[bytes] = []
        self._names = hashlib.sha256()
        wheres = {frozenset(one.where.items()): one.where for one in wanted}
        self._chosen = {key: Chosen(where) for key, where in wheres.items()}
        self._wheres = [key for key, where in wheres.items() if where]
        self._matcher = Matcher([wheres[key] for key in self._wheres])

    @property
    def counts(self) -> SampleCounts:
        """Return how many distinct items there are, and how many samples failed."""
        return SampleCounts(self.items.count, self.failed)

    def chosen(self, one: Wanted) -> Chosen:
        """Return which samples it looks at."""
        return self._chosen[frozenset(one.where.items())]

    def add(self, samples: Sequence[Sample]) -> None:
        """Add the next samples."""
        if samples[0].replicate == samples[-1].replicate:
            self._add_part(Block.of(samples))
            return
        for _, part in groupby(samples, key=lambda sample: sample.replicate):
            self._add_part(Block(list(part)))

    def _enter(self, part: Block) -> None:
        """Go on to the replicate that the part is of; raises `MalformedError` unless it ran with its seed."""
        replicate = part[0].replicate or 0
        expected = self._seeds[replicate] if replicate < self.replicates else None
        for sample in part if part.values("seed").count(expected) < len(part) else ():
            if sample.seed != expected:
                raise MalformedError(
                    f"the sample {ascii(sample.id)[:80]} is of replicate {replicate}, seed {sample.seed}",
                    code="bad-samples",
                    context=f"expected: the seeds {list(self._seeds)} in this order",
                )
        while self._replicate < replicate:
            self._leave()
            self._replicate += 1
            for chosen in self._chosen.values():
                chosen.counts.append(0)

    def _leave(self) -> None:
        if self._replicate >= 0:
            self._answered.append(self._names.digest())
            if self._answered[-1] != self._answered[0]:
                raise uneven(self._replicate)
            self.places = self._place
        self._names, self._place = hashlib.sha256(), 0

    def close(self) -> None:
        """Say that all samples were added; raises `MalformedError` where a replicate answered other items."""
        if self._replicate < 0:
            return
        self._leave()
        if len(self._answered) < self.replicates:
            raise uneven(len(self._answered))

    def _add_part(self, part: Block) -> None:
        """Add samples of one replicate."""
        self._enter(part)
        codes = labels_of(part, self._labels)
        self.table.add(codes)
        if self._replicate == 0:
            self.items.add(part)
        if self.replicates > 1:
            self._names.update(_encoder.encode_lines([(one.task, one.id, one.epoch) for one in part]))
        self._add_weights(part)
        choices = self._choose(part)
        for index, one in enumerate(self.wanted):
            self._add_column(index, part, codes, choices.get(frozenset(one.where.items())))
        self._place += len(part)

    def _choose(self, part: Block) -> Mapping[Any, list[int]]:
        """Note which samples each `where` matches, and return their places in the part."""
        found: list[list[int]] = [[] for _ in self._wheres]
        for place, sample in enumerate(part) if found else ():
            for where in self._matcher.matching(sample):
                found[where].append(place)
        choices = dict(zip(self._wheres, found, strict=True))
        for key, chosen in self._chosen.items():
            if key in choices:
                chosen.choose(choices[key], self._place)
            else:
                chosen.choose_all(len(part))
        return choices

    def _add_column(self, index: int, part: Block, codes: Codes | None, found: Sequence[int] | None) -> None:
        one = self.wanted[index]
        if found is None:
            self.errors[index] += _count_failed(part, one.view)
            one.column.add(part, codes)
        elif found:
            chosen = part.chosen(found)
            self.errors[index] += sum(map(one.view.is_failed, chosen))
            if codes is not None:
                codes = ([codes[0][place] for place in found], [codes[1][place] for place in found])
            one.column.add(chosen, codes or labels_of(chosen, self._labels))

    def _add_weights(self, part: Block) -> None:
        self.size += len(part)
        self.failed += _count_failed(part, None)
        if self.weights is None:
            if part.lacks("weight"):
                return
            self.weights = array("d", [1.0]) * (self.size - len(part))
        self.weights.extend([1.0 if weight is None else weight for weight in part.values("weight")])


_encoder: Final = msgspec.json.Encoder()


def uneven(replicate: int) -> MalformedError:
    """Return the error for a replicate that did not answer the items of the first."""
    return MalformedError(
        f"replicate {replicate} answers other items than replicate 0",
        code="bad-samples",
        context="expected: every replicate answers the same items",
    )


def _count_failed(part: Block, view: View | None) -> int:
    """Count the samples that failed: as the view has it, or else at all."""
    if part.lacks("error"):
        if isinstance(view, Scores) or type(None) not in part.types("prediction"):
            return 0
        if view is None and part.columns("scores"):
            return 0
        if view is None and part.lacks("prediction"):
            return list(map(bool, part.values("scores"))).count(False)
    return sum(sample.is_failed if view is None else view.is_failed(sample) for sample in part)
