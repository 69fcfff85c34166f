"""Show results in a terminal: at most 80 columns, no bare number without n and an interval."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from launcher.report.reading import BundleView
from launcher.spec.blueprint import Threshold
from launcher.spec.result import MetricResult, Result

if TYPE_CHECKING:
    from launcher.metrics.agreement import Agreement
    from launcher.trust.attestations import Check

WIDTH = 80
_HEADER = ("metric", "value", "interval", "n", "threshold", "published")
_MAX_CONFUSION_LABELS = 12
_MOST_SHOWN = 10


def summary(view: BundleView) -> str:
    """Return the few lines that end a launch: status, verdict, primary metrics, what deviated."""
    result = view.result
    lines = [_headline(result), *_failure(result)]
    primary = [metric for metric in result.metrics if metric.primary]
    lines += metric_table(primary)
    others = [metric for metric in result.metrics if not metric.primary]
    if others:
        lines.append(_others(others))
    lines += [f"note: {deviation}" for deviation in result.deviations if result.status == "succeeded"]
    return "\n".join(_fit(line) for line in lines)


def full(view: BundleView) -> str:
    """Return everything `evalctl show` prints about a bundle."""
    result = view.result
    lines = [_headline(result), *_failure(result), ""]
    if result.metrics:
        primary = [metric for metric in result.metrics if metric.primary]
        others = [metric for metric in result.metrics if not metric.primary]
        for metrics in filter(None, (primary, others)):
            lines += [*metric_table(metrics), ""]
    confusion = result.tables.get("confusion")
    if isinstance(confusion, Mapping):
        lines += [*_confusion(confusion), ""]
    lines += [*_replicates(result), *_about(view)]
    lines += [f"note     {deviation}" for deviation in result.deviations]
    return "\n".join(_fit(line) for line in lines)


def verification(verdict: str, digest: str | None, checks: "Sequence[Check]") -> str:
    """Return the lines of a verification: one a check, the verdict last."""
    lines = [
        f"{check.status:<8} {check.name}{': ' if check.detail else ''}{check.detail}" for check in checks
    ]
    lines.append(f"{verdict} {digest or ''}".rstrip())
    return "\n".join(_wrapped(line) for line in lines)


def agreement(found: "Agreement") -> str:
    """Return how two runs compare: a line for each metric, but those that came out identical in one."""
    same = [metric for metric in found.metrics if metric.verdict == "identical"]
    shown = found.metrics if len(found.metrics) <= _MOST_SHOWN else found.metrics[:1]
    shown += tuple(metric for metric in found.metrics if metric not in (*same, *shown))
    rows = [("metric", "original", "reproduced", "verdict")]
    rows += [(item.name, _number(item.original), _number(item.reproduced), item.verdict) for item in shown]
    lines = table(rows)
    if len(shown) < len(found.metrics):
        lines.append(f"+ {len(found.metrics) - len(shown)} more metrics, identical")
    lines += [f"{item.name}: {item.reason}" for item in shown if item.verdict != "identical"]
    lines.append(f"samples: {found.samples.equal} of {found.samples.n} equal")
    return "\n".join(_fit(line) for line in lines)


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.12g}"


def metric_table(metrics: Sequence[MetricResult]) -> list[str]:
    """Return the lines of a table of metrics; a column in which nothing stands is left out."""
    return table([_HEADER, *(_row(metric) for metric in metrics)]) if metrics else []


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return `rows` (the first is the header) as aligned lines without the columns that hold only `-`."""
    columns = [
        [cell.ljust(max(map(len, column))) for cell in column]
        for column in zip(*rows, strict=True)
        if any(cell != "-" for cell in column[1:])
    ]
    return ["  ".join(cells).rstrip() for cells in zip(*columns, strict=True)]


def _row(metric: MetricResult) -> tuple[str, ...]:
    decimals = max(4, metric.published.decimals if metric.published else 0)
    name = metric.name
    if metric.value is None:
        return (name, "none", metric.reason or "", str(metric.n), _threshold(metric), "")
    return (
        name,
        f"{metric.value:.{decimals}f}",
        _interval(metric),
        str(metric.n),
        _threshold(metric),
        _published(metric),
    )


def _interval(metric: MetricResult) -> str:
    ci = metric.ci
    if ci is None:
        return "no interval"
    return f"{ci.lower:.4f}..{ci.upper:.4f} ({ci.level:.4g})"


def _threshold(metric: MetricResult) -> str:
    threshold = metric.threshold
    return f"{_bounds(threshold)} {metric.verdict}" if threshold else "-"


def _bounds(threshold: Threshold) -> str:
    where = "" if threshold.on == "value" else f"{threshold.on} "
    low = f">={threshold.min:g}" if threshold.min is not None else ""
    high = f"<={threshold.max:g}" if threshold.max is not None else ""
    return where + " ".join(filter(None, (low, high)))


def _published(metric: MetricResult) -> str:
    if metric.published is None:
        return "-"
    met = {True: "met", False: "NOT met", None: "?"}[metric.published_met]
    return f"{metric.published.value:.{metric.published.decimals}f} {met}"


def _headline(result: Result) -> str:
    name = f"{result.blueprint.name} {result.blueprint.version}"
    return f"{name}: {result.status}, verdict {result.verdict}, attempt {result.attempt}"


def _failure(result: Result) -> list[str]:
    if result.failure is None:
        return []
    return [f"failure: {result.failure}: {'; '.join(result.deviations)}"]


def _others(metrics: Sequence[MetricResult]) -> str:
    claimed = [metric for metric in metrics if metric.published_met is not None]
    met = sum(1 for metric in claimed if metric.published_met)
    figures = f", {met} of {len(claimed)} published figures met" if claimed else ""
    plural = "" if len(metrics) == 1 else "s"
    return f"+ {len(metrics)} supplementary metric{plural}{figures}"


def _confusion(table: Mapping[str, Any]) -> Iterator[str]:
    """Yield the confusion table, targets down and predictions across."""
    labels, counts = table["labels"], table["counts"]
    if len(labels) > _MAX_CONFUSION_LABELS:
        yield f"confusion: {len(labels)} labels, see result.json"
        return
    names = [str(label)[:6] for label in labels]
    width = max(4, *(len(name) for name in names), *(len(str(count)) for row in counts for count in row)) + 1
    yield "confusion (rows: target, columns: prediction)"
    yield " " * 8 + "".join(name.rjust(width) for name in names)
    for name, row in zip(names, counts, strict=True):
        yield name.rjust(8) + "".join(("." if count == 0 else str(count)).rjust(width) for count in row)


def _replicates(result: Result) -> Iterator[str]:
    for replicate in result.replicates:
        ending = replicate.failure or "succeeded"
        yield f"seed     {replicate.seed} (replicate {replicate.replicate}): {ending}"


def _about(view: BundleView) -> Iterator[str]:
    facts, identity = view.facts, view.lock.identity
    yield f"lock     {view.result.lock}"
    yield f"bundle   {view.digest}"
    yield f"image    {identity['image']['manifest']}"
    yield f"code     {identity['code']['commit']}"
    yield f"sandbox  {facts.get('sandbox.profile', {}).get('runtime', '?')}, network none"
    yield f"engine   {facts.get('engine.name', '?')} {facts.get('engine.version', '?')}"
    yield f"machine  {facts.get('host.cpu-model', '?')}, kernel {facts.get('host.kernel', '?')}"
    yield f"signer   {view.signer}"
    if view.reproductions:
        yield f"beside   {view.reproductions} statement(s) of reproductions"
    yield "Nothing is checked here: `evalctl verify` does that."


def _wrapped(line: str) -> str:
    import textwrap

    return "\n".join(textwrap.wrap(_printable(line), WIDTH, subsequent_indent=" " * 9)) or ""


def _printable(line: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in line)


def _fit(line: str) -> str:
    printable = _printable(line)
    return printable if len(printable) <= WIDTH else printable[: WIDTH - 3] + "..."
