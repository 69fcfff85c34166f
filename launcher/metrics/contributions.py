"""Contributions: what each sample adds to each metric, without prediction and target where that can be.

They are as little as value and interval need. For accuracy by Wilson it is whether the answer is right, for
one class by Wilson whether it is the target and the answer. Where classes are averaged or items resampled
it is the ranks of both labels in the order of all labels, which tell equal from other labels and keep the
order that the bootstrap draws in. For numbers it is the number.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from launcher.errors import CheckFailedError
from launcher.metrics.definitions import definition_of, method_of, statistic_of, view_of
from launcher.metrics.evaluation import evaluate_tallies
from launcher.metrics.labels import label_key
from launcher.metrics.matching import matches
from launcher.metrics.statistics import ClassScore, Statistic
from launcher.metrics.tally import Tally, View, tally
from launcher.metrics.views import Labels
from launcher.metrics.work import Meter
from launcher.spec.blueprint import Metric
from launcher.spec.result import MetricResult
from launcher.spec.sample import Sample

FormName = Literal["right", "class", "ranks", "number"]
_CELLS: Final[Mapping[FormName, int]] = {"right": 1, "class": 2, "ranks": 2, "number": 1}
_MAX_RANK: Final = 10**9


_STAYS: Final[Mapping[FormName, str]] = {
    "right": "whether it was right",
    "class": "whether target and answer are one class, which is all of both where each class is measured",
    "ranks": "where target and answer stand among all labels: which are alike, not what they are called",
    "number": "the number that is averaged",
}


class Form(Struct, frozen=True):
    """How one metric's contributions are written; `rank` is that of the class it is about, if it is."""

    name: FormName
    rank: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the item of the header of commitments.jsonl."""
        return {"form": self.name} if self.rank is None else {"form": self.name, "rank": self.rank}


class Contributor(Struct, frozen=True):
    """One metric's way from a sample to its contribution."""

    form: Form
    view: View
    where: Mapping[str, str]
    ranks: Mapping[str, int]
    label: str | None

    def of(self, sample: Sample) -> list[Any] | None:
        """Return `[failed, ...]`; None for a sample that the metric is not over."""
        if not matches(sample, self.where):
            return None
        outcome, failed = self.view.outcome(sample), self.view.is_failed(sample)
        if self.form.name == "number":
            return [failed, outcome]
        target, prediction = outcome
        if self.form.name == "right":
            return [failed, target == prediction]
        if self.form.name == "class":
            return [failed, target == self.label, prediction == self.label]
        return [failed, self.ranks[target], self.ranks[prediction]]


def contributors(metrics: Sequence[Metric], samples: Sequence[Sample]) -> tuple[Contributor, ...]:
    """Return how the samples of one bundle contribute to each of its metrics."""
    return tuple(_contributor(metric, samples) for metric in metrics)


def _contributor(metric: Metric, samples: Sequence[Sample]) -> Contributor:
    view = view_of(metric)
    where = {name: label_key(value) for name, value in metric.where.items()}
    label = label_key(metric.parameters["class"]) if "class" in metric.parameters else None
    if not isinstance(view, Labels):
        return Contributor(Form("number"), view, where, {}, None)
    name = _form_of_labels(metric)
    if name != "ranks":
        return Contributor(Form(name), view, where, {}, label)
    found = {key for sample in samples if matches(sample, where) for key in view.outcome(sample)}
    ranks = _ranks(found)
    rank = None if label is None else ranks.get(label, 0)
    return Contributor(Form(name, rank), view, where, ranks, label)


def what_stays(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Say what the contributions to `metrics` give away of each sample, and for which metric."""
    named: dict[FormName, list[str]] = {}
    for metric, way in zip(metrics, contributors(metrics, ()), strict=True):
        named.setdefault(way.form.name, []).append(metric.name)
    return tuple(f"{_STAYS[form]} (for {_listed(names)})" for form, names in named.items())


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"`{names[0]}`{more}"


def expected_forms(
    metrics: Sequence[Metric], samples: Iterable[Sample]
) -> tuple[tuple[Form, ...], int, frozenset[str]]:
    """Return the form of each metric, the number of samples, and which fields they have, in one pass."""
    bare = contributors(metrics, ())
    ranked = [way for way in bare if way.form.name == "ranks" and way.label is not None]
    labels: dict[int, set[str]] = {id(way): set() for way in ranked}
    count, fields = 0, set[str]()
    for sample in samples:
        count += 1
        fields.update(sample.as_json())
        for way in ranked:
            if matches(sample, way.where):
                labels[id(way)].update(way.view.outcome(sample))
    forms = [
        Form("ranks", _ranks(labels[id(way)]).get(way.label or "", 0)) if id(way) in labels else way.form
        for way in bare
    ]
    return tuple(forms if count else ()), count, frozenset(fields)


def _ranks(labels: Iterable[str]) -> dict[str, int]:
    ranks = {key: rank for rank, key in enumerate(sorted({*labels} - {""}), start=1)}
    return {"": 0, **ranks}


def _form_of_labels(metric: Metric) -> FormName:
    if method_of(metric) != "wilson":
        return "ranks"
    return "right" if definition_of(metric).name == "accuracy@1" else "class"


def read_forms(metrics: Sequence[Metric], found: Sequence[Mapping[str, Any]]) -> tuple[Form, ...]:
    """Read the forms in a header; raises `CheckFailedError` where they are not these metrics'."""
    if len(found) != len(metrics):
        raise _bad("there are contributions to other metrics than the blueprint's")
    return tuple(_read_form(metric, form) for metric, form in zip(metrics, found, strict=True))


def _read_form(metric: Metric, found: Mapping[str, Any]) -> Form:
    name: FormName = "number"
    if isinstance(view_of(metric), Labels):
        name = _form_of_labels(metric)
    ranked = name == "ranks" and "class" in metric.parameters
    rank = found.get("rank")
    if found.get("form") != name or found.keys() != {"form", *(["rank"] if ranked else [])}:
        raise _bad(f"the contributions to `{metric.name}` are in another form than its definition needs")
    if ranked and not _is_rank(rank):
        raise _bad("a rank is no whole number")
    return Form(name, rank)


class _Contributed(Struct, frozen=True):
    """The view of a sample that holds a contribution as its prediction."""

    def outcome(self, sample: Sample) -> Any:
        """Return the outcome that was contributed."""
        return sample.prediction

    def is_failed(self, sample: Sample) -> bool:
        """Say whether it was contributed as a failed one."""
        return sample.error is not None


class Contribution(Struct, frozen=True):
    """What one sample adds to each metric, and what it counts as; `item` is the item's opaque name."""

    replicate: int
    item: str
    weight: float | None
    cells: tuple[Any, ...]


def evaluate_contributions(
    metrics: Sequence[Metric],
    forms: Sequence[Form],
    contributions: Sequence[Contribution],
    replicates: int,
) -> tuple[MetricResult, ...]:
    """Compute `metrics` from what was contributed; the same as from the samples, bit for bit.

    Raises `CheckFailedError` for a contribution that no sample makes, `MalformedError` for too much work.
    """
    measured: list[tuple[Tally, Statistic]] = []
    meter, known = Meter(), dict[Any, list[Tally]]()
    for index, (metric, form) in enumerate(zip(metrics, forms, strict=True)):
        samples = list(_samples(form, index, contributions))
        meter.look(len(samples))
        made = tally(samples, _Contributed(), replicates)
        # Metrics that look at the same share their resamples, as they do where the samples are at hand.
        alike = known.setdefault((form.name, len(made.items)), [])
        if made in alike:
            made = alike[alike.index(made)]
        else:
            alike.append(made)
        measured.append((made, _statistic(metric, form, made)))
    return evaluate_tallies(metrics, measured, meter)


def _samples(form: Form, index: int, contributions: Sequence[Contribution]) -> Iterator[Sample]:
    for one in contributions:
        if (cell := one.cells[index]) is not None:
            failed, outcome = _read_cell(form, cell)
            yield Sample(
                one.item,
                prediction=outcome,
                weight=one.weight,
                replicate=one.replicate,
                error="failed" if failed else None,
            )


def _read_cell(form: Form, cell: Any) -> tuple[bool, Any]:
    if not isinstance(cell, list) or len(cell) != 1 + _CELLS[form.name] or not isinstance(cell[0], bool):
        raise _bad("a contribution is malformed")
    failed, *values = cell
    if form.name == "number":
        if not isinstance(values[0], int | float) or isinstance(values[0], bool):
            raise _bad("a contributed number is none")
        return failed, float(values[0])
    if form.name == "ranks":
        if not all(map(_is_rank, values)) or values[0] == 0:
            raise _bad("a contributed rank is none")
        return failed, (_token(values[0]), _token(values[1]))
    if not all(isinstance(value, bool) for value in values):
        raise _bad("a contribution is neither true nor false")
    if form.name == "right":
        return failed, ("1", "1" if values[0] else "2")
    return failed, ("1" if values[0] else "2", "1" if values[1] else "3")


def _is_rank(value: Any) -> bool:
    return type(value) is int and 0 <= value < _MAX_RANK


def _token(rank: int) -> str:
    """Return a label that sorts as its rank does; no prediction stays what no label is."""
    return f"{rank:09}" if rank else ""


def _statistic(metric: Metric, form: Form, made: Tally) -> Statistic:
    if form.name == "class" or form.rank is not None:
        score: Any = definition_of(metric).name.removesuffix("@1")
        # A class that no sample has is no token either.
        return ClassScore(score, "1" if form.name == "class" else _token(form.rank or 0) or "none")
    return statistic_of(metric, made)


def _bad(message: str) -> CheckFailedError:
    return CheckFailedError(message, code="bad-contributions")
