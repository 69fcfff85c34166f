"""The items that went wrong, worst first: what a reader wants to see before any other sample."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from launcher.errors import MalformedError
from launcher.metrics.definitions import view_of
from launcher.metrics.tally import View
from launcher.metrics.views import Labels
from launcher.report.record import Record
from launcher.report.text import cut
from launcher.spec.blueprint import Metric
from launcher.spec.sample import Sample

_LONGEST = 160


class Mistake(Struct, frozen=True):
    """One item: how many of its samples went wrong, its target, and what was answered each time."""

    task: str
    id: str
    wrong: int
    samples: int
    target: str
    answers: tuple[str, ...]
    note: str


class Mistakes(Struct, frozen=True):
    """The worst items, capped; `found` counts all that there are, among `items`.

    `kind` is `wrong` where an answer is right or not, `worst` where each has a number and the worst stand
    first, `none` where the samples do not tell, `withheld` where parts of them are not there, `many`
    where they are too many to be held.
    """

    kind: Literal["wrong", "worst", "none", "withheld", "many"]
    by: str
    items: int
    found: int
    shown: tuple[Mistake, ...]


def worst_of(record: Record, limit: int) -> Mistakes:
    """Return the `limit` worst items of a report; none where what would tell is withheld."""
    redaction = record.result.redaction
    if redaction is not None and redaction.takes_samples:
        return Mistakes("withheld", "", record.answers.count, 0, ())
    if record.answers.listed is None:
        return Mistakes("many", "", record.answers.count, 0, ())
    return worst_first(record.answers.listed, record.blueprint.metrics, limit)


def worst_first(samples: Sequence[Sample], metrics: Sequence[Metric], limit: int) -> Mistakes:
    """Return the `limit` worst items by the primary metric (else the first): failed ones, then wrong ones."""
    metric = next((metric for metric in metrics if metric.primary), metrics[0] if metrics else None)
    items: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        items.setdefault((sample.task or "", sample.id), []).append(sample)
    view = _view(metric)
    if metric is None or view is None or not items:
        return Mistakes("none", metric.name if metric else "", len(items), 0, ())
    if isinstance(view, Labels):
        return _wrong(items, view, metric, limit)
    return _worst(items, view, metric, limit)


def _view(metric: Metric | None) -> View | None:
    try:
        return view_of(metric) if metric else None
    except MalformedError:
        return None


_Items = Mapping[tuple[str, str], Sequence[Sample]]


def _wrong(items: _Items, view: View, metric: Metric, limit: int) -> Mistakes:
    counts = {key: sum(_is_wrong(view, sample) for sample in own) for key, own in items.items()}
    found = [key for key, count in counts.items() if count]
    ordered = sorted(found, key=lambda key: (not _has_failed(items[key]), -counts[key], key))
    shown = tuple(_mistake(key, items[key], counts[key]) for key in ordered[:limit])
    return Mistakes("wrong", _by(metric), len(items), len(found), shown)


def _worst(items: _Items, view: View, metric: Metric, limit: int) -> Mistakes:
    """Rank the items by the mean of what the metric measures in their samples."""
    sign = 1.0 if metric.direction == "higher" else -1.0
    measured = {key: _mean(view, own) for key, own in items.items()}
    rank: Callable[[tuple[str, str]], Any] = lambda key: (  # noqa: E731 - a key function with a name
        not _has_failed(items[key]),
        0.0 if (value := measured[key]) is None else sign * value,
        key,
    )
    known = [key for key, value in measured.items() if value is not None or _has_failed(items[key])]
    shown = tuple(
        _mistake(key, items[key], sum(sample.is_failed for sample in items[key]), measured[key])
        for key in sorted(known, key=rank)[:limit]
    )
    return Mistakes("worst", _by(metric), len(items), len(known), shown)


def _by(metric: Metric) -> str:
    """Return what the items are judged by; a metric over some of them lends its measure to all."""
    return f"the measure of {metric.name}, taken over all samples" if metric.where else metric.name


def _is_wrong(view: View, sample: Sample) -> bool:
    try:
        target, prediction = view.outcome(sample)
    except MalformedError:
        return sample.is_failed
    return bool(target != prediction)


def _has_failed(samples: Sequence[Sample]) -> bool:
    return any(sample.is_failed for sample in samples)


def _mean(view: View, samples: Sequence[Sample]) -> float | None:
    try:
        values = [float(view.outcome(sample)) for sample in samples]
    except MalformedError:
        return None
    return sum(values) / len(values)


def _mistake(
    key: tuple[str, str], samples: Sequence[Sample], wrong: int, measured: float | None = None
) -> Mistake:
    answers = [shown_value(sample.prediction) for sample in samples if sample.prediction is not None]
    notes = [] if measured is None else [f"{measured:.6g}"]
    notes += [cut(sample.error, _LONGEST) for sample in samples if sample.error is not None][:1]
    groups = samples[0].groups or {}
    notes += [cut(f"{name}={shown_value(value)}", _LONGEST) for name, value in sorted(groups.items())[:8]]
    target = samples[0].target
    return Mistake(
        cut(key[0], _LONGEST),
        cut(key[1], _LONGEST),
        wrong,
        len(samples),
        "" if target is None else shown_value(target),
        tuple(dict.fromkeys(answers)),
        cut("; ".join(notes), 2 * _LONGEST),
    )


def shown_value(value: Any) -> str:
    """Return a JSON value as text of one line: strings in quotation marks, long ones cut."""
    if isinstance(value, str):
        value = value[: 2 * _LONGEST]
    return cut(json.dumps(value, ensure_ascii=False, sort_keys=True), _LONGEST)
