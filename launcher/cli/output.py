"""What every command prints the same way: data on stdout at once, errors and talk on stderr."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from launcher.errors import EvalctlError, InfrastructureError
from launcher.report.text import printable


def deliver(command: Callable[[], int], *, as_json: bool) -> int:
    """Run `command`, then write what it printed to stdout; return its exit code.

    A reader that leaves early (`| head -1`) changes neither that code nor what is said.
    """
    import io

    stdout, page = sys.stdout, io.StringIO()
    sys.stdout = page
    try:
        status = command()
    finally:
        sys.stdout = stdout
    try:
        stdout.write(page.getvalue())
        stdout.flush()
    except BrokenPipeError:
        _point_away(stdout.fileno())
    except OSError as error:
        _point_away(stdout.fileno())
        unwritten = InfrastructureError(
            "cannot write to standard output",
            code="stdout",
            context=error.strerror,
            hint="free some disk space",
        )
        return fail(unwritten, as_json=as_json)
    return status


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
    with suppress(OSError):
        print(f"{label}: {body}" if label else body, file=sys.stderr)


def fail(error: EvalctlError, *, as_json: bool) -> int:
    """Print `error` for a person, or as JSON, on stderr; return its exit code."""
    if as_json:
        import json

        with suppress(OSError):
            print(json.dumps({"error": error.as_json()}), file=sys.stderr)
        return error.exit_status
    for problem in error.problems:
        say(str(problem))
    say(error.message, label=paint("error", 31))
    if error.context:
        say(f"  {error.context}")
    if error.hint:
        say(error.hint, label=paint("  hint", 36))
    return error.exit_status


def paint(text: str, colour: int) -> str:
    """Colour `text` (an ANSI code) where stderr is a terminal and `NO_COLOR` is not set."""
    if not sys.stderr.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{colour}m{text}\x1b[0m"
