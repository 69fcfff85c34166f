"""A real engine behind a socket that goes dead when a given request comes, as when the engine is killed."""

import socket
import threading
from contextlib import suppress
from pathlib import Path


class DyingEngine:
    """Passes bytes between `place` and an engine's socket until some hold `word`; then nothing answers.

    With `answered`, what holds it still arrives: of a request, it is the answer that is lost.
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
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                doomed = self._word in data
                if not doomed or self._answered:
                    other.sendall(data)
                if doomed:
                    self.die()
                    return
            other.shutdown(socket.SHUT_WR)
