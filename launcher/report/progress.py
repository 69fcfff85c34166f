"""Say what a long command does: one live line on a terminal, plain lines elsewhere."""

import os
import sys
import threading
import time
from contextlib import suppress
from typing import Protocol, TextIO

from launcher.report.text import WIDTH, cut, one_line

_TICK_SECONDS = 0.2
_TYPED = 4


class Reporter(Protocol):
    """Takes a launch's progress; every method may be called from any thread."""

    def stage(self, text: str) -> None:
        """Say that a stage begins."""

    def samples(self, count: int) -> None:
        """Say how many samples the evaluation has written so far, over all replicates."""

    def close(self) -> None:
        """Stop, leaving the screen clean."""


class PlainReporter:
    """One line a stage, with the seconds since the start; for logs and pipes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._start = time.monotonic()

    def stage(self, text: str) -> None:
        """Print the stage's line."""
        with suppress(OSError, ValueError):
            self._stream.write(f"[{time.monotonic() - self._start:6.1f}s] {one_line(text)}\n")
            self._stream.flush()

    def samples(self, count: int) -> None:
        """Print nothing: a log wants no ticker."""

    def close(self) -> None:
        """Do nothing: lines are already out."""


class LiveReporter:
    """One line that is rewritten: stage, elapsed time, samples so far; finished stages stay above it.

    Only carriage returns, backspaces and blanks are used, so that it looks the same on every terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._stage = ""
        self._since = time.monotonic()
        self._samples = 0
        self._drawn = 0
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._tick, daemon=True)
        self._thread.start()

    def stage(self, text: str) -> None:
        """Leave the last stage's line with its time and begin the next."""
        with self._lock:
            self._finish()
            self._stage, self._since, self._samples = text, time.monotonic(), 0
            self._draw()

    def samples(self, count: int) -> None:
        """Show the count on the live line at the next tick: who counts may do so without end."""
        with self._lock:
            self._samples = count

    def close(self) -> None:
        """Finish the last stage and stop the ticker."""
        self._done.set()
        self._thread.join()
        with self._lock:
            self._finish()
            self._stage = ""

    def _tick(self) -> None:
        while not self._done.wait(_TICK_SECONDS):
            with self._lock:
                self._draw()

    def _finish(self) -> None:
        if self._stage:
            self._put(f"  {self._text(f'{self._samples} samples' if self._samples else '')}", end="\n")

    def _draw(self) -> None:
        if self._stage:
            self._put(f"> {self._text(f'{self._samples} samples so far' if self._samples else '')}")

    def _text(self, samples: str) -> str:
        elapsed = time.monotonic() - self._since
        return f"{elapsed:6.1f}s  {self._stage}{', ' if samples else ''}{samples}"

    def _put(self, text: str, end: str = "") -> None:
        """Write `text` over what stands on the line, and forget the line at its `end`.

        What a person typed meanwhile (`^C`) stands behind the text: blanks go over it, and the cursor back.
        """
        line = cut(text, _width(self._stream) - _TYPED - 1)
        blanks = max(0, self._drawn - len(line)) + _TYPED
        back = "\b" * blanks
        with suppress(OSError, ValueError):
            self._stream.write(f"\r{line}{' ' * blanks}{end or back}")
            self._stream.flush()
        self._drawn = 0 if end else len(line)


def make_reporter(*, quiet: bool = False) -> Reporter:
    """Return the reporter that fits stderr: live on a terminal, silent if `quiet`, else plain lines."""
    if quiet:
        return SilentReporter()
    live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return LiveReporter(sys.stderr) if live else PlainReporter(sys.stderr)


class SilentReporter:
    """Says nothing: for callers that are programs."""

    def stage(self, text: str) -> None:
        """Say nothing."""

    def samples(self, count: int) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Do nothing."""


def _width(stream: TextIO) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except OSError:
        return WIDTH
