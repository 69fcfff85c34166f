"""Compute every number of a result again from the samples."""

from typing import Any

from launcher.canonical import canonical_bytes
from launcher.errors import CheckFailedError
from launcher.metrics.confusion import confusion
from launcher.metrics.evaluation import evaluate, sample_counts
from launcher.metrics.judgement import combine_verdicts
from launcher.spec.result import MetricResult, round12
from launcher.verify.contents import Contents


def compare_metrics(contents: Contents) -> None:
    """Compute everything again from the samples and compare it at 12 significant digits."""
    result, samples = contents.result, contents.samples
    if result.status == "failed" and (result.metrics or result.verdict != "none" or samples):
        raise CheckFailedError("a failed run has samples or a score", code="disagreement")
    if result.status == "succeeded":
        _compare_scores(contents)
    if sample_counts(samples) != result.samples:
        raise CheckFailedError("the counts of samples do not follow from the samples", code="disagreement")
    tables = {"confusion": table} if (table := confusion(samples)) else {}
    if canonical_bytes(tables) != canonical_bytes(result.tables):
        raise CheckFailedError("the tables do not follow from the samples", code="disagreement")


def _compare_scores(contents: Contents) -> None:
    result, samples = contents.result, contents.samples
    seeds = contents.blueprint.run.seeds
    metrics = evaluate(contents.blueprint.metrics, samples, seeds)
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
