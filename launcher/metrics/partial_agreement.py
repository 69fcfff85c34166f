"""Agreement with a run of which only a part is known: what is withheld is compared with nothing."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from launcher.metrics.agreement import Agreement, Evidence, MetricAgreement, compare_runs, worst
from launcher.spec.blueprint import Determinism, Metric
from launcher.spec.redaction import SAMPLE_FIELDS, Redaction
from launcher.spec.sample import Sample

_UNTOLD: Final = "parts of the samples are withheld, so nobody can tell whether they agree"
_IN_PART: Final = "all that is not withheld is equal"


def compare_redacted(
    original: Evidence,
    reproduced: Evidence,
    asked: tuple[Sequence[Metric], Determinism],
    redaction: Redaction,
) -> Agreement:
    """Compare a whole run with a redacted one, as `compare_runs` does, over what both have.

    Nothing is found identical. Where samples would have to agree, and parts of them are withheld, that what
    is left does is inconclusive.
    """
    metrics, determinism = asked
    redacted = _as_redacted(reproduced, redaction)
    found = compare_runs(original, redacted, metrics, determinism, withheld=redaction.samples)
    if not redaction.takes_samples:
        return found
    judged = tuple(
        _judged(metric, item, determinism) for metric, item in zip(metrics, found.metrics, strict=True)
    )
    return replace(found, verdict=worst([item.verdict for item in judged]), metrics=judged)


def _as_redacted(reproduced: Evidence, redaction: Redaction) -> Evidence:
    """Take from each sample of a run what is withheld of the other's."""
    fields = {name for word in redaction.withheld for name in SAMPLE_FIELDS.get(word, ())}
    return Evidence((_without(sample, fields) for sample in reproduced.samples), reproduced.metrics)


def _without(sample: Sample, fields: set[str]) -> Sample:
    return replace(sample, **dict.fromkeys(fields)) if fields else sample


def _judged(metric: Metric, item: MetricAgreement, determinism: Determinism) -> MetricAgreement:
    demanded = metric.reproduce is not None and metric.reproduce.sample_agreement is not None
    if item.verdict in ("identical", "equivalent") and (demanded or determinism != "metric"):
        return replace(item, verdict="inconclusive", reason=_UNTOLD)
    return replace(item, verdict="equivalent", reason=_IN_PART) if item.verdict == "identical" else item
