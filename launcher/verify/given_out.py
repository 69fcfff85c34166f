"""Hold what a redacted bundle's samples contributed against their fields, as far as those are given out."""

from collections.abc import Mapping, Sequence
from typing import Any

from launcher.canonical import canonical_bytes
from launcher.errors import CheckFailedError, MalformedError
from launcher.metrics.contributions import Contributor, Form, contributors
from launcher.spec.commitments import Entry, bad
from launcher.spec.disclosure import is_whole, metric_column, samples_left, withheld_columns
from launcher.spec.sample import Sample
from launcher.verify.contents import Contents


def compare_fields(contents: Contents, given: Sequence[Entry], forms: Sequence[Form]) -> None:
    """Check that the samples of which every field is given out contributed what their fields say.

    Ranks tell only whether target and prediction are alike: the order is of labels that may be withheld.
    Raises `CheckFailedError`.
    """
    visible = [entry for entry in given if not is_whole(entry)]
    _compare_items(visible)
    redaction = contents.result.redaction
    if redaction is None or withheld_columns(redaction.withheld):
        return
    try:
        ways = contributors(contents.blueprint.metrics, contents.samples)
        for entry in visible:
            (sample,) = samples_left([entry])
            for index, (way, form) in enumerate(zip(ways, forms, strict=True)):
                _compare_cell(way, form, sample, entry.cells[metric_column(index)])
            if entry.cells["failed"] is not sample.is_failed:
                raise _untrue()
    except MalformedError as error:
        raise bad(error.message) from error


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
