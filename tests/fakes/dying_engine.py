"""A real engine behind a socket that goes dead when a given request comes, as when the engine is killed."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


class DyingEngine:
    """Passes bytes between `place` and an engine's socket until a request holds `word`; then nothing answers.

    With `answered`, the request still reaches the engine, and it is the answer that is lost.
    """

    def __init__(self, place: Path, engine: str, word: bytes, *, answered: bool = False) -> None:
        self.address = f"unix://{place}"
        self.dead = threading.Event()
        self._engine = engine.removeprefix("unix://")
        self._word = word
        self._answered = answered
        self._sockets: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        self._listener.listen(64)
        self._place = place
        threading.Thread(target=self._accept, daemon=True).start()

    def die(self) -> None:
        """Break every connection and take no more."""
        self.dead.set()
        self._place.unlink(missing_ok=True)
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._engine)
                self._sockets += [client, server]
                for one, other, look in ((client, server, self._look), (server, client, self._pass)):
                    threading.Thread(target=self._pump, args=(one, other, look), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket, look: Callable[[bytes], bool]) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                doomed = look(data)
                if not doomed or self._answered:
                    other.sendall(data)
                if doomed:
                    self.die()
                    return
            other.shutdown(socket.SHUT_WR)

    def _look(self, data: bytes) -> bool:
        return self._word in data

    def _pass(self, data: bytes) -> bool:
        return False
