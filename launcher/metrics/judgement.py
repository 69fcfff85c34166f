"""Judgement: from a value and its interval to a verdict.

Values are compared as they are signed, at 12 significant digits, so that a last bit decides nothing.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from launcher.spec.blueprint import Published, Threshold
from launcher.spec.predicates import Verdict
from launcher.spec.result import ConfidenceInterval, MetricResult, round12


def judge(threshold: Threshold | None, value: float | None, ci: ConfidenceInterval | None) -> Verdict:
    """Return whether `threshold` is kept; inconclusive where what it is `on` does not exist.

    A bound that is met exactly is kept. A metric without value is inconclusive with or without threshold.
    """
    if value is None:
        return "inconclusive"
    if threshold is None:
        return "none"
    ends = {
        "value": value,
        "ci-lower": None if ci is None else ci.lower,
        "ci-upper": None if ci is None else ci.upper,
    }
    measured = ends[threshold.on]
    if measured is None:
        return "inconclusive"
    rounded = round12(measured)
    below = threshold.min is not None and rounded < round12(threshold.min)
    above = threshold.max is not None and rounded > round12(threshold.max)
    return "fail" if below or above else "pass"


def meets_published(published: Published, value: float) -> bool:
    """Say whether `value` agrees with a figure printed to `decimals` places.

    That is |value - published| <= half a unit of the last place, in exact decimal arithmetic; a value just
    half-way agrees, because either rounding may have been the printer's.
    """
    half = Decimal(5).scaleb(-published.decimals - 1)
    return abs(signed_decimal(value) - signed_decimal(published.value)) <= half


def combine_verdicts(metrics: Sequence[MetricResult]) -> Verdict:
    """Return the verdict of the whole result.

    The primary metric's verdict decides where it has one; else the worst of the others that have a
    threshold; without any threshold there is none. Supplementary metrics never override the primary.
    """
    primary = [metric.verdict for metric in metrics if metric.primary and metric.verdict != "none"]
    others = [metric.verdict for metric in metrics if not metric.primary and metric.threshold is not None]
    return _worst(primary or others)


def signed_decimal(value: float) -> Decimal:
    """Return the exact decimal of `value` as it is signed, at 12 significant digits."""
    return Decimal(repr(round12(value)))


def _worst(verdicts: Iterable[Verdict]) -> Verdict:
    order: tuple[Verdict, ...] = ("fail", "inconclusive", "pass")
    present = set(verdicts)
    return next((verdict for verdict in order if verdict in present), "none")
