"""Hold what a redacted bundle gives out of its samples against commitments, fields and numbers, as a stream.

Samples come in the order of their opaque names. Of each, what it contributed is kept in a few bytes; of the
lines that are left of them, only a sum.
"""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from os import urandom
from typing import Any, Final

from launcher.errors import CheckFailedError, EvalctlError, MalformedError
from launcher.metrics.contributed import Contributed
from launcher.metrics.contributions import read_forms
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
from launcher.verify.told import FieldComparison

_DIGEST: Final = 32


class _Lines:
    """Lines in any order, as their number and the sum of a keyed hash of each.

    Under a key that nobody knows beforehand no other lines have the same sum: the MSet-Add-Hash of Clarke et
    al. (2003), https://doi.org/10.1007/978-3-540-40061-5_12
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.seen = (0, 0)

    def add(self, line: bytes) -> None:
        """Add one line."""
        count, total = self.seen
        digest = blake2b(line, key=self._key, digest_size=_DIGEST).digest()
        self.seen = (count + 1, (total + int.from_bytes(digest, "big")) % (1 << 8 * _DIGEST))


class GivenSamples:
    """The samples that are given out, whole or in part, added one by one."""

    def __init__(self, contents: Contents, header: Header, redaction: Redaction) -> None:
        self._header, self._withheld = header, redaction.withheld
        self.count = self.whole = 0
        self._key = urandom(_DIGEST)
        self._lines = _Lines(self._key)
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
        self._fields = FieldComparison(metrics, forms, gone, self._key)
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
            self._lines.add(left_line(values))
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
        found = _Lines(self._key)
        for line in lines:
            found.add(line)
        return found.seen == self._lines.seen

    def evaluate(self) -> tuple[tuple[MetricResult, ...], SampleCounts]:
        """Compute every metric and count from what was contributed.

        Raises `CheckFailedError` where a sample contributed what it cannot have.
        """
        if self._fault is not None or self._measured is None or self._fields is None:
            raise self._fault or bad("a failed run has no numbers")
        self._fields.close()
        return self._measured.evaluate()
