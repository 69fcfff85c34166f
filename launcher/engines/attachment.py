"""The attached streams of one container: bytes to its standard input, framed bytes of its two outputs.

The framing is that of https://docs.docker.com/reference/api/engine/#tag/Container/operation/ContainerAttach:
eight bytes of header (stream number, three zeros, length as big-endian u32), then the payload.
"""

import select
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from launcher.errors import InfrastructureError

STDOUT, STDERR = 1, 2
_HEADER = struct.Struct(">BxxxI")
_CHUNK = 1 << 18


class FrameReader:
    """Cut a multiplexed stream into pieces of its two outputs, however it arrives."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._stream = 0
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield `(stream, bytes)` in order; a frame may come out in several pieces."""
        view = memoryview(data)
        while view:
            if self._left:
                piece, view = bytes(view[: self._left]), view[self._left :]
                self._left -= len(piece)
                yield self._stream, piece
                continue
            missing = _HEADER.size - len(self._header)
            self._header += view[:missing]
            view = view[missing:]
            if len(self._header) == _HEADER.size:
                self._stream, self._left = _HEADER.unpack(self._header)
                self._header.clear()
                if self._stream not in (STDOUT, STDERR):
                    raise InfrastructureError(
                        "the engine's stream of the container's output is malformed",
                        code="stream-malformed",
                        context=f"expected stream 1 or 2, got {self._stream}",
                    )


class Attachment:
    """A hijacked connection to a container; closing it closes the container's standard input."""

    def __init__(self, stream: Any) -> None:
        """Take over `stream`, docker-py's wrapper around the socket."""
        self._stream = stream
        # docker-py hands out a read-only wrapper; the socket below it is what it tells its users to write to.
        self._socket: socket.socket = getattr(stream, "_sock", stream)
        self._socket.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def send(self, data: bytes) -> None:
        """Send a few bytes; a peer that is gone is found out by reading."""
        self._socket.setblocking(True)
        try:
            self._socket.sendall(data)
        except OSError:
            return
        finally:
            self._socket.setblocking(False)

    def fileno(self) -> int:
        """Return what to poll."""
        return self._socket.fileno()

    def send_some(self, data: bytes) -> int:
        """Send what fits now and return how much that was; a peer that is gone takes everything."""
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)

    def end_input(self) -> None:
        """Tell the container that its standard input is at its end."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def receive(self, seconds: float) -> bytes | None:
        """Return what has come within `seconds`: b"" at the end of the stream, None for nothing yet."""
        if not self._poll.poll(seconds * 1000):
            return None
        try:
            return self._socket.recv(_CHUNK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()
        self._socket.close()
