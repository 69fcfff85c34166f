"""Exposure: how much of what a redaction withholds can be told, or tried out, from what stays.

What stays of each sample is what it contributed to each metric. The reader is taken to know which labels
there are, and to lack any withheld value otherwise. Bits are counted as if every value that fits were
equally likely, which is more than there are: `bits` is an upper bound of what hides the values.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import log2
from typing import Any, Final

from msgspec import Struct

from launcher.metrics.contributions import Contributor, contributors
from launcher.metrics.labels import label_key
from launcher.metrics.matching import matches
from launcher.metrics.views import Deviations, Labels, Scores
from launcher.spec.blueprint import Metric
from launcher.spec.disclosure import Choice, withheld_columns
from launcher.spec.sample import Sample

# With fewer unknown bits a digest without salt can be matched by trying.
SAFE_BITS: Final = 80
# Of more values than this nobody keeps count: there are at least so many.
_MOST_VALUES: Final = 4096

Blocks = Iterable[Sequence[Sample]]


class Withheld(Struct, frozen=True):
    """Of one field: how many values are withheld, and how many of them follow from what stays."""

    values: int
    follow: int


class Exposure(Struct, frozen=True):
    """What follows of each withheld field, and how many bits of all of them do not."""

    fields: dict[str, Withheld]
    bits: float
    labels: int

    @property
    def is_guessable(self) -> bool:
        """Say whether all that is withheld of samples can be tried against a digest without salt."""
        return bool(self.fields) and self.bits < SAFE_BITS

    def as_json(self) -> dict[str, Any]:
        """Return the object `exposure` of `redact --json`."""
        counts = {name: {"values": one.values, "follow": one.follow} for name, one in self.fields.items()}
        return {"withheld": counts, "bits": round(self.bits, 1), "guessable": self.is_guessable}

    def sentences(self) -> Iterator[str]:
        """Yield what whoever redacts must know before anybody gets the bundle."""
        for name, one in self.fields.items():
            if one.follow:
                yield (
                    f"{one.follow} of {one.values} withheld {name} follow from what stays, for whoever "
                    f"knows the {self.labels} labels"
                )
        if self.is_guessable:
            tries = "at once" if self.bits < 1 else f"in 2^{self.bits:.0f} tries at most"
            yield (
                f"what is withheld of samples can be guessed {tries}: the signed SHA-256 of samples.jsonl "
                "confirms the right one"
            )


class _Told(Struct, frozen=True):
    """What contributions tell of a sample's labels: whether they are `alike`, which of `classes` they are."""

    alike: bool
    ranks: bool
    classes: frozenset[str]
    distance: bool

    def candidates(self, label: str, labels: int) -> int:
        """Return how many labels one of a sample may be, by its classes alone."""
        return 1 if self.ranks or label in self.classes else self.others(labels)

    def others(self, labels: int) -> int:
        """Return how many labels are of no class that is told."""
        return max(1, labels - len(self.classes))

    def beside(self, known: str, label: str, labels: int) -> int:
        """Return how many labels one may be whose counterpart is `known`."""
        if self.alike and known == label:
            return 1
        if self.distance:
            return min(2, labels)
        alone = self.candidates(label, labels)
        if alone > 1 and self.alike and known not in self.classes:
            return max(1, alone - 1)
        return alone


def exposure_of(metrics: Sequence[Metric], choice: Choice, blocks: Blocks, again: Blocks) -> Exposure:
    """Return how exposed the samples that `blocks` gives, and `again` once more, are under `choice`."""
    values = _distinct(blocks)
    counting = _Counting(metrics, choice, {name: len(found) for name, found in values.items()})
    for block in again:
        for sample in block:
            counting.add(sample)
    return counting.exposure()


def _distinct(blocks: Blocks) -> dict[str, set[Any]]:
    """Return the distinct labels, and those of each score and group, as far as anybody counts."""
    found: dict[str, set[Any]] = defaultdict(set)
    for block in blocks:
        for sample in block:
            for name, value in _values(sample):
                if len(found[name]) < _MOST_VALUES:
                    found[name].add(value)
    return found


def _values(sample: Sample) -> Iterator[tuple[str, Any]]:
    for label in (sample.target, sample.prediction):
        if label is not None:
            yield "labels", label_key(label)
    for name, score in (sample.scores or {}).items():
        yield f"scores.{name}", score
    for name, group in (sample.groups or {}).items():
        yield f"groups.{name}", label_key(group)


class _Counting:
    """Counts, sample by sample, what is withheld and what of it follows."""

    def __init__(self, metrics: Sequence[Metric], choice: Choice, distinct: dict[str, int]) -> None:
        self._ways = contributors(metrics)
        self._choice, self._gone = choice, withheld_columns(choice.withheld)
        self._distinct = distinct
        self._told: dict[tuple[bool, ...], _Told] = {}
        self._counts: dict[str, list[int]] = {}
        self._bits = 0.0
        self._last: tuple[str | None, str] | None = None

    @property
    def _labels(self) -> int:
        return max(1, self._distinct.get("labels", 0))

    def exposure(self) -> Exposure:
        """Return what was counted."""
        order = [name for name in ("predictions", "targets", "scores", "groups") if name in self._counts]
        return Exposure(
            {name: Withheld(*self._counts[name]) for name in order},
            self._bits,
            self._distinct.get("labels", 0),
        )

    def add(self, sample: Sample) -> None:
        """Count one sample."""
        whole = sample.id in self._choice.ids
        # An item has the same target and groups in every replicate and epoch: they are unknown once.
        place = (sample.task, sample.id)
        first, self._last = sample.replicate in (None, 0) and place != self._last, place
        covered = tuple(matches(sample, way.where) for way in self._ways)
        if covered not in self._told:
            self._told[covered] = _told(self._over(covered))
        self._add_labels(sample, self._told[covered], whole=whole, first=first)
        if whole or "scores" in self._gone:
            averaged = {way.view.name for way in self._over(covered) if isinstance(way.view, Scores)}
            self._add_table("scores", sample.scores or {}, averaged, weight=1)
        if whole or "groups" in self._gone:
            said = {name for way in self._over(covered) for name in way.where}
            self._add_table("groups", sample.groups or {}, said, weight=int(first))

    def _over(self, covered: Sequence[bool]) -> list[Contributor]:
        return [way for way, has in zip(self._ways, covered, strict=True) if has]

    def _add_labels(self, sample: Sample, told: _Told, *, whole: bool, first: bool) -> None:
        target, answer = (
            None if value is None else label_key(value) for value in (sample.target, sample.prediction)
        )
        hides_target = target is not None and (whole or "target" in self._gone)
        hides_answer = answer is not None and (whole or "prediction" in self._gone)
        of_target = self._candidates(told, target, answer if not hides_answer else None)
        knows_target = not hides_target or of_target == 1
        if hides_target:
            self._count("targets", of_target)
            self._bits += log2(of_target) * first
        if hides_answer:
            of_answer = self._candidates(told, answer, target if knows_target else None)
            self._count("predictions", of_answer)
            # Two that are alike and unknown are one unknown.
            both_alike = not knows_target and told.alike and target == answer
            self._bits += 0 if both_alike else log2(of_answer)

    def _candidates(self, told: _Told, label: str | None, beside: str | None) -> int:
        """Return how many labels one may be; `beside` is its counterpart where that is known."""
        if label is None:
            return 1
        if beside is None:
            return told.candidates(label, self._labels)
        return told.beside(beside, label, self._labels)

    def _add_table(self, field: str, table: Mapping[str, Any], told: Collection[str], *, weight: int) -> None:
        for name in table:
            candidates = 1 if name in told else max(1, self._distinct.get(f"{field}.{name}", 1))
            self._count(field, candidates)
            self._bits += log2(candidates) * weight

    def _count(self, name: str, candidates: int) -> None:
        counts = self._counts.setdefault(name, [0, 0])
        counts[0] += 1
        counts[1] += candidates == 1


def _told(over: Sequence[Contributor]) -> _Told:
    labels = [way for way in over if isinstance(way.view, Labels)]
    return _Told(
        alike=any(way.form.name in ("right", "ranks") for way in labels),
        ranks=any(way.form.name == "ranks" for way in labels),
        classes=frozenset(way.label for way in labels if way.form.name == "class" and way.label),
        distance=any(isinstance(way.view, Deviations) for way in over),
    )
