"""The confusion table cell by cell, and each class's recall and precision as the fractions they are."""

from collections.abc import Iterator

from msgspec import Struct

from launcher.metrics.intervals import wilson
from launcher.report.reading import Confusion
from launcher.report.text import cut
from launcher.report.wording import number_text

_LEVEL = 0.95
_SHADES = 5
_LONGEST = 60


class CountCell(Struct, frozen=True):
    """One count: `kind` is right, wrong, failed or zero; `shade` (0 to 5) is its share of the row."""

    count: int
    kind: str
    shade: int


class ClassRow(Struct, frozen=True):
    """One target label: its row of the confusion table, and its recall and precision in words."""

    label: str
    cells: tuple[CountCell, ...]
    total: int
    recall: str
    precision: str


def class_rows(confusion: Confusion, *, independent: bool) -> Iterator[ClassRow]:
    """Yield each label's row; intervals only where samples are `independent`: one for each item."""
    failed = any(confusion.failed)
    columns = [sum(column) for column in zip(*confusion.counts, strict=True)]
    for index, label in enumerate(confusion.labels):
        counts = [*confusion.counts[index], *([confusion.failed[index]] if failed else [])]
        total = sum(confusion.counts[index]) + confusion.failed[index]
        right = confusion.counts[index][index]
        yield ClassRow(
            cut(label, _LONGEST),
            tuple(
                _cell(count, place, index, len(confusion.labels), total) for place, count in enumerate(counts)
            ),
            total,
            _share(right, total, independent=independent),
            _share(right, columns[index], independent=independent),
        )


def _cell(count: int, column: int, row: int, labels: int, total: int) -> CountCell:
    kind = "right" if column == row else "failed" if column == labels else "wrong"
    shade = -(-_SHADES * count // total) if total else 0
    return CountCell(count, kind if count else "zero", shade)


def _share(part: int, whole: int, *, independent: bool) -> str:
    if not whole:
        return "none"
    fraction = f"{part}/{whole}"
    if not independent:
        return fraction
    low, high = wilson(part / whole, whole, _LEVEL)
    return f"{fraction} ({number_text(low, 2)} to {number_text(high, 2)})"
