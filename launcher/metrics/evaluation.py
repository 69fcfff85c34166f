"""Evaluation: the metrics of a blueprint, computed from its samples.

A metric's value is the mean over replicates of its value in each. Intervals see items: all epochs and
replicates of one task and id are one observation, so that measuring an item twice adds no certainty.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from launcher.errors import MalformedError
from launcher.metrics.bootstrap import can_resample, percentile_interval, resampled_values
from launcher.metrics.compact import CompactTally
from launcher.metrics.definitions import method_of, problems, statistic_of, view_of
from launcher.metrics.intervals import student, wilson
from launcher.metrics.judgement import judge, meets_published
from launcher.metrics.labels import label_key
from launcher.metrics.matching import matches
from launcher.metrics.row_blocks import sums_of_columns, sums_of_items, trials_of_items
from launcher.metrics.statistics import SCALARS, Accuracy, ClassScore, Mean, Statistic, column_sums
from launcher.metrics.tally import Row, Tallied, Tally, tally
from launcher.metrics.work import Meter
from launcher.spec.blueprint import Metric
from launcher.spec.result import ConfidenceInterval, MetricResult, SampleCounts
from launcher.spec.sample import Sample
from launcher.spec.work import DEFAULT_RESAMPLES

if TYPE_CHECKING:
    from launcher.metrics.bootstrap import Array


class _Measured(Struct, frozen=True):
    """One metric with its point estimates; `n` counts the items that entered the denominator.

    `whole` is a mean's denominator over all replicates.
    """

    metric: Metric
    tally: Tallied
    statistic: Statistic
    per_replicate: tuple[float | None, ...]
    value: float | None
    n: int
    whole: int


class _Estimate(Struct, frozen=True):
    """An interval, or why there is none."""

    ends: tuple[float, float] | None
    reason: str | None = None


def evaluate(
    metrics: Sequence[Metric], samples: Sequence[Sample], seeds: Sequence[int]
) -> tuple[MetricResult, ...]:
    """Compute `metrics` from `samples`, whose replicate i ran with `seeds[i]`.

    The same samples in any order give the same results, bit for bit. Raises `MalformedError`: with the code
    `bad-samples` where samples cannot be measured or it takes too much work, with `bad-metric` where a
    definition is misused.
    """
    _check(metrics, samples, seeds)
    meter = Meter()
    seen = _Seen(samples, len(seeds), meter)
    found = [(metric, seen.tally_of(metric)) for metric in metrics]
    return evaluate_tallies(metrics, [(of, statistic_of(metric, of)) for metric, of in found], meter)


def evaluate_tallies(
    metrics: Sequence[Metric],
    tallies: Sequence[tuple[Tallied, Statistic]],
    meter: Meter,
    declared: Sequence[Metric] | None = None,
) -> tuple[MetricResult, ...]:
    """Compute `metrics`, each from the tally and the statistic in its place; `declared` are all there are.

    Raises `MalformedError` with the code `bad-samples` before a resampling that would take too much work, and
    for a mean that no double holds.
    """
    try:
        return _evaluated(metrics, tallies, meter, metrics if declared is None else declared)
    except OverflowError as error:
        raise MalformedError(
            "the samples' numbers are so large that no double holds a mean of them", code="bad-samples"
        ) from error


def _evaluated(
    metrics: Sequence[Metric],
    tallies: Sequence[tuple[Tallied, Statistic]],
    meter: Meter,
    declared: Sequence[Metric],
) -> tuple[MetricResult, ...]:
    measured = [_measure(metric, *of) for metric, of in zip(metrics, tallies, strict=True)]
    bootstrapped = _bootstrap(measured, meter)
    primary = next((metric for metric in declared if metric.primary), declared[0] if declared else None)
    return tuple(
        _result(one, bootstrapped.get(index) or _closed_form(one), primary=one.metric is primary)
        for index, one in enumerate(measured)
    )


def sample_counts(samples: Sequence[Sample]) -> SampleCounts:
    """Count the distinct items, and the samples that failed."""
    items = {(sample.task, sample.id) for sample in samples}
    return SampleCounts(len(items), sum(sample.is_failed for sample in samples))


def refuse_misuse(metrics: Sequence[Metric]) -> None:
    """Raise `MalformedError` with the code `bad-metric` where a definition is misused."""
    for metric in metrics:
        for problem in problems(metric):
            raise MalformedError(f"the metric `{metric.name}`: {problem}", code="bad-metric")


def _check(metrics: Sequence[Metric], samples: Sequence[Sample], seeds: Sequence[int]) -> None:
    refuse_misuse(metrics)
    expected = dict(enumerate(seeds))
    for sample in samples:
        if sample.seed is None or expected.get(sample.replicate or 0) != sample.seed:
            raise MalformedError(
                f"the sample {ascii(sample.id)[:80]} is of replicate {sample.replicate}, seed {sample.seed}",
                code="bad-samples",
                context=f"expected: the seeds {list(seeds)} in this order",
            )


class _Seen:
    """What was looked at: each `where` is matched once, each tally made once."""

    def __init__(self, samples: Sequence[Sample], replicates: int, meter: Meter) -> None:
        self._replicates, self._meter = replicates, meter
        self._chosen: dict[Any, Sequence[Sample]] = {frozenset(): samples}
        self._tallies: dict[Any, Tally] = {}

    def tally_of(self, metric: Metric) -> Tally:
        """Return the metric's tally, made once for all metrics that look at the same samples the same way."""
        view, where = view_of(metric), {name: label_key(value) for name, value in metric.where.items()}
        chosen = frozenset(where.items())
        if chosen not in self._chosen:
            samples = self._chosen[frozenset()]
            self._meter.match(len(samples), [where])
            self._chosen[chosen] = [sample for sample in samples if matches(sample, where)]
        self._meter.look(len(self._chosen[chosen]))
        if (view, chosen) not in self._tallies:
            self._tallies[view, chosen] = tally(self._chosen[chosen], view, self._replicates)
        return self._tallies[view, chosen]


def _measure(metric: Metric, of: Tallied, statistic: Statistic) -> _Measured:
    of_replicates = _sums(statistic, of)
    values = tuple(
        float(statistic.value(sums, SCALARS)) if present else None
        for sums, present in zip(of_replicates, of.present, strict=True)
    )
    found = [value for value in values if value is not None]
    value = math.fsum(found) / len(found) if found and len(found) == len(values) else None
    n = _trials(of, statistic)[0] if isinstance(statistic, ClassScore) else of.n
    whole = sum(sums[1] for sums in of_replicates) if isinstance(statistic, Mean) else 0
    return _Measured(metric, of, statistic, values, value, n, whole)


def _sums(statistic: Statistic, of: Tallied) -> list[list[int]]:
    if isinstance(of, CompactTally) and of.numbers is None:
        return sums_of_columns(of, statistic)
    return column_sums(statistic, of)


def _trials(of: Tallied, statistic: Accuracy | ClassScore) -> tuple[int, float]:
    """Return how many items are trials, and how many equally weighing ones they are worth (Kish, 1965)."""
    if isinstance(of, CompactTally):
        items, total, squares = trials_of_items(of, statistic)
        return items, total * total / squares if squares else 0.0
    items, total, squares = 0, 0, 0
    for rows, count in of.items:
        weight = sum(weight * statistic.trials(outcome) for _, outcome, weight in rows)
        if weight:
            items, total, squares = items + count, total + count * weight, squares + count * weight * weight
    return items, total * total / squares if squares else 0.0


def _bootstrap(measured: Sequence[_Measured], meter: Meter) -> dict[int, _Estimate]:
    """Return the bootstrap intervals by the metric's index; metrics of one tally share their resamples."""
    together: dict[tuple[int, int], list[int]] = {}
    estimates: dict[int, _Estimate] = {}
    for index, one in enumerate(measured):
        if method_of(one.metric) != "bootstrap" or one.value is None or one.n < 2:
            continue
        if not can_resample(one.tally, one.statistic):
            estimates[index] = _Estimate(None, "there are too many labels to resample")
            continue
        resamples = one.metric.parameters.get("resamples", DEFAULT_RESAMPLES)
        meter.resample(resamples, one.tally.rows, len(one.tally.present) * one.statistic.width)
        together.setdefault((id(one.tally), resamples), []).append(index)
    for (_, resamples), indices in together.items():
        meter.draw(resamples, measured[indices[0]].tally.n)
    for (_, resamples), indices in together.items():
        statistics = [measured[index].statistic for index in indices]
        values = resampled_values(measured[indices[0]].tally, statistics, resamples)
        for index, found in zip(indices, values, strict=True):
            estimates[index] = _percentile(found, measured[index].metric.ci.level)
    return estimates


def _percentile(values: "Array", level: float) -> _Estimate:
    if (ends := percentile_interval(values, level)) is None:
        return _Estimate(None, f"{len(values)} resamples tell nothing at level {level}: too few or all equal")
    return _Estimate(ends)


def _closed_form(one: _Measured) -> _Estimate:
    if one.tally.n == 0:
        return _Estimate(None, "no sample matches")
    if one.value is None:
        return _Estimate(None, "a replicate has no sample that matches")
    if one.n == 0:
        return _Estimate(None, "0/0 counts as 0: no sample is a trial")
    method = method_of(one.metric)
    if method == "wilson" and isinstance(one.statistic, Accuracy | ClassScore):
        return _wilson(one.value, one.statistic, _trials(one.tally, one.statistic)[1], one.metric.ci.level)
    if one.n == 1:
        return _Estimate(None, "one item gives no interval")
    return _student(one.value, one)


def _wilson(value: float, statistic: Accuracy | ClassScore, n: float, level: float) -> _Estimate:
    lower, upper = wilson(statistic.to_share(value), n, level)
    return _Estimate((min(statistic.from_share(lower), value), max(statistic.from_share(upper), value)))


def _student(value: float, one: _Measured) -> _Estimate:
    if len(one.tally.outcomes) == 1:
        return _Estimate(None, "every item has the same value")
    if one.tally.numbers is not None:
        squares = one.tally.numbers.squares(value)
    else:
        squares = math.fsum(_residual_squares(value, one))
    return _Estimate(student(squares, one.tally.n, value, one.metric.ci.level))


def _residual_squares(value: float, one: _Measured) -> Iterator[float]:
    """Yield the squared residuals of the items that are alike, together."""
    if isinstance(one.tally, CompactTally):
        for totals, weights, counts in sums_of_items(one.tally, one.statistic):
            residuals = (totals / one.whole).astype(float) - value * (weights / one.whole).astype(float)
            yield from (counts * (residuals * residuals)).tolist()
        return
    for rows, count in one.tally.items:
        total, weight = _item_sums(rows, one.statistic)
        residual = total / one.whole - value * (weight / one.whole)
        yield count * (residual * residual)


def _item_sums(rows: Sequence[Row], statistic: Statistic) -> tuple[int, int]:
    """Return what one item adds to a mean's numerator and denominator."""
    total = weight = 0
    for _, outcome, factor in rows:
        (_, amount), (_, unit) = statistic.parts(outcome)
        total, weight = total + amount * factor, weight + unit * factor
    return total, weight


def _result(one: _Measured, estimate: _Estimate, *, primary: bool) -> MetricResult:
    metric, ci = one.metric, None
    if estimate.ends is not None and not all(map(math.isfinite, estimate.ends)):
        estimate = _Estimate(None, "its ends are beyond what a double holds")
    if estimate.ends is not None:
        ci = ConfidenceInterval(*estimate.ends, method_of(metric), metric.ci.level)
    published_met = None
    if metric.published is not None and one.value is not None:
        published_met = meets_published(metric.published, one.value)
    return MetricResult(
        name=metric.name,
        definition=metric.definition,
        value=one.value,
        ci=ci,
        n=one.n,
        verdict=judge(metric.threshold, one.value, ci),
        direction=metric.direction,
        primary=primary,
        per_replicate=one.per_replicate,
        spread=_spread(one.per_replicate),
        errors=one.tally.errors,
        threshold=metric.threshold,
        published=metric.published,
        published_met=published_met,
        reason=estimate.reason,
    )


def _spread(values: Sequence[float | None]) -> float | None:
    """Return the sample standard deviation; None for fewer than two values, one missing, or if no double."""
    found = [value for value in values if value is not None]
    if len(found) < 2 or len(found) < len(values):
        return None
    mean = math.fsum(found) / len(found)
    spread = math.sqrt(math.fsum((value - mean) * (value - mean) for value in found) / (len(found) - 1))
    return spread if math.isfinite(spread) else None
