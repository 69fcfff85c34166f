"""Agreement: whether a run that was launched again came out the same.

Each metric is `identical` (samples and result equal), `equivalent` (within what was declared or the seeds'
own noise), `diverged` (outside it) or `inconclusive` (nothing says how far it may be off).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from launcher.metrics.intervals import student_quantile
from launcher.metrics.judgement import signed_decimal
from launcher.metrics.labels import label_key
from launcher.spec.blueprint import Determinism, Metric, Tolerance
from launcher.spec.result import MetricResult
from launcher.spec.sample import Sample

Outcome = Literal["identical", "equivalent", "diverged", "inconclusive"]

_WORST_FIRST: Final[tuple[Outcome, ...]] = ("diverged", "inconclusive", "equivalent", "identical")


class Evidence(Struct, frozen=True):
    """What one run left: the samples of its bundle, in its order, and the metrics computed from them."""

    samples: Iterable[Sample]
    metrics: Sequence[MetricResult]


class SampleAgreement(Struct, frozen=True):
    """How many samples (replicate, task, id, epoch) either run has, and in how many both say the same.

    `equal` counts whole records, `agreeing` those with the same prediction, or failed in both, and `unpaired`
    the samples that only one run has.
    """

    n: int
    equal: int
    agreeing: int
    unpaired: int = 0

    def as_json(self) -> dict[str, int]:
        """Return the object `samples` of `reproduce --json`."""
        return {
            "n": self.n,
            "equal": self.equal,
            "agreeing": self.agreeing,
            "unpaired": self.unpaired,
        }


class MetricAgreement(Struct, frozen=True):
    """One metric in both runs; `reason` says in words what the verdict rests on."""

    name: str
    original: float | None
    reproduced: float | None
    verdict: Outcome
    reason: str

    def as_json(self) -> dict[str, Any]:
        """Return the item of `metrics` of `reproduce --json`."""
        return {
            "name": self.name,
            "original": self.original,
            "reproduced": self.reproduced,
            "verdict": self.verdict,
            "reason": self.reason,
        }


class Agreement(Struct, frozen=True):
    """The whole comparison; its verdict is the worst of its metrics'."""

    verdict: Outcome
    metrics: tuple[MetricAgreement, ...]
    samples: SampleAgreement


def compare_runs(
    original: Evidence,
    reproduced: Evidence,
    metrics: Sequence[Metric],
    determinism: Determinism,
    withheld: int = 0,
) -> Agreement:
    """Compare two runs of one lock, by what its `determinism` and each metric's `reproduce` demand.

    Every metric asks for the share of agreeing samples it declares; without a declaration all of them when
    `determinism` is `sample`, and wholly equal records and results when it is `bitwise`. Then the
    difference must be within `reproduce.abs`, or, where that is not declared and there are two replicates
    or more, within Student's interval for the difference of two runs whose replicates vary as these do (that
    is consistency with noise, not proof of equality). With neither, equal at 12 digits is equivalent, and
    any other difference inconclusive.
    """
    samples = compare_samples(original.samples, reproduced.samples, withheld)
    before = {result.name: result for result in original.metrics}
    after = {result.name: result for result in reproduced.metrics}
    found = tuple(
        _compare(metric, (before[metric.name], after[metric.name]), samples, determinism)
        for metric in metrics
    )
    return Agreement(worst([metric.verdict for metric in found]), found, samples)


def compare_samples(
    original: Iterable[Sample], reproduced: Iterable[Sample], withheld: int = 0
) -> SampleAgreement:
    """Compare samples by replicate, task, id and epoch; either run gives them in that order.

    Where the second has as many more than the first as are `withheld` of it, those are not counted.
    """
    both = equal = agreeing = lost = gained = 0
    for before, after in _paired(iter(original), iter(reproduced)):
        if before is None or after is None:
            lost, gained = lost + (after is None), gained + (before is None)
            continue
        both += 1
        equal += _is_same(before, after)
        agreeing += _agree(before, after)
    unpaired = lost if gained == lost + withheld else lost + gained
    return SampleAgreement(both + unpaired, equal, agreeing, unpaired)


def _paired(
    original: Iterator[Sample], reproduced: Iterator[Sample]
) -> Iterator[tuple[Sample | None, Sample | None]]:
    """Merge two runs' samples: those of one place together, None where a run lacks it."""
    before, after = next(original, None), next(reproduced, None)
    while before is not None or after is not None:
        is_first = before is not None and (after is None or before.place <= after.place)
        is_second = after is not None and (before is None or after.place <= before.place)
        yield before if is_first else None, after if is_second else None
        before = next(original, None) if is_first else before
        after = next(reproduced, None) if is_second else after


def _is_same(before: Sample, after: Sample) -> bool:
    # What is alike in this encoding is alike in the canonical one, which takes ten times as long.
    return msgspec.json.encode(before) == msgspec.json.encode(after) or before.line() == after.line()


def _agree(before: Sample, after: Sample) -> bool:
    if before.error is not None or after.error is not None:
        return before.is_failed and after.is_failed
    if before.prediction is None or after.prediction is None:
        return before.prediction is after.prediction
    return label_key(before.prediction) == label_key(after.prediction)


def _compare(
    metric: Metric,
    results: tuple[MetricResult, MetricResult],
    samples: SampleAgreement,
    determinism: Determinism,
) -> MetricAgreement:
    before, after = results
    verdict, reason = _verdict(metric, results, samples, determinism)
    return MetricAgreement(metric.name, before.value, after.value, verdict, reason)


def _verdict(
    metric: Metric,
    results: tuple[MetricResult, MetricResult],
    samples: SampleAgreement,
    determinism: Determinism,
) -> tuple[Outcome, str]:
    before, after = results
    if samples.n == 0:
        return "inconclusive", "there is no sample"
    if samples.equal == samples.n and before == after:
        return "identical", "every sample and the result are equal"
    if determinism == "bitwise":
        return "diverged", f"{samples.n - samples.equal} of {samples.n} samples, or the result, differ"
    if samples.unpaired:
        return "diverged", f"{samples.unpaired} of {samples.n} samples are in one run only"
    tolerance = metric.reproduce or Tolerance()
    required = tolerance.sample_agreement
    if required is None and determinism == "sample":
        required = 1.0
    if required is not None and samples.agreeing < Decimal(repr(required)) * samples.n:
        return "diverged", f"{samples.agreeing} of {samples.n} samples agree, {required:.12g} of them must"
    return _by_value(metric, before, after)


def _by_value(metric: Metric, before: MetricResult, after: MetricResult) -> tuple[Outcome, str]:
    if before.value is None or after.value is None:
        return "inconclusive", "a run has no value"
    tolerance = metric.reproduce.abs if metric.reproduce else None
    difference = abs(signed_decimal(before.value) - signed_decimal(after.value))
    if tolerance is not None:
        close = difference <= Decimal(repr(tolerance))
        return _closeness(difference, f"{tolerance:.12g} may be", close=close)
    if difference == 0:
        return "equivalent", "the values are equal at 12 digits"
    noise = _noise(before, after, metric.ci.level)
    if noise is None:
        reason = f"they differ by {difference}; no tolerance and no replicates say if that is much"
        return "inconclusive", reason
    return _closeness(difference, f"seeds explain {noise:.3g}", close=float(difference) <= noise)


def _closeness(difference: Decimal, allowed: str, *, close: bool) -> tuple[Outcome, str]:
    return ("equivalent" if close else "diverged"), f"they differ by {difference}, {allowed}"


def _noise(before: MetricResult, after: MetricResult, level: float) -> float | None:
    """Return how far two runs' means are apart in `level` of all cases, from both runs' spreads pooled."""
    replicates = len(before.per_replicate)
    if before.spread is None or after.spread is None or len(after.per_replicate) != replicates:
        return None
    pooled = math.sqrt((before.spread * before.spread + after.spread * after.spread) / 2.0)
    return student_quantile(level, 2 * replicates - 2) * pooled * math.sqrt(2.0 / replicates)


def worst(verdicts: Sequence[Outcome]) -> Outcome:
    """Return the verdict over several; over none it is inconclusive."""
    return next((verdict for verdict in _WORST_FIRST if verdict in verdicts), "inconclusive")
