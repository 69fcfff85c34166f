"""Carry bytes between a person's console and an attached container, both ways, until one of them ends."""

import select
import threading
import time
from collections.abc import Callable

from launcher.engines.attachment import STDOUT, Attachment, FrameReader
from launcher.engines.engine import Console

_GLANCE_SECONDS = 0.2
_KILL_PATIENCE_SECONDS = 10.0


class Conversation:
    """One session; `resize` is told the terminal's rows and columns and says whether that was applied.

    `kill` is called once, when the session is cancelled, its terminal hangs up, or nobody reads its output.
    """

    def __init__(
        self,
        link: Attachment,
        console: Console,
        resize: Callable[[int, int], bool],
        kill: Callable[[], None],
    ) -> None:
        self._link = link
        self._console = console
        self._resize = resize
        self._kill = kill
        self._frames = FrameReader()
        self._pending = b""
        self._size: tuple[int, int] | None = None
        self._killed_at: float | None = None

    def hold(self, cancel: threading.Event) -> bool:
        """Carry bytes until the container's end, or until it outlives its kill; say whether it was killed."""
        while not self._must_give_up():
            if cancel.is_set():
                self._end()
            self._follow_size()
            if not self._turn():
                break
        return self._killed_at is not None

    def _turn(self) -> bool:
        """Wait a moment for bytes and carry them; return False at the end of the container's output."""
        source, link = self._console.descriptor, self._link.fileno()
        poll = select.poll()
        poll.register(link, select.POLLIN | (select.POLLOUT if self._pending else 0))
        if source is not None and not self._pending:
            poll.register(source, select.POLLIN)
        ready = dict(poll.poll(_GLANCE_SECONDS * 1000))
        if source in ready:
            self._listen()
        if self._pending:
            self._pending = self._pending[self._link.send_some(self._pending) :]
        if link in ready and ready[link] & ~select.POLLOUT:
            return self._show()
        return True

    def _listen(self) -> None:
        self._pending = self._console.read()
        if self._pending:
            return
        if self._console.is_terminal:
            self._end()
        else:
            self._link.end_input()

    def _show(self) -> bool:
        data = self._link.receive(0)
        if data is None:
            return True
        pieces = [(STDOUT, data)] if self._console.is_terminal else self._frames.feed(data)
        for stream, piece in pieces:
            if not self._console.write(piece, error=stream != STDOUT):
                self._end()
        return data != b""

    def _follow_size(self) -> None:
        if not self._console.is_terminal:
            return
        size = self._console.size
        if size != self._size and self._resize(*size):
            self._size = size

    def _end(self) -> None:
        if self._killed_at is None:
            self._killed_at = time.monotonic()
            self._kill()

    def _must_give_up(self) -> bool:
        return self._killed_at is not None and time.monotonic() - self._killed_at > _KILL_PATIENCE_SECONDS
