"""Where a forest plot's marks stand: intervals on scales that metrics of one kind share.

Places are per cent of the plot's width, so that the drawing fits any page without scaling its text.
"""

import math
from collections.abc import Iterator, Sequence

from msgspec import Struct

from launcher.spec.result import MetricResult

_SHARES = frozenset({"accuracy@1", "precision@1", "recall@1", "f1@1"})
_INTERVALS = 5
_HUGE = 1e300


class Tick(Struct, frozen=True):
    """A labelled place on a scale."""

    place: float
    label: str


class Marks(Struct, frozen=True):
    """One metric's row; None where it has no such mark."""

    metric: MetricResult
    value: float | None
    low: float | None
    high: float | None
    bounds: tuple[float, ...]
    published: float | None
    replicates: tuple[float, ...]


class Scale(Struct, frozen=True):
    """One scale and the rows that are drawn on it."""

    ticks: tuple[Tick, ...]
    rows: tuple[Marks, ...]


def scales(metrics: Sequence[MetricResult]) -> Iterator[Scale]:
    """Yield a scale for all shares together (of 0 to 1), and one for each other definition."""
    groups: dict[str, list[MetricResult]] = {}
    for metric in metrics:
        groups.setdefault("share" if metric.definition in _SHARES else metric.definition, []).append(metric)
    for kind, group in groups.items():
        yield _scale(group, share=kind == "share")


def _scale(metrics: Sequence[MetricResult], *, share: bool) -> Scale:
    numbers = [number for metric in metrics for number in _numbers(metric)]
    ends = _ends(min(numbers), max(numbers), share=share) if numbers else (0.0, 1.0, 0.2)
    low, high, step = ends
    count = max(1, round(high / step - low / step))
    decimals = max(0, -math.floor(math.log10(step)))
    ticks = tuple(
        Tick(round(100 * index / count, 2), _label(low + index * step, decimals))
        for index in range(count + 1)
    )
    return Scale(ticks, tuple(_marks(metric, low, high) for metric in metrics))


def _numbers(metric: MetricResult) -> Iterator[float]:
    if metric.value is not None:
        yield metric.value
    if metric.ci is not None:
        yield from (metric.ci.lower, metric.ci.upper)
    if metric.threshold is not None:
        yield from (bound for bound in (metric.threshold.min, metric.threshold.max) if bound is not None)
    if metric.published is not None:
        yield metric.published.value
    yield from (value for value in metric.per_replicate if value is not None)


def _ends(low: float, high: float, *, share: bool) -> tuple[float, float, float]:
    """Return the ends of a scale around `low` to `high`, and its step: 1, 2 or 5 times a power of ten."""
    if max(abs(low), abs(high)) > _HUGE:
        return -1.6e308, 1.6e308, 8e307
    share = share and low >= 0 and high <= 1
    if high - low <= abs(high) * 1e-9:
        half = abs(high) / 20 or 0.5
        low, high = (max(low - half, 0.0), min(high + half, 1.0)) if share else (low - half, high + half)
    width = max(high - low, 1e-300)
    power = 10.0 ** math.floor(math.log10(width / _INTERVALS))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor * _INTERVALS >= width)
    first, last = math.floor(low / step) * step, math.ceil(high / step) * step
    if last <= first:
        last = first + step
    if share:
        first, last = min(max(first, 0.0), 1.0 - step), min(last, 1.0)
    return first, last, step


def _label(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if decimals < 10 and abs(value) < 1e9 else f"{value:.6g}"


def _marks(metric: MetricResult, low: float, high: float) -> Marks:
    threshold, published = metric.threshold, metric.published
    bounds = (threshold.min, threshold.max) if threshold else ()
    replicates = [value for value in metric.per_replicate if value is not None]

    def place(value: float | None) -> float | None:
        return None if value is None else _place(value, low, high)

    return Marks(
        metric,
        place(metric.value),
        place(metric.ci.lower if metric.ci else None),
        place(metric.ci.upper if metric.ci else None),
        tuple(_place(bound, low, high) for bound in bounds if bound is not None),
        place(published.value if published else None),
        tuple(_place(value, low, high) for value in replicates) if len(replicates) > 1 else (),
    )


def _place(value: float, low: float, high: float) -> float:
    share = (value / 4 - low / 4) / (high / 4 - low / 4)
    return round(100 * min(1.0, max(0.0, share)), 2)
