"""What every command prints the same way: data on stdout at once, errors and talk on stderr."""

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from launcher.errors import EvalctlError, InfrastructureError
from launcher.report.text import printable


class Page(io.StringIO):
    """Standard output that is kept until `flush`, and remembers why it could not be.

    A reader that leaves early (`| head -1`) is no fault: nothing more is written, and nothing is said.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self.fault: OSError | None = None

    def isatty(self) -> bool:
        """Say whether what is written ends on a terminal."""
        return self._stream.isatty()

    def pass_through(self, data: bytes) -> bool:
        """Write bytes at once, after what was kept; return False where nobody reads them any more."""
        self.flush()
        if self.fault is not None:
            return False
        try:
            _write_through(self._stream, data)
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.fault = error
            _point_away(self._stream.fileno())
            return False
        return True

    def flush(self) -> None:
        """Write what was kept."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                self.fault = error
            _point_away(self._stream.fileno())


def deliver(command: Callable[[], int], *, as_json: bool) -> int:
    """Run `command` with its standard output on a page, and return its exit code."""
    stdout, page = sys.stdout, Page(sys.stdout)
    sys.stdout = page
    try:
        status = command()
        page.flush()
    finally:
        sys.stdout = stdout
    if page.fault is None:
        return status
    unwritten = InfrastructureError(
        "cannot write to standard output",
        code="stdout",
        context=page.fault.strerror,
        hint="free some disk space",
    )
    return fail(unwritten, as_json=as_json)


def pass_on(stream: TextIO, data: bytes) -> bool:
    """Write a container's bytes to `stream` at once; return False where nobody reads them any more."""
    if isinstance(stream, Page):
        return stream.pass_through(data)
    with suppress(OSError):
        _write_through(stream, data)
    return True


def _write_through(stream: TextIO, data: bytes) -> None:
    if hasattr(stream, "buffer"):
        stream.buffer.write(data)
    else:
        stream.write(data.decode(errors="backslashreplace"))
    stream.flush()


def _point_away(descriptor: int) -> None:
    """Let what is still buffered go nowhere, so that the interpreter's last flush is silent."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def print_json(value: Any) -> None:
    """Print one JSON object on stdout, in ASCII, so that nothing in it can trick a terminal."""
    import json

    print(json.dumps(value, allow_nan=False))


def say(text: str, *, label: str = "") -> None:
    """Print a line of talk on stderr, control characters escaped, after our own `label`."""
    body = printable(text).replace("\n", "\n  ")
    sys.stdout.flush()
    with suppress(OSError):
        print(f"{label}: {body}" if label else body, file=sys.stderr)


def hint(text: str) -> None:
    """Print the next thing to type on stderr."""
    say(text, label=paint("  hint", 36))


def say_next(command: str) -> None:
    """Print the command to type after one that went well, on stderr."""
    say(command, label=paint("  next", 36))


def fail(error: EvalctlError, *, as_json: bool) -> int:
    """Print `error` for a person, or as JSON, on stderr; return its exit code."""
    if as_json:
        import json

        sys.stdout.flush()
        with suppress(OSError):
            print(json.dumps({"error": error.as_json()}), file=sys.stderr)
        return error.exit_status
    for problem in error.problems:
        say(str(problem))
    say(error.message, label=paint("error", 31))
    if error.context:
        say(f"  {error.context}")
    if error.hint:
        hint(error.hint)
    return error.exit_status


def paint(text: str, colour: int) -> str:
    """Colour `text` (an ANSI code) where stderr is a terminal and `NO_COLOR` is not set."""
    if not sys.stderr.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{colour}m{text}\x1b[0m"
