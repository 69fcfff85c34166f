"""What a report says, in words: the verdict strip, each metric, the caveats; the same for every format."""

import re
from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct

from launcher.ledger.view import LedgerPlace
from launcher.metrics.contributions import what_stays
from launcher.report.record import Record
from launcher.report.reproduced import reproduced_text, who_reproduced
from launcher.report.text import cut
from launcher.report.wording import (
    bounds_text,
    decimals_of,
    level_text,
    number_text,
    selection_text,
    value_text,
)
from launcher.spec.blueprint import Threshold
from launcher.spec.result import MetricResult, Result
from launcher.trust.tally import CONFIRMING

State = Literal["good", "bad", "warn", "plain"]

_LONGEST_QUOTE = 500
_FAILURES = {
    "candidate": "the evaluated program failed",
    "timeout": "it ran past its time limit",
    "out-of-memory": "it ran out of memory",
    "disk": "it filled its outputs",
    "sandbox": "the sandbox stopped it",
    "engine": "the container engine failed, not the candidate",
    "image": "the image could not be had, not the candidate's fault",
    "input": "an input could not be had, not the candidate's fault",
    "interrupted": "it was interrupted",
}
_MOMENT = re.compile(r"[0-9-]{10}T[0-9:]{8}(?:\.[0-9]+)?Z", re.ASCII)
_STATES: dict[str, State] = {"pass": "good", "fail": "bad", "inconclusive": "warn"}


class Cell(Struct, frozen=True):
    """One statement of the verdict strip: what it is about, how it stands, and why."""

    label: str
    state: State
    head: str
    detail: str


def strip(record: Record) -> tuple[Cell, ...]:
    """Return the verdict strip; what nobody verified is only claimed, and never shown as good."""
    result, signature = record.result, _verification(record)
    cells = [_thresholds(result), _completeness(record), *_attempts(record)]
    cells += [_reproductions(record), _published(result)]
    if record.finding.verdict == "untrusted":
        cells = [Cell(f"{cell.label}, as claimed", "plain", cell.head, cell.detail) for cell in cells]
    return (*_origin(result), *_redaction(result), cells[0], signature, *cells[1:])


def marks(result: Result) -> tuple[str, ...]:
    """Return the words that stand beside the evaluation's name: how this is less than a whole run."""
    return (*result.marks, *(["redacted"] if result.redaction else []))


def _origin(result: Result) -> tuple[Cell, ...]:
    if result.origin is None:
        return ()
    return (Cell("Origin", "warn", f"Imported, {result.origin}", "evalctl launched nothing of this"),)


def _redaction(result: Result) -> tuple[Cell, ...]:
    if result.redaction is None:
        return ()
    return (Cell("Redacted", "warn", "In part", result.redaction.said.removeprefix("redacted: ")),)


def _thresholds(result: Result) -> Cell:
    if result.failure is not None:
        return Cell("Result", "bad", "No score", failure_in_words(result))
    asked = [metric for metric in result.metrics if metric.threshold is not None]
    if not asked:
        head = "Inconclusive" if result.verdict == "inconclusive" else "No verdict"
        return Cell("Thresholds", "plain", head, "the blueprint sets no threshold")
    kept = sum(1 for metric in asked if metric.verdict == "pass")
    detail = f"{kept} of {_counted(len(asked), 'threshold')} kept"
    return Cell("Thresholds", _STATES.get(result.verdict, "plain"), result.verdict.capitalize(), detail)


def _verification(record: Record) -> Cell:
    finding = record.finding
    if finding.verdict == "untrusted":
        return Cell("Signature", "warn", "Not verified", "the trust policy does not accept who signed")
    skipped = sum(1 for check in finding.checks if check.status == "skipped")
    passed = sum(1 for check in finding.checks if check.status == "ok")
    said = next((check.detail for check in finding.checks if check.name == "trust:result"), "")
    detail = f"{_counted(passed, 'check')} passed{f', {skipped} skipped' if skipped else ''}; {said}"
    return Cell("Signature", "good", "Verified", detail)


def _completeness(record: Record) -> Cell:
    result, total = record.result, record.answers.count
    ended = sum(1 for replicate in result.replicates if replicate.status == "succeeded")
    total += result.redaction.samples if result.redaction else 0
    answered = total - result.samples.errors
    whole = answered == total > 0 and ended == len(result.replicates) and not result.marks
    detail = f"samples answered; {ended} of {_counted(len(result.replicates), 'replicate')} succeeded"
    detail += f"; marked {', '.join(result.marks)}" if result.marks else ""
    return Cell("Completeness", "good" if whole else "warn", f"{answered} of {total}", detail)


def _attempts(record: Record) -> Iterator[Cell]:
    """Yield which of how many attempts it is; nothing for what evalctl did not launch."""
    place = record.place
    if record.result.origin is not None:
        return
    if place is None:
        yield Cell("Attempts", "warn", "Not counted", "no ledger shows how many there were")
        return
    several = (place.of or 0) + (place.others or 0) > 1
    others = f"and {place.others} by other keys, " if place.others else ""
    head = f"{place.position} of {place.of}" if place.of else f"Number {place.position}"
    scope = "over all locks" if place.of else "of how many, nobody here can tell"
    yield Cell("Attempts", "warn" if several else "plain", head, f"{scope}, {others}{place.where}")


def _reproductions(record: Record) -> Cell:
    counted = record.finding.reproductions
    if record.result.origin is not None:
        return Cell("Reproduced", "plain", "Cannot be", "there is nothing to launch again")
    if not counted:
        return Cell("Reproduced", "plain", "Not yet", "no reproduction is counted")
    found = record.finding.tally
    bad = any(item.statement.verdict not in CONFIRMING for item in counted)
    head = ", ".join(dict.fromkeys(item.statement.verdict for item in counted)).capitalize()
    state: State = "bad" if bad else "good" if found.keys else "plain"
    return Cell("Reproduced", state, head, reproduced_text(found))


def _published(result: Result) -> Cell:
    claimed = [metric for metric in result.metrics if metric.published is not None]
    if not claimed:
        return Cell("Published figures", "plain", "None", "the blueprint names no published figure")
    met = sum(1 for metric in claimed if metric.published_met)
    state: State = "good" if met == len(claimed) else "warn"
    return Cell("Published figures", state, f"{met} of {len(claimed)}", "met at their own precision")


def failure_in_words(result: Result) -> str:
    """Return what a failure means, and its class."""
    return f"{_FAILURES.get(str(result.failure), 'it failed')} ({result.failure})"


def threshold_in_words(metric: MetricResult) -> str:
    """Say what was asked, what was measured, and whether that keeps it."""
    threshold, ci = metric.threshold, metric.ci
    if threshold is None:
        return ""
    ends = {"value": metric.value, "ci-lower": ci.lower if ci else None, "ci-upper": ci.upper if ci else None}
    names = {
        "value": "the value",
        "ci-lower": "the interval's lower end",
        "ci-upper": "the interval's upper end",
    }
    measured = ends[threshold.on]
    asked = _bounds(threshold)
    words = {"pass": "kept", "fail": "missed"}.get(metric.verdict, "cannot be told")
    got = "does not exist" if measured is None else f"is {number_text(measured)}"
    return f"{words}: {names[threshold.on]} {got}, asked for {asked}"


def bounds_in_words(threshold: Threshold) -> str:
    """Return what a threshold asks for and of what, such as `lower end ≥ 0.95`."""
    what = {"value": "value", "ci-lower": "lower end", "ci-upper": "upper end"}[threshold.on]
    return f"{what} {_bounds(threshold)}"


def _bounds(threshold: Threshold) -> str:
    asked = bounds_text(threshold).removeprefix(f"{threshold.on} ")
    return asked.replace(">=", "≥").replace("<=", "≤")


def time_text(moment: str) -> str:
    """Return RFC 3339 text in UTC to the second, for people; anything else as it is."""
    return f"{moment[:10]} {moment[11:19]} UTC" if _MOMENT.fullmatch(moment) else moment


def published_in_words(metric: MetricResult) -> str:
    """Say which figure was published, and whether the value agrees with it at its precision."""
    published = metric.published
    if published is None:
        return ""
    figure = f"{published.value:.{published.decimals}f}"
    at = f"at {_counted(published.decimals, 'decimal')}"
    if metric.published_met is None or metric.value is None:
        return f"{figure}: cannot be told"
    if metric.published_met:
        return f"{figure}: met {at}"
    return f"{figure}: not met {at}, off by {metric.value - published.value:+.{decimals_of(metric)}f}"


def interval_text(metric: MetricResult) -> str:
    """Return the ends of the interval, or why there is none."""
    if metric.ci is None:
        return f"none ({metric.reason or 'none was asked for'})"
    places = decimals_of(metric)
    return f"{number_text(metric.ci.lower, places)} to {number_text(metric.ci.upper, places)}"


def method_text(metric: MetricResult) -> str:
    """Return the method of the interval and its level."""
    return "-" if metric.ci is None else f"{metric.ci.method}, {level_text(metric)}"


def one_line_text(metric: MetricResult) -> str:
    """Return a metric in one sentence, for those who cannot see the plot."""
    parts = [f"{metric.name}: {value_text(metric)}, interval {interval_text(metric)}, n {metric.n}"]
    parts += [text for text in (threshold_in_words(metric),) if text]
    parts += [f"published {text}" for text in (published_in_words(metric),) if text]
    return "; ".join(parts)


def seed_values(metric: MetricResult) -> tuple[str, ...]:
    """Return the value of each replicate where there are several."""
    if len(metric.per_replicate) < 2:
        return ()
    places = decimals_of(metric)
    return tuple("none" if value is None else number_text(value, places) for value in metric.per_replicate)


def spread_text(metric: MetricResult) -> str:
    """Return the standard deviation between seeds, `-` where there is none."""
    return "-" if metric.spread is None else number_text(metric.spread, decimals_of(metric))


class Caveat(Struct, frozen=True):
    """One sentence in our words, and what the bundle or somebody else says to it in theirs."""

    text: str
    quoted: str = ""


def selections(record: Record) -> Mapping[str, str]:
    """Return which samples a metric is over, by its name, where those are not all."""
    said = {metric.name: selection_text(metric.where) for metric in record.blueprint.metrics}
    return {name: cut(text) for name, text in said.items() if text}


def caveats(record: Record) -> tuple[Caveat, ...]:
    """Return whatever keeps the result from being taken at face value."""
    return tuple(Caveat(said.text, cut(said.quoted, _LONGEST_QUOTE)) for said in _caveats(record))


def _caveats(record: Record) -> Iterator[Caveat]:
    result, finding = record.result, record.finding
    if finding.verdict == "untrusted":
        yield Caveat("Nothing here was verified: the trust policy does not accept who signed.")
    for mark in (mark for mark in result.marks if mark != "not-re-runnable"):
        yield Caveat(f"This is not a whole, final run: it is marked {mark}.")
    yield from _about_redaction(record)
    if result.failure is not None:
        yield Caveat(f"The run failed, so there is no score: {failure_in_words(result)}.")
    for text in result.deviations if result.failure is None else ():
        yield Caveat("Deviation from the plan:", text)
    for text in result.discrepancies:
        yield Caveat("A claim of the container that was not confirmed:", text)
    for replicate in result.replicates:
        if replicate.failure:
            code = "" if replicate.exit_code is None else f", exit code {replicate.exit_code}"
            which = f"Replicate {replicate.replicate} (seed {replicate.seed})"
            yield Caveat(f"{which} failed: {replicate.failure}{code}.")
    if result.samples.errors:
        failed = _counted(result.samples.errors, "sample")
        yield Caveat(f"{failed} failed; the definitions say how those count.")
    yield from _about_attempts(record.place)
    yield from _about_metrics(result)
    yield from _about_sandbox(record)
    for check in finding.checks:
        if check.status != "ok":
            yield Caveat(f"Check {check.status}: {check.name}{':' if check.detail else ''}", check.detail)
    contradicting = [item for item in finding.reproductions if item.statement.verdict not in CONFIRMING]
    for said in who_reproduced(contradicting):
        yield Caveat("Launched again, it did not come out the same:", said)
    if not any(item.independent for item in finding.reproductions):
        yield Caveat("No reproduction by another key is counted: who ran this is the only witness.")


def _about_redaction(record: Record) -> Iterator[Caveat]:
    redaction = record.result.redaction
    if redaction is None:
        return
    yield Caveat(f"Parts of the bundle were taken away, {redaction.said}.")
    for words in what_stays(record.blueprint.metrics) if redaction.takes_samples else ():
        yield Caveat("Of each sample, withheld or not, stays", words)


def _about_attempts(place: LedgerPlace | None) -> Iterator[Caveat]:
    if place is None:
        return
    if place.of is not None and place.of > 1:
        count = f"{place.of} attempts count together, of which this is number {place.position}"
        same = "same signer, blueprint name, data and metric"
        yield Caveat(f"{count}: {same}; the ledger had {place.size} entries.")
    if place.others:
        more = "1 attempt more was" if place.others == 1 else f"{place.others} attempts more were"
        yield Caveat(f"{more} made with other keys at the same blueprint name, data and metric.")
    if not place.looks.known:
        unseen = "no known witness co-signed the ledger"
        yield Caveat(f"How many attempts there were is the word of whoever launched it: {unseen}.")


def _about_metrics(result: Result) -> Iterator[Caveat]:
    for metric in result.metrics:
        if metric.verdict == "fail" and metric.threshold is not None:
            yield Caveat(f"Threshold of {metric.name} {threshold_in_words(metric)}.")
        if metric.published_met is False:
            yield Caveat(f"Published figure of {metric.name}, {published_in_words(metric)}.")
        if metric.reason:
            yield Caveat(f"About {metric.name}:", metric.reason)


def _about_sandbox(record: Record) -> Iterator[Caveat]:
    sandbox = record.blueprint.sandbox
    if sandbox.allow:
        yield Caveat("The sandbox was widened:", ", ".join(sandbox.allow))
    if sandbox.network != "none":
        hosts = ", ".join(sandbox.allow_hosts) or sandbox.network
        yield Caveat("Not re-runnable: what these hosts answered is pinned by nothing:", hosts)
    if record.around.note:
        yield Caveat("Note of whoever launched it:", record.around.note)


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
