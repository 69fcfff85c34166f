"""Compute every number of a result again from the samples."""

from collections.abc import Sequence
from typing import Any

from launcher.canonical import canonical_bytes
from launcher.errors import CheckFailedError, MalformedError
from launcher.metrics.judgement import combine_verdicts
from launcher.metrics.measuring import measure
from launcher.metrics.streaming import Evaluated
from launcher.spec.result import MetricResult, Result, round12
from launcher.trust.checks import Check, checked, failed
from launcher.verify.contents import Contents
from launcher.verify.samples import UnreadableSamplesError


def compare_numbers(contents: Contents) -> Check:
    """Return the check of every number, computed again from the samples.

    Raises `UnreadableSamplesError` where the samples are not well-formed, `CheckFailedError` where they are
    not those that were hashed.
    """
    source, blueprint = contents.source, contents.blueprint
    metrics = blueprint.metrics if contents.result.status == "succeeded" else ()
    try:
        found = measure(metrics, blueprint.run.seeds, source.file.size, source.blocks)
    except UnreadableSamplesError:
        raise
    except MalformedError as error:
        return failed("metrics", error)
    return checked("metrics", lambda: _compare(contents.result, found))


def _compare(result: Result, found: Evaluated) -> None:
    """Compare with what was computed again, at 12 significant digits."""
    if result.status == "failed" and (result.metrics or result.verdict != "none" or found.counts.n):
        raise CheckFailedError("a failed run has samples or a score", code="disagreement")
    if result.status == "succeeded":
        _compare_scores(result, found.metrics)
    if found.counts != result.samples:
        raise CheckFailedError("the counts of samples do not follow from the samples", code="disagreement")
    tables = {"confusion": found.confusion} if found.confusion else {}
    if canonical_bytes(tables) != canonical_bytes(result.tables):
        raise CheckFailedError("the tables do not follow from the samples", code="disagreement")


def _compare_scores(result: Result, metrics: Sequence[MetricResult]) -> None:
    if len(metrics) != len(result.metrics):
        raise CheckFailedError("the result has other metrics than the blueprint", code="disagreement")
    for expected, got in zip(metrics, result.metrics, strict=True):
        compare_metric(expected, got)
    if combine_verdicts(metrics) != result.verdict:
        raise CheckFailedError("the verdict does not follow from the metrics", code="disagreement")


def compare_metric(expected: MetricResult, got: MetricResult) -> None:
    """Check that a metric's every number is the recomputed one, at 12 significant digits."""
    ours, theirs = _rounded(expected.as_json()), _rounded(got.as_json())
    if ours != theirs:
        key = min(key for key in ours if ours[key] != theirs[key])
        raise CheckFailedError(
            f"the metric `{expected.name}` does not follow from the samples",
            code="metric-mismatch",
            context=f"`{key}`: recomputed {ours[key]}, the bundle says {theirs[key]}",
        )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round12(value)
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value
