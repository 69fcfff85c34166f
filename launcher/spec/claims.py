"""From result and lock to what is signed of them: the same facts, every number a decimal string."""

from collections.abc import Iterator
from typing import Literal

from launcher.spec.blueprint import Blueprint
from launcher.spec.grammars import is_web
from launcher.spec.lock import Pins
from launcher.spec.predicates import Builder, Claim, Dependency, EvaluationResult
from launcher.spec.result import MetricResult, Result, decimal_string


def dependencies(blueprint: Blueprint, pins: Pins) -> Iterator[Dependency]:
    """Yield what a run of a lock is made of, as its provenance names it; uris only of public inputs."""
    yield Dependency("image", {"sha256": pins.image.manifest.removeprefix("sha256:")})
    yield Dependency("image-config", {"sha256": pins.image.config.removeprefix("sha256:")})
    yield Dependency("code", {"gitCommit": blueprint.code.commit, "gitTree": pins.code.tree})
    for item in blueprint.inputs:
        pin = pins.inputs[item.name]
        public = item.access == "public" and is_web(item.uri)
        uri = item.uri if public and pin.sha256 == item.sha256 else None
        yield Dependency(f"{item.kind}/{item.name}", {"sha256": pin.sha256}, uri)
    for name, image in pins.services.items():
        yield Dependency(f"service/{name}/image", {"sha256": image.manifest.removeprefix("sha256:")})
    if pins.patch is not None:
        yield Dependency("patch", {"sha256": pins.patch})


def evaluation_result(result: Result, builder: Builder, evaluated_at: str) -> EvaluationResult:
    """Return the predicate of `attestations/result.sigstore.json` for `result`."""
    return EvaluationResult(
        invocation_id=result.invocation_id,
        verifier=builder,
        evaluated_at=evaluated_at,
        suite=result.blueprint,
        lock=result.lock,
        status=result.status,
        failure=result.failure,
        verdict=result.verdict,
        sample_size=str(result.samples.n),
        claims=tuple(map(_claim, result.metrics)),
        deviations=result.deviations,
        marks=result.marks,
        origin=result.origin,
        redaction=result.redaction,
    )


def _claim(metric: MetricResult) -> Claim:
    bound, comparator = _bound(metric)
    ci = metric.ci
    return Claim(
        metric=metric.name,
        definition=metric.definition,
        value=None if metric.value is None else decimal_string(metric.value),
        ci=None if ci is None else (decimal_string(ci.lower), decimal_string(ci.upper)),
        n=str(metric.n),
        verdict=metric.verdict,
        threshold=bound,
        comparator=comparator,
        on=metric.threshold.on if metric.threshold and bound is not None else None,
        primary=metric.primary,
    )


def _bound(metric: MetricResult) -> tuple[str | None, Literal["gte", "lte"] | None]:
    """Return the one bound a claim can name; of two, the one that the metric's direction makes harder."""
    threshold = metric.threshold
    if threshold is None:
        return None, None
    if threshold.min is not None and (threshold.max is None or metric.direction == "higher"):
        return decimal_string(threshold.min), "gte"
    if threshold.max is not None:
        return decimal_string(threshold.max), "lte"
    return None, None
