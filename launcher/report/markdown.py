"""Write a report as Markdown: the same facts, compact, for a comment on a pull request.

What a bundle says stands in code spans, where nothing is a link, a mention, markup or an image.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from launcher import __version__
from launcher.report import provenance, sections
from launcher.report.mistakes import Mistake, worst_of
from launcher.report.page_values import mistakes_in_words
from launcher.report.record import Record
from launcher.report.text import cut
from launcher.report.wording import attempt_text, count_text, fraction_text, value_text
from launcher.spec.result import MetricResult

_MOST_METRICS = 60
_MOST_MISTAKES = 10
_MOST_CAVEATS = 30
_LONGEST = 200
_LAST_LINES = 15
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!~$@&])")
_TERMS = frozenset({"Origin", "Image", "Code", "Command", "Seeds", "Sandbox", "Launcher", "Lock"})


def markdown(record: Record) -> str:
    """Return the report; the same record gives the same text."""
    about, result = record.blueprint.about, record.result
    marks = "".join(f" {code(mark)}" for mark in sections.marks(result))
    name = f"{code(about.name)} {code(about.version)}, {attempt_text(result, record.place)}"
    parts = [
        [f"# Evaluation report: {code(about.title or about.name)}"],
        [f"{name}, began {code(sections.time_text(record.around.started))}{marks}"],
        list(_strip(record)),
        list(_result(record)),
        list(_mistakes(record)),
        list(_caveats(record)),
        list(_provenance(record)),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def code(text: str, longest: int = _LONGEST) -> str:
    """Return `text` as a code span: nothing in it is a link, a mention, markup or an image."""
    plain = cut(text, longest)
    if not plain.strip():
        return "(empty)"
    fence = "`" * (1 + max(map(len, re.findall("`+", plain)), default=0))
    space = " " if plain[0] in "` " or plain[-1] in "` " else ""
    return f"{fence}{space}{plain}{space}{fence}"


def words(text: str) -> str:
    """Return our own words with nothing in them that Markdown would act on."""
    return _SPECIAL.sub(r"\\\1", cut(text, 2000))


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield a table whose first row is the header; columns without any text below it are left out."""
    if len(rows) == 1:
        yield "None."
        return
    kept = [column for column in zip(*rows, strict=True) if any(column[1:])]
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in zip(*kept, strict=True)]
    yield from (lines[0], "|---" * len(kept) + "|", *lines[1:])


def _cell(text: str) -> str:
    """Return `text` with no bar that would end the cell; behind a backslash, an escaped one would."""
    return text.replace("|", "\\x7c" if "\\" in text else "\\|")


def _strip(record: Record) -> Iterator[str]:
    if record.finding.verdict == "untrusted":
        yield "> **Not verified.** The trust policy does not accept who signed this bundle."
        yield "> Nobody has checked what follows."
        yield ""
    rows = [("", "", "")]
    rows += [(cell.label, f"**{words(cell.head)}**", words(cell.detail)) for cell in sections.strip(record)]
    yield from _table(rows)
    yield ""
    signer = ", ".join(record.finding.signers) or record.around.signer
    yield f"Bundle {code(record.finding.digest)}, signed by {code(signer)}"


def _result(record: Record) -> Iterator[str]:
    result = record.result
    yield "## Result"
    yield ""
    if result.failure is not None:
        yield f"**There is no score.** The reason: {words(sections.failure_in_words(result))}."
        yield from (f"- {code(text)}" for text in result.deviations[:_MOST_CAVEATS])
        yield from _log(record)
        return
    ordered = sorted(result.metrics, key=lambda metric: not metric.primary)
    header = ("Metric", "Value", "Interval", "By", "n", "Better", "Threshold", "Published", "Spread")
    where = sections.selections(record)
    yield from _table([header, *(_metric(metric, where) for metric in ordered[:_MOST_METRICS])])
    if len(ordered) > _MOST_METRICS:
        yield ""
        yield f"{len(ordered) - _MOST_METRICS} more metrics are in result.json of the bundle."


def _metric(metric: MetricResult, where: Mapping[str, str]) -> tuple[str, ...]:
    name = f"**{code(metric.name)}**" if metric.primary else code(metric.name)
    selection = f" {code(where[metric.name])}" if metric.name in where else ""
    threshold = ""
    if metric.threshold is not None:
        threshold = f"{words(sections.bounds_in_words(metric.threshold))}: {metric.verdict}"
    return (
        name + selection,
        value_text(metric) + words(fraction_text(metric)),
        words(sections.interval_text(metric)) if metric.ci else code(sections.interval_text(metric)),
        words(sections.method_text(metric)),
        words(count_text(metric).removeprefix("n ")),
        metric.direction,
        threshold,
        words(sections.published_in_words(metric)),
        "" if metric.spread is None else sections.spread_text(metric),
    )


def _log(record: Record) -> Iterator[str]:
    last = record.around.last_words
    yield ""
    if last is None:
        yield "It left no logs."
        return
    yield f"The end of {code(last.name)} in the bundle:"
    yield ""
    yield from (f"    {cut(line, _LONGEST)}" for line in last.lines[-_LAST_LINES:])


def _mistakes(record: Record) -> Iterator[str]:
    if record.result.failure is not None:
        return
    found = worst_of(record, _MOST_MISTAKES)
    yield "## Errors first"
    yield ""
    yield words(mistakes_in_words(found))
    if found.shown:
        yield ""
        yield from _table([("Item", "Target", "Answered", "Notes"), *map(_mistake, found.shown)])


def _mistake(item: Mistake) -> tuple[str, ...]:
    name = f"{item.task}: {item.id}" if item.task else item.id
    answers = ", ".join(item.answers[:3])
    return (
        code(name, 80),
        code(item.target, 80) if item.target else "",
        code(answers, 120) if answers else "nothing",
        code(item.note, 120) if item.note else "",
    )


def _caveats(record: Record) -> Iterator[str]:
    yield "## Caveats"
    yield ""
    found = sections.caveats(record)
    for caveat in found[:_MOST_CAVEATS]:
        quoted = f" {code(caveat.quoted)}" if caveat.quoted else ""
        yield f"- {words(caveat.text)}{quoted}"
    if len(found) > _MOST_CAVEATS:
        yield f"- and {len(found) - _MOST_CAVEATS} more"


def _provenance(record: Record) -> Iterator[str]:
    yield "## Provenance"
    yield ""
    rows = [("", "")]
    rows += [(row.term, code(row.text)) for row in provenance.rows(record) if row.term in _TERMS]
    rows += [
        (item.kind.capitalize(), f"{code(item.name)} sha256 {code(item.sha256)}, {code(item.licence)}")
        for item in provenance.inputs(record)
    ]
    yield from _table(rows)
    yield ""
    yield "```sh"
    yield provenance.commands(record)
    yield "```"
    yield ""
    yield f"Made by evalctl {__version__}. This text is not signed: the bundle is, so check that."
