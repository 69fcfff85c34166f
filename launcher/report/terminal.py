"""Show a run's result in a terminal: at most 80 columns, no bare number without n and an interval."""

from collections.abc import Iterator, Mapping, Sequence

from launcher.report.reading import BundleView, Confusion
from launcher.report.reproduced import counted
from launcher.report.text import WIDTH, cut, cut_middle, table, wrapped
from launcher.report.wording import (
    attempt_text,
    bounds_text,
    count_text,
    ends_text,
    fraction_text,
    interval_in_words,
    level_text,
    published_text,
    value_text,
)
from launcher.spec.result import MetricResult, Result

_WORD, _SHORT_WORD = 11, 9
_LONGEST_TEXT = 2 * (WIDTH - _SHORT_WORD)
_MAX_CONFUSION_LABELS = 12
_MOST_SEEDS = 12


def summary(view: BundleView) -> str:
    """Return the few lines that end a launch: status, verdict, primary metric, what deviated."""
    result = view.result
    primary = [metric for metric in result.metrics if metric.primary]
    others = [metric for metric in result.metrics if not metric.primary]
    lines = [*_headline(view), *_failure(view)]
    for metric in primary:
        lines += _block(metric)
    if primary and others:
        lines.append(_others(others))
    elif others:
        lines += metric_table(others)
    return "\n".join([*lines, *_remarks(result)])


def full(view: BundleView) -> str:
    """Return everything `evalctl show` prints about a bundle."""
    result = view.result
    parts = [[*_headline(view), *_failure(view)]]
    parts += [_block(metric, whole=True, where=view.where) for metric in result.metrics if metric.primary]
    others = [metric for metric in result.metrics if not metric.primary]
    parts.append([*metric_table(others), *_selections(others, view.where)])
    if view.confusion is not None:
        parts.append(list(_confusion(view.confusion, result)))
    parts += [[] if result.origin else list(_seeds(result)), list(_remarks(result)), list(_about(view))]
    checked = "Only the reproductions were" if view.reproduced else "Nothing is"
    parts.append([f"{checked} checked here: `evalctl verify` does that."])
    return "\n\n".join("\n".join(part) for part in parts if part)


def _headline(view: BundleView) -> list[str]:
    result, about = view.result, view.result.blueprint
    ended = f"verdict {result.verdict}" if result.failure is None else "no score"
    if result.origin:
        return wrapped(f"{about.name} {about.version}: imported, {result.origin} origin, {ended}")
    attempt = attempt_text(result, view.place)
    return wrapped(f"{about.name} {about.version}: {result.status}, {ended}, {attempt}")


def _failure(view: BundleView) -> list[str]:
    """Return why there is no score, and the last words of the program that failed."""
    result, last = view.result, view.last_words
    if result.failure is None:
        return []
    reason, *deviations = result.deviations or ("",)
    lines = _line("failure", f"{result.failure}: {reason}")
    lines += [line for deviation in deviations for line in _line("deviation", deviation)]
    if last is None:
        withheld = result.redaction is not None and "logs" in result.redaction.withheld
        return [*lines, "Its logs are withheld." if withheld else "It left no logs."]
    return [*lines, f"The end of {last.name} in the bundle:", *(cut(f"  | {line}") for line in last.lines)]


def _block(metric: MetricResult, *, whole: bool = False, where: Mapping[str, str] | None = None) -> list[str]:
    """Return a metric as lines: value with interval and n, threshold, published figure, spread."""
    value = value_text(metric) + fraction_text(metric)
    lines = _line(metric.name, f"{value}, {interval_in_words(metric)}, {count_text(metric)}")
    if whole:
        selection = f", {where[metric.name]}" if where and metric.name in where else ""
        lines += _line("definition", f"{metric.definition}{selection}, {metric.direction} is better")
    if metric.threshold is not None:
        lines += _line("threshold", f"{bounds_text(metric.threshold)}: {metric.verdict}")
    if metric.published is not None:
        lines += _line("published", published_text(metric).replace(" ", ": ", 1))
        if whole:
            lines += _line("", f"in {metric.published.source}")
    if metric.spread is not None:
        seeds = len(metric.per_replicate)
        lines += _line("spread", f"{metric.spread:.4f} (standard deviation over {seeds} seeds)")
    return lines


def _line(word: str, text: str, column: int = _WORD) -> list[str]:
    return wrapped(text, first=f"{cut_middle(word, 30):<{column - 1}} ", indent=column)


def metric_table(metrics: Sequence[MetricResult]) -> list[str]:
    """Return the lines of a table of metrics; below it, why a value or an interval is missing."""
    if not metrics:
        return []
    levels = {level_text(metric) for metric in metrics if metric.ci}
    common = levels.pop() if len(levels) == 1 else None
    header = ("metric", "value", f"{common or ''} interval".lstrip(), "by", "n", "spread", "threshold")
    rows = [(*header, "published"), *(_row(metric, common) for metric in metrics)]
    missing = [metric for metric in metrics if metric.reason]
    return [
        *table(rows),
        *(line for metric in missing for line in wrapped(f"{metric.name}: {metric.reason}", indent=2)),
    ]


def _selections(metrics: Sequence[MetricResult], where: Mapping[str, str]) -> Iterator[str]:
    """Yield which samples a metric of the table is over, where those are not all."""
    for metric in metrics:
        if metric.name in where:
            yield from wrapped(f"{metric.name}: {where[metric.name]}", indent=2)


def _row(metric: MetricResult, common: str | None) -> tuple[str, ...]:
    threshold = "-"
    if metric.threshold is not None:
        threshold = f"{bounds_text(metric.threshold).replace('= ', '=')} {metric.verdict}"
    level = "" if common or metric.ci is None else f" {level_text(metric)}"
    return (
        metric.name,
        value_text(metric),
        f"{ends_text(metric)}{level}",
        metric.ci.method if metric.ci else "-",
        f"{metric.n}{f' ({metric.errors} failed)' if metric.errors else ''}",
        "-" if metric.spread is None else f"{metric.spread:.4f}",
        threshold,
        published_text(metric),
    )


def _others(metrics: Sequence[MetricResult]) -> str:
    claimed = [metric for metric in metrics if metric.published_met is not None]
    met = sum(1 for metric in claimed if metric.published_met)
    figures = f", {met} of {len(claimed)} published figures met" if claimed else ""
    plural = "" if len(metrics) == 1 else "s"
    return f"+ {len(metrics)} supplementary metric{plural}{figures}: see `evalctl show`"


def _confusion(found: Confusion, result: Result) -> Iterator[str]:
    """Yield the confusion table, targets down and predictions across."""
    over = found.scope(result)
    if len(found.labels) > _MAX_CONFUSION_LABELS:
        yield f"confusion of {len(found.labels)} labels{over}: see result.json"
        return
    columns = [*found.labels, *(["none"] if any(found.failed) else [])]
    rows = [
        (*row, failed) if any(found.failed) else row
        for row, failed in zip(found.counts, found.failed, strict=True)
    ]
    widest = max(*map(len, columns), *(len(str(cell)) for row in rows for cell in row))
    width = 1 + min(max(4, widest), (WIDTH - 13) // len(columns) - 1)
    yield f"confusion (rows: target, columns: prediction{over})"
    yield " " * 12 + "".join(cut_middle(label, width - 1).rjust(width) for label in columns)
    for label, row in zip(found.labels, rows, strict=True):
        cells = "".join(("." if count == 0 else str(count)).rjust(width) for count in row)
        yield cut_middle(label, 12).rjust(12) + cells


def _seeds(result: Result) -> Iterator[str]:
    """Yield how each seed's container ended, and the first metric's value where there are several seeds."""
    first = next(iter(sorted(result.metrics, key=lambda metric: not metric.primary)), None)
    values = dict(enumerate(first.per_replicate)) if first is not None else {}
    several = len(values) > 1
    for replicate in result.replicates[:_MOST_SEEDS]:
        text = f"{replicate.seed}: {replicate.failure or 'succeeded'}"
        if replicate.failure and replicate.exit_code is not None:
            text += f" (exit code {replicate.exit_code})"
        value = values.get(replicate.replicate) if several else None
        if first is not None and value is not None:
            text += f", {first.name} {value:.4f}"
        yield from _line("seed", text, _SHORT_WORD)
    rest = result.replicates[_MOST_SEEDS:]
    if rest:
        failed = sum(1 for replicate in rest if replicate.failure)
        yield f"+ {len(rest)} more seeds, {failed or 'none'} of them failed"


def _remarks(result: Result) -> Iterator[str]:
    """Yield what every view must name: what is withheld, deviations, and claims that do not hold."""
    if result.redaction is not None:
        yield from _line("redacted", result.redaction.said.removeprefix("redacted: "))
    if result.failure is None:
        for deviation in result.deviations:
            yield from _line("deviation", deviation)
    for discrepancy in result.discrepancies:
        yield from _line("claim", discrepancy)


def _about(view: BundleView) -> Iterator[str]:
    place = (("ledger", view.place.in_words),) if view.place else ()
    said = [("lock", view.result.lock), ("bundle", view.digest), *view.about, *place]
    said.append(("signer", view.signer))
    for word, text in said:
        yield from _line(word, cut(text, _LONGEST_TEXT), _SHORT_WORD)
    if view.reproductions:
        statements = f"{counted(view.reproductions, 'statement')} of reproductions, not checked here"
        yield from _line("beside", view.reproduced or statements, _SHORT_WORD)
