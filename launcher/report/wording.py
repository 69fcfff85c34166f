"""The words and figures of a result that every view uses: values, intervals, bounds, published figures.

Rounding happens here, once, when a number becomes text.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from launcher.spec.blueprint import Threshold
from launcher.spec.result import MetricResult, Result, round12

if TYPE_CHECKING:
    from launcher.ledger.view import LedgerPlace

_SHARES = frozenset({"accuracy@1", "precision@1", "recall@1"})


def decimals_of(metric: MetricResult) -> int:
    """Return to how many places the metric is printed: 4, or more where the published figure has more."""
    return max(4, metric.published.decimals if metric.published else 0)


def value_text(metric: MetricResult) -> str:
    """Return the value, `none` where there is none."""
    return "none" if metric.value is None else number_text(metric.value, decimals_of(metric))


def number_text(value: float, decimals: int = 4) -> str:
    """Return `value` to so many places, or to 6 significant digits where those would say nothing of it."""
    fits = value == 0 or 10.0**-decimals <= abs(value) < 1e9
    return f"{value:.{decimals}f}" if fits else f"{value:.6g}"


def fraction_text(metric: MetricResult) -> str:
    """Return ` (871/899)` where the value is a plain share of the items, else nothing."""
    share = metric.definition in _SHARES and len(metric.per_replicate) == 1 and metric.n > 0
    if metric.value is None or not share or not 0 <= metric.value <= 1:
        return ""
    count = round(metric.value * metric.n)
    return f" ({count}/{metric.n})" if round12(count / metric.n) == round12(metric.value) else ""


def interval_in_words(metric: MetricResult) -> str:
    """Return level, ends and method of the interval, or why there is none."""
    if metric.ci is None:
        return f"no interval ({metric.reason or 'none was asked for'})"
    return f"{level_text(metric)} interval {ends_text(metric)} ({metric.ci.method})"


def level_text(metric: MetricResult) -> str:
    """Return the interval's nominal level in per cent, `-` without interval."""
    return f"{metric.ci.level:.4%}".rstrip("0%").rstrip(".") + "%" if metric.ci else "-"


def ends_text(metric: MetricResult) -> str:
    """Return the ends of the interval, `none` without interval."""
    return f"{number_text(metric.ci.lower)}..{number_text(metric.ci.upper)}" if metric.ci else "none"


def count_text(metric: MetricResult) -> str:
    """Return n, and how many samples failed where some did."""
    failed = f" ({metric.errors} samples failed)" if metric.errors else ""
    return f"n {metric.n}{failed}"


def bounds_text(threshold: Threshold) -> str:
    """Return what a threshold asks for, such as `ci-lower >= 0.95`."""
    where = "" if threshold.on == "value" else f"{threshold.on} "
    low = f">= {threshold.min:g}" if threshold.min is not None else ""
    high = f"<= {threshold.max:g}" if threshold.max is not None else ""
    return where + " and ".join(filter(None, (low, high)))


def selection_text(where: Mapping[str, object]) -> str:
    """Return which samples a metric is over, such as `where size = large and lang = de`; empty for all."""
    return "where " + " and ".join(f"{name} = {value}" for name, value in where.items()) if where else ""


def published_text(metric: MetricResult) -> str:
    """Return the published figure and whether it is met at its precision, `-` where none is named."""
    if metric.published is None:
        return "-"
    met = {True: "met", False: "NOT met", None: "unknown"}[metric.published_met]
    return f"{metric.published.value:.{metric.published.decimals}f} {met}"


def numbered(numbers: Sequence[int], word: str = "replicate") -> str:
    """Return `replicate 3` or `replicates 0-2, 4`, of ascending numbers."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][-1] == number - 1:
            spans[-1].append(number)
        else:
            spans.append([number])
    texts = [str(span[0]) if len(span) == 1 else f"{span[0]}-{span[-1]}" for span in spans]
    return f"{word}{'s' if len(numbers) > 1 else ''} {', '.join(texts)}"


def attempt_text(result: Result, place: "LedgerPlace | None") -> str:
    """Return `attempt 3 of 5` as the ledger counts, or the lock's number; and what an earlier attempt ran.

    Of what was imported there was no attempt.
    """
    earlier: dict[int, list[int]] = {}
    for run in result.replicates:
        if run.attempt is not None:
            earlier.setdefault(run.attempt, []).append(run.replicate)
    taken = [f"{numbered(runs)} from attempt {number} at it" for number, runs in sorted(earlier.items())]
    at_lock = f"{result.attempt} at this lock"
    if result.origin is not None:
        return "imported"
    if place is None:
        return "; ".join([f"attempt {at_lock}", *taken])
    differs = taken or result.attempt != place.position
    return "; ".join([f"attempt {place.number}{f', {at_lock}' if differs else ''}", *taken])
