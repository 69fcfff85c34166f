"""Hold what a harness claims against what was computed from its samples."""

import math
from collections.abc import Iterator, Sequence

from launcher.harness.output import Claim, HarnessOutput, shown
from launcher.spec.blueprint import Metric
from launcher.spec.result import MetricResult

# Two sums of the same doubles in another order; a number that was rounded before it was printed differs.
_RELATIVE = 1e-9


def differing_claims(
    outputs: Sequence[HarnessOutput], metrics: Sequence[Metric], results: Sequence[MetricResult]
) -> tuple[str, ...]:
    """Say which claims differ from the metrics that mean the same; `outputs[i]` is replicate i's."""
    return tuple(
        _said(output, claim, result, replicate)
        for replicate, output in enumerate(outputs)
        for metric, result in zip(metrics, results, strict=True)
        for claim in claims_like(metric, output)
        if _differs(claim.value, result.per_replicate[replicate])
    )


def claims_like(metric: Metric, output: HarnessOutput) -> Iterator[Claim]:
    """Yield the claims that mean what `metric` does: the plain mean of one score over one whole task."""
    if metric.definition != "mean@1" or not set(metric.where) <= {"task", "completed"}:
        return
    tasks = {sample.task for sample in output.samples}
    task = metric.where.get("task", next(iter(tasks)) if len(tasks) == 1 else None)
    # A harness leaves out what failed; a mean over all samples is the same only where none did.
    whole = metric.where.get("completed") is True or not any(sample.is_failed for sample in output.samples)
    for claim in output.claims if whole else ():
        if claim.task == task and claim.score is not None and metric.of == f"scores.{claim.score}":
            yield claim


def _differs(claimed: float, computed: float | None) -> bool:
    return computed is None or not math.isclose(claimed, computed, rel_tol=_RELATIVE, abs_tol=_RELATIVE)


def _said(output: HarnessOutput, claim: Claim, result: MetricResult, replicate: int) -> str:
    computed = result.per_replicate[replicate]
    return (
        f"replicate {replicate}: {output.harness} says {shown(claim.metric)} = {claim.value:.12g} for "
        f"`{shown(claim.task)}`, its samples give {result.name} = "
        + ("nothing" if computed is None else f"{computed:.12g}")
    )
