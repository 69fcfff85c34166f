"""This process's own terminal, or pipes, as a container's console."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from launcher.cli.output import pass_on

_CHUNK = 1 << 16
_USUAL_SIZE = (24, 80)


class OwnConsole:
    """Standard input, output and error; with `talk`, the container's output goes to standard error."""

    def __init__(self, *, talk: bool = False) -> None:
        self._talk = talk
        self._input = _descriptor()
        ends = self._input is not None and os.isatty(self._input) and sys.stdout.isatty()
        self._is_terminal = ends and not talk

    @property
    def is_terminal(self) -> bool:
        """Whether both ends are a terminal."""
        return self._is_terminal

    @property
    def descriptor(self) -> int | None:
        """What to poll for input; None where there is none, or no more."""
        return self._input

    @property
    def size(self) -> tuple[int, int]:
        """The terminal's rows and columns now."""
        try:
            found = os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ else 1)
        except (OSError, ValueError):
            return _USUAL_SIZE
        return (found.lines, found.columns) if found.lines and found.columns else _USUAL_SIZE

    def read(self) -> bytes:
        """Return input that has come; b"" at its end, after which there is no descriptor."""
        data = b""
        if self._input is not None:
            with suppress(OSError):
                data = os.read(self._input, _CHUNK)
        if not data:
            self._input = None
        return data

    def write(self, data: bytes, *, error: bool = False) -> bool:
        """Show output; return False once nobody reads it any more."""
        return pass_on(sys.stderr if error or self._talk else sys.stdout, data)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hand every key on inside the block; the terminal is then as it was before."""
        if self._input is None or not self._is_terminal:
            yield
            return
        import termios
        import tty

        terminal, before = self._input, termios.tcgetattr(self._input)
        try:
            tty.setraw(terminal)
            yield
        finally:
            # A terminal that hung up cannot be restored, and need not be.
            with suppress(termios.error):
                termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _descriptor() -> int | None:
    """Return standard input's descriptor; where it is closed, or stands for none, there is no input."""
    try:
        return sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):
        return None
