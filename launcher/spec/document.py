"""Read the bytes of a TOML file within bounds: its values and their places, or one clear refusal."""

from typing import Any, NamedTuple

from launcher.errors import MalformedError, Problem
from launcher.spec.kinds import key_text, printable
from launcher.spec.positions import Positions, TooMuchError, place_in, scan

MAX_BYTES = 1 << 20


_SYNTAX = (
    ("Expected newline", "one `key = value` a line; text needs quotation marks, a day is 2024-01-31"),
    ("Unclosed array", "close it with `]`"),
    ("Unclosed inline table", "close it with `}`"),
    ("Unterminated string", "close it with the quotation marks that began it"),
    ("Expected '='", "write `key = value`"),
    ("Expected ']", "close the header: `[table]` or `[[table]]`"),
    ("Expected '", "close the text with the quotation marks that began it"),
    ("Invalid initial character", "a key is letters, digits, `_` and `-`, or stands in quotation marks"),
    ("Invalid statement", "write `key = value`, `[table]` or `[[table]]`"),
    ("Illegal character", "leave the character out, or write it as `\\u0000` with its number"),
    ("Found invalid character", "leave the character out, or write it as `\\u0000` with its number"),
    ("Unescaped", "write `\\\\` for a backslash, or put the text into single quotation marks"),
    ("Invalid hex value", "write `\\u` and 4 hex digits, or `\\U` and 8"),
    ("Invalid date", "a day is 2024-01-31"),
)


class Document(NamedTuple):
    """A well-formed TOML file: its text, its values, and their places."""

    file: str
    text: str
    values: dict[str, Any]
    positions: Positions


def read_document(data: bytes, *, file: str) -> Document:
    """Return the TOML document in `data`; `file` names it in problems.

    Raises `MalformedError` (code `invalid-blueprint`) with one problem where it is too large, not UTF-8 or
    not TOML, and nothing else whatever bytes it is given.
    """
    if len(data) > MAX_BYTES:
        raise refusal(
            file,
            [
                Problem(
                    file, 1, 1, f"larger than {MAX_BYTES} bytes ({len(data)}); put data into an input file"
                )
            ],
        )
    text = _decoded(data, file)
    lines = text.replace("\r\n", "\n")
    try:
        positions = scan(lines)
    except TooMuchError as error:
        raise refusal(file, [_problem(file, lines, error.offset, str(error))]) from error
    return Document(file, text, _parsed(lines, positions, file), positions)


def _decoded(data: bytes, file: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise refusal(file, [Problem(file, 1, 1, "UTF-16 text; save it as UTF-8")])
    if data.startswith(b"\xef\xbb\xbf"):
        raise refusal(file, [Problem(file, 1, 1, "a byte order mark; save it as UTF-8 without one")])
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        message = f"not UTF-8: byte 0x{data[error.start]:02x} ({error.reason}); save the file as UTF-8"
        raise refusal(file, [_problem(file, before, len(before), message)]) from error


def _parsed(text: str, positions: Positions, file: str) -> dict[str, Any]:
    import tomli

    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        offset, message = _syntax_fault(error.pos, error.msg, positions)
        raise refusal(file, [_problem(file, text, offset, message)]) from error
    except (ValueError, RecursionError) as error:
        raise refusal(file, [Problem(file, 1, 1, f"not TOML: {printable(str(error), 200)}")]) from error


def _syntax_fault(offset: int, message: str, positions: Positions) -> tuple[int, str]:
    """Say what tomli found in the words of somebody who writes TOML, at the place to mend."""
    if message.startswith(("Cannot", "Duplicate")):
        start, path = max((entry for entry in positions.order if entry[0] < offset), default=(offset, ()))
        return start, f"`{key_text(path)}` stands twice, or contradicts an earlier line; keep one of them"
    if message == "Invalid value" and offset < len(positions.text):
        return offset, "not a TOML value; text needs quotation marks"
    advice = next((mend for begin, mend in _SYNTAX if message.startswith(begin)), "see https://toml.io")
    return min(offset, len(positions.text)), f"not TOML: {printable(message, 200)}; {advice}"


def _problem(file: str, text: str, offset: int, message: str) -> Problem:
    return Problem(file, *place_in(text, offset), message)


def refusal(file: str, problems: list[Problem], unlisted: int = 0, hint: str = "") -> MalformedError:
    """Return the error for a file with `problems` and some `unlisted` ones behind them."""
    count = len(problems) + unlisted
    found = "1 problem" if count == 1 else f"{count} problems"
    listed = f", the first {len(problems)} of them listed" if unlisted else ""
    return MalformedError(
        f"`{file}` is not a valid blueprint: {found}{listed}",
        code="invalid-blueprint",
        context="a file that `evalctl schema blueprint` describes was expected",
        hint=hint or f"mend the lines named, then `evalctl validate {file}`",
        problems=problems,
    )
