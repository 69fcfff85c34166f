"""Hold what a redacted bundle gives out of its samples against commitments, fields and numbers, as a stream.

Samples come in the order of their opaque names. Of each, what it contributed is kept in a few bytes, and the
SHA-256 of the line that is left of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from msgspec import json

from launcher.errors import CheckFailedError, EvalctlError, MalformedError
from launcher.metrics.contributed import Contributed, item_digest
from launcher.metrics.contributions import Contributor, contributors, read_forms
from launcher.metrics.definitions import definition_of
from launcher.metrics.matching import matches
from launcher.spec.blueprint import Metric
from launcher.spec.commitments import Entry, Header, bad, refuse_large
from launcher.spec.disclosure import (
    check_sample_columns,
    left_line,
    metric_column,
    sample_left,
    withheld_columns,
)
from launcher.spec.redaction import Redaction
from launcher.spec.result import MetricResult, SampleCounts
from launcher.spec.sample import Sample
from launcher.verify.contents import Contents

# What says how a sample was answered.
_OUTCOME: Final = frozenset({"error", "prediction", "scores"})
_DIGEST: Final = 32


class GivenSamples:
    """The samples that are given out, whole or in part, added one by one."""

    def __init__(self, contents: Contents, header: Header, redaction: Redaction) -> None:
        self._header, self._withheld = header, redaction.withheld
        self.count = self.whole = 0
        self._lines = bytearray()
        self._fault: EvalctlError | None = None
        self._fields: FieldComparison | None = None
        self._measured: Contributed | None = None
        if contents.result.status == "succeeded":
            self._prepare(contents.blueprint.metrics, contents.blueprint.run.seeds)

    def _prepare(self, metrics: Sequence[Metric], seeds: Sequence[int]) -> None:
        gone = withheld_columns(self._withheld) & {*self._header.columns}
        try:
            forms = read_forms(metrics, self._header.metrics)
        except CheckFailedError as error:
            self._fault = error
            return
        self._fields = FieldComparison(metrics, gone)
        self._measured = Contributed(metrics, forms, seeds)

    def add(self, values: Entry) -> None:
        """Add one sample; raises `CheckFailedError` for values that none has, or that are not as is said.

        What is wrong with its contributions is raised where the numbers are asked for.
        """
        check_sample_columns(values, self._header.columns, self._withheld)
        self.count += 1
        refuse_large(self.count, len(self._header.columns))
        try:
            sample = sample_left(values)
        except MalformedError as error:
            raise bad(error.message) from error
        if sample is None:
            self.whole += 1
        else:
            self._lines += sha256(left_line(values)).digest()
        if self._fault is None:
            try:
                self._measure(values.cells, sample)
            except EvalctlError as error:
                self._fault = error if isinstance(error, CheckFailedError) else bad(error.message)

    def _measure(self, cells: Mapping[str, Any], sample: Sample | None) -> None:
        if self._measured is None or self._fields is None:
            return
        columns = range(len(self._header.metrics))
        self._measured.add(cells, [cells[metric_column(index)] for index in columns])
        if sample is not None:
            self._fields.add(cells, sample)

    def are_in(self, lines: Iterator[bytes]) -> bool:
        """Say whether the lines of samples.jsonl are those that are left, each once."""
        import numpy as np

        found = bytearray()
        for line in lines:
            found += sha256(line).digest()
        one, other = (np.sort(np.frombuffer(each, dtype=f"S{_DIGEST}")) for each in (self._lines, found))
        return bool(np.array_equal(one, other))

    def evaluate(self) -> tuple[tuple[MetricResult, ...], SampleCounts]:
        """Compute every metric and count from what was contributed.

        Raises `CheckFailedError` where a sample contributed what it cannot have.
        """
        if self._fault is not None or self._measured is None or self._fields is None:
            raise self._fault or bad("a failed run has no numbers")
        self._fields.compare_items()
        return self._measured.evaluate()


class FieldComparison:
    """Holds what visible samples contributed against their fields, as far as those are given out.

    `gone` are the columns that were committed to and are withheld. Ranks tell only whether target and
    prediction are alike: the order is of labels that may be withheld.
    """

    def __init__(self, metrics: Sequence[Metric], gone: frozenset[str]) -> None:
        self._shows_groups, self._shows_outcome = "groups" not in gone, not gone & _OUTCOME
        # Which contributor, in which column, and whether its contribution can be told from the fields.
        self._ways: list[tuple[Contributor, str, bool]] = [
            (way, metric_column(index), not _needed(metric) & gone)
            for index, (metric, way) in enumerate(zip(metrics, contributors(metrics), strict=True))
        ]
        self._items = bytearray()

    def add(self, cells: Mapping[str, Any], sample: Sample) -> None:
        """Add one sample, whose contributions are well-formed.

        Raises `CheckFailedError` where it contributed something else than it says.
        """
        self._items += _name_digest(sample) + item_digest(cells["item"])
        if self._shows_outcome and cells["failed"] is not sample.is_failed:
            raise _untrue()
        for way, column, is_told in self._ways:
            cell = cells[column]
            if self._shows_groups and matches(sample, way.where) is (cell is None):
                raise _untrue()
            if is_told and way.told_by(sample) != _told(way, cell):
                raise _untrue()

    def compare_items(self) -> None:
        """Raise `CheckFailedError` unless samples are of one item exactly where task and id are the same."""
        import numpy as np

        pairs = np.unique(np.frombuffer(self._items, dtype="S32"))
        halves = np.frombuffer(pairs.tobytes(), dtype="S16")
        if not len(pairs) == len(np.unique(halves[::2])) == len(np.unique(halves[1::2])):
            raise _untrue()


def _needed(metric: Metric) -> frozenset[str]:
    """Return the fields of a sample that its contribution to `metric` follows from."""
    groups = {"groups"} if metric.where else set()
    target = set() if definition_of(metric).name == "mean@1" else {"target"}
    return _OUTCOME | groups | target


def _told(way: Contributor, cell: Any) -> Any:
    if way.form.name == "ranks" and isinstance(cell, list) and len(cell) == 3:
        return [cell[0], cell[1] == cell[2]]
    return cell


def _name_digest(sample: Sample) -> bytes:
    return sha256(json.encode((sample.task, sample.id))).digest()[:16]


def _untrue() -> CheckFailedError:
    return CheckFailedError("a sample contributed something else than its fields say", code="metric-mismatch")
