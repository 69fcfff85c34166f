"""From a foreign log to metrics: the mean of each score that the harness averages, and what it claims."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from launcher.exchange.found_logs import FoundLog
from launcher.harness.claims import differing_claims
from launcher.harness.output import HarnessOutput, plain_name, shown
from launcher.metrics import measuring
from launcher.metrics.measuring import blocks_of
from launcher.spec.imported import Import, ImportedMetric
from launcher.spec.predicates import Suite
from launcher.spec.result import MetricResult
from launcher.spec.sample import BundledSamples, Sample, bundle_samples

NAMESPACE = "imported"
SEEDS = (0,)

_VERSION = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?(?:\.(\d{1,9}))?", re.ASCII)


class Measured(Struct, frozen=True):
    """An import with its samples, metrics, and what every view must say of it."""

    imported: Import
    samples: BundledSamples
    metrics: tuple[MetricResult, ...]
    deviations: tuple[str, ...]
    discrepancies: tuple[str, ...]
    about: Mapping[str, Any]
    partial: bool


def measure(found: FoundLog) -> Measured:
    """Compute the metrics of one task's samples; raises `MalformedError` where they cannot be measured."""
    output = found.output
    samples = bundle_samples([output.samples], SEEDS)
    metrics = tuple(_metrics(output))
    imported = Import(output.harness, output.task, _suite(output), metrics, found.sources)
    declared = imported.blueprint.metrics
    blocks = blocks_of(samples.samples)
    results = measuring.measure(declared, SEEDS, len(samples.data), blocks).metrics
    return Measured(
        imported,
        samples,
        results,
        (imported.said, *_deviations(output, metrics)),
        differing_claims([output], declared, results),
        output.about,
        bool(output.partial),
    )


def _suite(output: HarnessOutput) -> Suite:
    """Return a name and a version that fit a blueprint, made of the task's own."""
    name = plain_name(output.task)[:100] or "task"
    match = _VERSION.match(str(output.about.get("task_version", "")))
    parts = [str(int(part or 0)) for part in match.groups()] if match else ["0", "0", "0"]
    return Suite(f"{NAMESPACE}/{name}", ".".join(parts))


def _metrics(output: HarnessOutput) -> Iterator[ImportedMetric]:
    directions = {claim.score: claim.direction for claim in output.claims if claim.score is not None}
    for score, direction in directions.items():
        if not _missing(output, score):
            yield ImportedMetric(score, score, direction, completed_only=_has_failures(output))


def _has_failures(output: HarnessOutput) -> bool:
    return any(sample.is_failed for sample in output.samples)


def _completed(output: HarnessOutput) -> Sequence[Sample]:
    return [sample for sample in output.samples if not sample.is_failed]


def _missing(output: HarnessOutput, score: str) -> int:
    return sum(score not in (sample.scores or {}) for sample in _completed(output))


def _deviations(output: HarnessOutput, metrics: Sequence[ImportedMetric]) -> Iterator[str]:
    yield from (f"partial: {reason}" for reason in output.partial)
    yield from output.notes
    if _has_failures(output) and metrics:
        whole, part = len(output.samples), len(_completed(output))
        yield f"the metrics are of the {part} of {whole} samples that completed, as {output.harness}'s are"
    computed = {metric.score for metric in metrics}
    for claim in output.claims:
        said = f"{output.harness} says {shown(claim.metric)} = {claim.value:.6g}"
        if claim.score is None:
            yield f"{said}, which is no plain mean of its samples and was not computed again"
        elif claim.score not in computed:
            count = _missing(output, claim.score)
            yield f"{said}, which was not computed again: {count} samples have no such score"
