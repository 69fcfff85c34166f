"""Contributions: what each sample adds to each metric, without prediction and target where that can be.

They are as little as value and interval need. For accuracy by Wilson it is whether the answer is right, for
one class by Wilson whether it is the target and the answer. Where classes are averaged or items resampled
it is the ranks of both labels in the order of all labels, which tell equal from other labels and keep the
order that the bootstrap draws in. For numbers it is the number.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from launcher.errors import CheckFailedError
from launcher.metrics.definitions import definition_of, method_of, view_of
from launcher.metrics.labels import label_key
from launcher.metrics.matching import matches
from launcher.metrics.tally import View
from launcher.metrics.views import Labels
from launcher.spec.blueprint import Metric
from launcher.spec.sample import Sample

FormName = Literal["right", "class", "ranks", "number"]
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

    def told_by(self, sample: Sample) -> list[Any] | None:
        """Return what `of` does, but of ranks only whether they are alike: all labels are not needed."""
        if self.form.name != "ranks" or not matches(sample, self.where):
            return self.of(sample)
        target, prediction = self.view.outcome(sample)
        return [self.view.is_failed(sample), target == prediction]


class FoundLabels:
    """The labels that samples have, of each metric whose contributions are ranks."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._bare = contributors(metrics)
        self._ranked = [way for way in self._bare if way.form.name == "ranks"]
        self._labels: dict[int, set[str]] = {id(way): set() for way in self._ranked}

    def add(self, sample: Sample) -> None:
        """Take note of one sample's labels."""
        for way in self._ranked:
            if matches(sample, way.where):
                self._labels[id(way)].update(way.view.outcome(sample))

    def ways(self) -> tuple[Contributor, ...]:
        """Return how the samples contribute to each metric."""
        return tuple(
            _with_ranks(way, _ranks(self._labels[id(way)])) if way.form.name == "ranks" else way
            for way in self._bare
        )


def _with_ranks(way: Contributor, ranks: Mapping[str, int]) -> Contributor:
    rank = None if way.label is None else ranks.get(way.label, 0)
    return replace(way, form=Form("ranks", rank), ranks=ranks)


def contributors(metrics: Sequence[Metric]) -> tuple[Contributor, ...]:
    """Return how samples contribute to each metric; of which ranks, nobody knows yet."""
    return tuple(map(_contributor, metrics))


def _contributor(metric: Metric) -> Contributor:
    view = view_of(metric)
    where = {name: label_key(value) for name, value in metric.where.items()}
    label = label_key(metric.parameters["class"]) if "class" in metric.parameters else None
    if not isinstance(view, Labels):
        return Contributor(Form("number"), view, where, {}, None)
    return Contributor(Form(_form_of_labels(metric)), view, where, {}, label)


def what_stays(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Say what the contributions to `metrics` give away of each sample, and for which metric."""
    named: dict[FormName, list[str]] = {}
    for metric, way in zip(metrics, contributors(metrics), strict=True):
        named.setdefault(way.form.name, []).append(metric.name)
    return tuple(f"{_STAYS[form]} (for {_listed(names)})" for form, names in named.items())


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"`{names[0]}`{more}"


def expected_forms(
    metrics: Sequence[Metric], samples: Iterable[Sample]
) -> tuple[tuple[Form, ...], int, frozenset[str]]:
    """Return the form of each metric, the number of samples, and which fields they have, in one pass."""
    found = FoundLabels(metrics)
    count, fields = 0, set[str]()
    for sample in samples:
        count += 1
        fields.update(sample.as_json())
        found.add(sample)
    forms = [way.form for way in found.ways()]
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
        raise bad_contribution("there are contributions to other metrics than the blueprint's")
    return tuple(_read_form(metric, form) for metric, form in zip(metrics, found, strict=True))


def _read_form(metric: Metric, found: Mapping[str, Any]) -> Form:
    name: FormName = "number"
    if isinstance(view_of(metric), Labels):
        name = _form_of_labels(metric)
    ranked = name == "ranks" and "class" in metric.parameters
    rank = found.get("rank")
    if found.get("form") != name or found.keys() != {"form", *(["rank"] if ranked else [])}:
        raise bad_contribution(
            f"the contributions to `{metric.name}` are in another form than its definition needs"
        )
    if ranked and not is_rank(rank):
        raise bad_contribution("a rank is no whole number")
    return Form(name, rank)


def bad_contribution(message: str) -> CheckFailedError:
    """Return the error for contributions that no samples make."""
    return CheckFailedError(message, code="bad-contributions")


def is_rank(value: Any) -> bool:
    """Say whether a value of JSON is the rank of a label."""
    return type(value) is int and 0 <= value < _MAX_RANK
