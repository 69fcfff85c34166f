"""What the templates of the HTML page print, each value worded and cut already."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from launcher import __version__
from launcher.metrics.definitions import definitions
from launcher.report import provenance, sections
from launcher.report.classes import class_rows
from launcher.report.forest import scales
from launcher.report.mistakes import Mistakes, shown_value, worst_of
from launcher.report.record import Record
from launcher.report.text import amount, cut
from launcher.report.usage import Step, Usage
from launcher.report.wording import attempt_text, count_text, fraction_text, value_text
from launcher.spec.machine_kind import kind_in_words
from launcher.spec.result import MetricResult

_MOST_MISTAKES = 150
_MOST_ROWS = 200
_MOST_CAVEATS = 100
_MOST_SEEDS = 50
_LONGEST_LINE = 400
_STATES = {"pass": "good", "fail": "bad", "inconclusive": "warn"}
_READINGS = (
    ("seconds", "Wall"),
    ("cpu_user_seconds", "CPU, user"),
    ("cpu_system_seconds", "CPU, system"),
    ("max_rss_bytes", "Most memory"),
    ("output_bytes", "Output"),
)
# What the kernel counted for the container as a whole; a column where any was.
_SEEN_OUTSIDE = (
    ("memory_peak_bytes", "Most in all"),
    ("read_bytes", "Read"),
    ("written_bytes", "Written"),
    ("throttled_seconds", "Throttled"),
)
# Readings without a column; whatever else a line holds stands under its own name.
_OTHER_WORDS = {
    "pids_peak": "most processes and threads",
    "memory_kills": "processes ended for want of memory",
    "memory_refusals": "times the memory limit was met",
    "pids_refusals": "processes and threads refused",
}
_MET = {True: "met", False: "not met", None: "unknown"}


class MetricText(Struct, frozen=True):
    """A metric as the page prints it; empty where it has no such thing."""

    name: str
    definition: str
    meaning: str
    direction: str
    primary: bool
    value: str
    fraction: str
    interval: str
    method: str
    n: str
    bounds: str
    threshold: str
    verdict: str
    state: str
    figure: str
    published: str
    met: str
    published_state: str
    source: str
    seeds: tuple[str, ...]
    spread: str
    reason: str
    sentence: str


def page_values(record: Record) -> Mapping[str, Any]:
    """Return every name that the templates use."""
    finding, around = record.finding, record.around
    caveats = sections.caveats(record)
    return {
        "about": record.blueprint.about,
        "result": record.result,
        "cells": sections.strip(record),
        "attempt": attempt_text(record.result, record.place),
        "marks": sections.marks(record.result),
        "untrusted": finding.verdict == "untrusted",
        "signer": ", ".join(finding.signers) or around.signer,
        "digest": finding.digest,
        "began": sections.time_text(around.started),
        "failure": sections.failure_in_words(record.result),
        "last_words": _log(record),
        "deviations": [cut(text, _LONGEST_LINE) for text in record.result.deviations[:_MOST_SEEDS]],
        "caveats": caveats[:_MOST_CAVEATS],
        "caveats_cut": max(0, len(caveats) - _MOST_CAVEATS),
        "version": __version__,
        "checks": [(item.name, item.status, cut(item.detail, _LONGEST_LINE)) for item in finding.checks],
        "reproductions": [
            (
                item.statement.verdict,
                item.signer,
                "another" if item.independent else "the same, which does not count",
                cut(kind_in_words(item.statement.environment), _LONGEST_LINE) or "not stated",
                item.statement.reproduced,
            )
            for item in finding.reproductions
        ],
        "sections": _sections(record, len(caveats)),
        **_metric_values(record),
        **_confusion_values(record),
        **_mistake_values(record),
        **_resource_values(record),
        **_provenance_values(record),
    }


def _sections(record: Record, caveats: int) -> Sequence[tuple[str, str]]:
    listed = [
        ("result", "Result", True),
        ("confusion", "Confusion", record.around.confusion is not None),
        ("errors", "Errors first", record.result.failure is None),
        ("resources", "Resources", True),
        ("provenance", "Provenance", True),
        ("caveats", f"Caveats ({caveats})", True),
    ]
    return [(anchor, name) for anchor, name, is_there in listed if is_there]


def _log(record: Record) -> Mapping[str, Any] | None:
    last = record.around.last_words
    if last is None:
        return None
    return {"name": last.name, "lines": [cut(line, _LONGEST_LINE) for line in last.lines]}


def _metric_values(record: Record) -> Mapping[str, Any]:
    shown = sorted(record.result.metrics, key=lambda metric: not metric.primary)[:_MOST_ROWS]
    where = sections.selections(record)
    metrics = tuple(_metric(metric, where) for metric in shown)
    drawn = [
        {"ticks": scale.ticks, "rows": [(row, _metric(row.metric, where)) for row in scale.rows]}
        for scale in scales(shown)
    ]
    has = {
        "has_threshold": any(metric.threshold for metric in metrics),
        "has_published": any(metric.published for metric in metrics),
        "has_seeds": any(metric.seeds for metric in metrics),
    }
    named = {metric.source for metric in metrics if metric.primary}
    sources = [metric.source for metric in metrics if metric.published and metric.source not in named]
    return {
        "metrics": metrics,
        "metrics_cut": _said_cut(len(record.result.metrics), "result.json"),
        "scales": drawn,
        "columns": 3 + sum(has.values()),
        "sources": list(dict.fromkeys(sources))[:_MOST_SEEDS],
        **has,
    }


def _metric(metric: MetricResult, where: Mapping[str, str]) -> MetricText:
    meanings = {definition.name: definition.summary for definition in definitions()}
    published = metric.published
    return MetricText(
        name=metric.name,
        definition=", ".join(filter(None, (metric.definition, where.get(metric.name)))),
        meaning=meanings.get(metric.definition, "").split(". ")[0].rstrip("."),
        direction=metric.direction,
        primary=metric.primary,
        value=value_text(metric),
        fraction=fraction_text(metric).strip(" ()"),
        interval=sections.interval_text(metric),
        method=sections.method_text(metric),
        n=count_text(metric).removeprefix("n "),
        bounds=sections.bounds_in_words(metric.threshold) if metric.threshold else "",
        threshold=sections.threshold_in_words(metric),
        verdict=metric.verdict,
        state=_STATES.get(metric.verdict, "plain"),
        figure=f"{published.value:.{published.decimals}f}" if published else "",
        published=sections.published_in_words(metric),
        met=_MET[metric.published_met],
        published_state="good" if metric.published_met else "warn",
        source=published.source if published else "",
        seeds=sections.seed_values(metric)[:_MOST_SEEDS],
        spread=sections.spread_text(metric),
        reason=metric.reason or "",
        sentence=sections.one_line_text(metric),
    )


def _confusion_values(record: Record) -> Mapping[str, Any]:
    confusion = record.around.confusion
    if confusion is None:
        return {"confusion": (), "labels": (), "pooled": "", "independent": False}
    # One item that several tasks or models answer is still one item.
    independent = record.answers.independent
    labels = [cut(label, 60) for label in confusion.labels]
    return {
        "confusion": tuple(class_rows(confusion, independent=independent)),
        "labels": [*labels, *(["no answer"] if any(confusion.failed) else [])],
        "pooled": confusion.scope(record.result),
        "independent": independent,
    }


def _mistake_values(record: Record) -> Mapping[str, Any]:
    found = worst_of(record, _MOST_MISTAKES)
    return {
        "mistakes": found,
        "mistakes_said": mistakes_in_words(found),
        "has_tasks": any(item.task for item in found.shown),
        "has_notes": any(item.note for item in found.shown),
        "several": any(item.samples > 1 for item in found.shown),
        "wrong_word": "Wrong" if found.kind == "wrong" else "Failed",
    }


def mistakes_in_words(found: Mistakes) -> str:
    """Say how many items went wrong, how many are shown, and where all of them are."""
    where = "All of them are in samples.jsonl of the bundle."
    if found.kind == "withheld":
        return "Parts of the samples are withheld, so no item is shown. What is left is in samples.jsonl."
    if found.kind == "many":
        return f"There are {found.items} samples, too many to look at one by one here. {where}"
    if found.kind == "none":
        return f"The samples do not tell right from wrong. {where}"
    if found.kind == "worst":
        return f"The worst {len(found.shown)} of {found.items} items by {found.by}. {where}"
    if not found.found:
        return f"None of {found.items} items went wrong by {found.by}. {where}"
    shown = "" if found.found == len(found.shown) else f", of which the first {len(found.shown)} are shown"
    return f"{found.found} of {found.items} items went wrong by {found.by}{shown}. {where}"


def _resource_values(record: Record) -> Mapping[str, Any]:
    usage, steps = record.around.usage, record.around.steps
    columns = [*_READINGS, *(item for item in _SEEN_OUTSIDE if any(item[0] in row.readings for row in usage))]
    rows = [_usage(row, [name for name, _ in columns]) for row in usage[:_MOST_ROWS]]
    return {
        "usage": rows,
        "usage_columns": [title for _, title in columns],
        "usage_cut": _said_cut(len(usage), "resources.jsonl"),
        "has_other": any(row["other"] for row in rows),
        "steps": [_step(step) for step in steps[:_MOST_ROWS]],
        "steps_cut": _said_cut(len(steps), "events.jsonl"),
    }


def _said_cut(count: int, name: str) -> str:
    return f" The first {_MOST_ROWS} of {count}; all are in {name}." if count > _MOST_ROWS else ""


def _usage(row: Usage, columns: Sequence[str]) -> Mapping[str, Any]:
    words = {"seconds": provenance.seconds_in_words, "bytes": _bytes_in_words}
    texts = [
        words[name.rpartition("_")[2]](row.readings[name]) if name in row.readings else "-"
        for name in columns
    ]
    other = [
        f"{_OTHER_WORDS.get(name, name)} {_reading(value)}"
        for name, value in row.other.items()
        if name != "logs"
    ]
    return {
        "phase": cut(row.phase, 80),
        "replicate": cut(row.replicate, 20),
        "readings": texts,
        "logs": cut(_logs(row.other.get("logs")), 120),
        "other": cut("; ".join(filter(None, other)), _LONGEST_LINE),
    }


def _bytes_in_words(size: float) -> str:
    return amount(int(size))


def _logs(logs: Any) -> str:
    """Say how much each stream wrote, and which of them was cut; whatever else stands there, as it is."""
    if not isinstance(logs, dict) or not all(isinstance(log, dict) for log in logs.values()):
        return "-" if logs is None else shown_value(logs)
    words = [
        f"{name} {amount(size)}{' (cut)' if log.get('truncated') else ''}"
        for name, log in sorted(logs.items())
        if isinstance(size := log.get("bytes"), int) and size > 0
    ]
    return ", ".join(words) or "empty"


def _reading(value: Any) -> str:
    return value if isinstance(value, str) else shown_value(value)


def _step(step: Step) -> Mapping[str, Any]:
    return {
        "name": cut(step.name, 120),
        "source": cut(step.source, 40),
        "phase": cut(step.phase, 80),
        "count": step.count,
        "seconds": "-" if step.seconds is None else provenance.seconds_in_words(step.seconds),
    }


def _provenance_values(record: Record) -> Mapping[str, Any]:
    return {
        "commands": provenance.commands(record),
        "trust_command": provenance.trust_command(),
        "rows": provenance.rows(record),
        "inputs": provenance.inputs(record),
        "configuration": provenance.configuration(record),
        "facts": provenance.facts(record),
    }
