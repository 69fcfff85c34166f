"""Hold what a redacted bundle's samples contributed against their fields, as far as those are given out."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from launcher.canonical import canonical_bytes
from launcher.errors import CheckFailedError, MalformedError
from launcher.metrics.contributions import Contributor, Form, contributors
from launcher.metrics.definitions import definition_of
from launcher.metrics.labels import label_key
from launcher.metrics.matching import matches
from launcher.spec.blueprint import Metric
from launcher.spec.commitments import Entry, bad
from launcher.spec.disclosure import is_whole, metric_column, samples_left, withheld_columns
from launcher.spec.sample import Sample
from launcher.verify.contents import Contents

# What says how a sample was answered.
_OUTCOME: Final = frozenset({"error", "prediction", "scores"})


def compare_fields(
    contents: Contents, given: Sequence[Entry], forms: Sequence[Form], columns: Sequence[str]
) -> None:
    """Check that visible samples contributed to each metric what their fields say, as far as they are there.

    `columns` are those that were committed to. Ranks tell only whether target and prediction are alike: the
    order is of labels that may be withheld. Raises `CheckFailedError`.
    """
    visible = [entry for entry in given if not is_whole(entry)]
    _compare_items(visible)
    redaction = contents.result.redaction
    gone = withheld_columns(redaction.withheld if redaction else ()) & {*columns}
    try:
        samples = contents.samples
        _compare_contributions(contents.blueprint.metrics, forms, (visible, samples), gone)
    except MalformedError as error:
        raise bad(error.message) from error


def _compare_contributions(
    metrics: Sequence[Metric],
    forms: Sequence[Form],
    left: tuple[Sequence[Entry], Sequence[Sample]],
    gone: frozenset[str],
) -> None:
    visible, samples = left
    shown = [index for index, metric in enumerate(metrics) if not _needed(metric) & gone]
    ways = contributors([metrics[index] for index in shown], samples)
    wheres = [{name: label_key(value) for name, value in metric.where.items()} for metric in metrics]
    for entry in visible:
        (sample,) = samples_left([entry])
        for index, way in zip(shown, ways, strict=True):
            _compare_cell(way, forms[index], sample, entry.cells[metric_column(index)])
        if not _OUTCOME & gone and entry.cells["failed"] is not sample.is_failed:
            raise _untrue()
        for index, where in enumerate(wheres) if "groups" not in gone else ():
            if matches(sample, where) is (entry.cells[metric_column(index)] is None):
                raise _untrue()


def _needed(metric: Metric) -> frozenset[str]:
    """Return the fields of a sample that its contribution to `metric` follows from."""
    groups = {"groups"} if metric.where else set()
    target = set() if definition_of(metric).name == "mean@1" else {"target"}
    return _OUTCOME | groups | target


def _compare_cell(way: Contributor, form: Form, sample: Sample, cell: Any) -> None:
    expected = way.of(sample)
    if form.name == "ranks" and expected is not None and isinstance(cell, list) and len(cell) == 3:
        expected = [expected[0], expected[1] == expected[2]]
        cell = [cell[0], cell[1] == cell[2]]
    if canonical_bytes(expected) != canonical_bytes(cell):
        raise _untrue()


def _compare_items(visible: Sequence[Entry]) -> None:
    """Check that samples are of one item exactly where task and id are the same."""
    items: dict[tuple[Any, Any], Any] = {}
    for entry in visible:
        name = _name(entry.cells)
        if items.setdefault(name, entry.cells["item"]) != entry.cells["item"]:
            raise _untrue()
    if len({*items.values()}) != len(items):
        raise _untrue()


def _name(cells: Mapping[str, Any]) -> tuple[Any, Any]:
    return cells.get("task"), cells["id"]


def _untrue() -> CheckFailedError:
    return CheckFailedError("a sample contributed something else than its fields say", code="metric-mismatch")
