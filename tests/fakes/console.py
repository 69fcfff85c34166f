"""A console in memory: input comes through a pipe, output is kept."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class FakeConsole:
    """Gives what `type` was told, then its end after `hang_up`; remembers what was shown."""

    def __init__(self, *, is_terminal: bool = False, size: tuple[int, int] = (24, 80)) -> None:
        self._terminal = is_terminal
        self.size = size
        self._source, self._typist = os.pipe()
        self._ended = False
        self.out, self.err = bytearray(), bytearray()
        self.deaf = False
        self.changed = threading.Condition()

    @property
    def is_terminal(self) -> bool:
        return self._terminal

    @property
    def descriptor(self) -> int | None:
        return None if self._ended else self._source

    @contextmanager
    def held(self) -> Iterator[None]:
        yield

    def read(self) -> bytes:
        data = b"" if self._ended else os.read(self._source, 1 << 16)
        self._ended = self._ended or not data
        return data

    def write(self, data: bytes, *, error: bool = False) -> bool:
        with self.changed:
            (self.err if error else self.out).extend(data)
            self.changed.notify_all()
        return not self.deaf

    def type(self, text: str) -> None:
        os.write(self._typist, text.encode())

    def hang_up(self) -> None:
        os.close(self._typist)

    def wait_for(self, text: str, seconds: float = 30) -> None:
        """Wait until `text` was shown."""
        with self.changed:
            assert self.changed.wait_for(lambda: text.encode() in self.out, seconds), bytes(self.out)
