"""Text that is safe and fits on a terminal: escaped, cut, wrapped, or in columns."""

import unicodedata
from collections.abc import Sequence

WIDTH = 80
_ELLIPSIS = "..."
# What shows as nothing (Unicode's Default_Ignorable_Code_Point), though Python calls it printable.
_UNSEEN = frozenset(
    map(
        chr,
        (
            *(0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x3164, 0xFFA0),
            *(*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)),
        ),
    )
)
_DECIMAL_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def printable(text: str) -> str:
    """Return `text` with every character escaped that could move a cursor, hide or reorder text.

    Line feeds stay: who needs one line passes one line.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(letter) for letter in text)


def one_line(text: str) -> str:
    """Return `text` escaped like `printable`, line feeds too."""
    return printable(text).replace("\n", "\\n")


def _escape(letter: str) -> str:
    if letter in _UNSEEN:
        return letter.encode("unicode_escape").decode()
    if letter == "\n" or letter.isprintable() or unicodedata.category(letter) == "Zs":
        return letter
    return letter.encode("unicode_escape").decode()


def cut(text: str, width: int = WIDTH) -> str:
    """Return `text` escaped, on one line and at most `width` long; what is cut off shows as `...`."""
    line = one_line(text)
    return line if len(line) <= width else line[: max(0, width - len(_ELLIPSIS))] + _ELLIPSIS


def cut_middle(text: str, width: int) -> str:
    """Return `text` like `cut`, keeping its end, which tells one long name from the next."""
    line = one_line(text)
    if len(line) <= width:
        return line
    kept = max(2, width - len(_ELLIPSIS))
    return line[: kept - kept // 2] + _ELLIPSIS + line[-(kept // 2) :]


def wrapped(text: str, *, indent: int = 0, first: str = "") -> list[str]:
    """Return `text` as lines of at most 80 columns after `first`; further lines are indented."""
    import textwrap

    lines = textwrap.wrap(
        one_line(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
    )
    return lines or [first.rstrip()]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return `rows` (the first is the header) as aligned lines of at most 80 columns.

    Columns that hold only `-` are left out. The first column is cut in the middle where the rest needs room.
    """
    columns = [
        column for column in zip(*rows, strict=True) if any(cell not in ("-", "") for cell in column[1:])
    ]
    if not columns:
        return []
    rest = sum(2 + max(map(len, column)) for column in columns[1:])
    names = [cut_middle(cell, max(8, WIDTH - rest)) for cell in columns[0]]
    cells = [names, *([one_line(cell) for cell in column] for column in columns[1:])]
    widths = [max(map(len, column)) for column in cells]
    padded = [[cell.ljust(width) for cell in column] for column, width in zip(cells, widths, strict=True)]
    return [cut("  ".join(row).rstrip()) for row in zip(*padded, strict=True)]


def amount(size: int | None) -> str:
    """Return a number of bytes as people compare it: three digits and a decimal unit."""
    if size is None:
        return "unknown bytes"
    for factor, unit in _DECIMAL_UNITS:
        # What three digits round up to the next unit is shown in it.
        if size >= 0.9995 * factor:
            return f"{size / factor:.{3 if size < 999.5 * factor else 6}g} {unit}"
    return f"{size} bytes"
