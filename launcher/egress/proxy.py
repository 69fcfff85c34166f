"""The recording proxy: behind a Unix socket that only a pod can reach, in a thread of this process."""

import asyncio
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

from msgspec import Struct

from launcher.egress.addresses import is_public, may_be_listed
from launcher.egress.head import MAX_HEAD, BadRequestError, ProxyRequest, read_head
from launcher.egress.record import EgressRecord, Traffic
from launcher.errors import InfrastructureError
from launcher.spec.hosts import AllowList, Target

Resolver = Callable[[Target], Awaitable[list[str]]]

_CHUNK = 64 << 10
_PHRASES: Final = {
    400: "Bad Request",
    403: "Forbidden",
    411: "Length Required",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


class Limits(Struct, frozen=True):
    """Seconds for a request's head, a connection, and between two bytes; connections at once."""

    head: float = 30.0
    connect: float = 30.0
    idle: float = 600.0
    connections: int = 256


class EgressProxy:
    """Serves while it is entered; what went through it is in `record` afterwards."""

    def __init__(
        self,
        socket_path: Path,
        allowed: AllowList,
        resolve: Resolver | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.record = EgressRecord()
        self._path = socket_path
        self._allowed = allowed
        self._resolve = resolve or _resolve
        self._limits = limits or Limits()
        self._open: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "EgressProxy":
        listener = _listen(self._path)
        started = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listener, started)), name="egress", daemon=True
        )
        self._thread.start()
        started.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._loop and self._thread:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        with suppress(OSError):
            self._path.unlink()

    async def _serve(self, listener: socket.socket, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_unix_server(self._accept, sock=listener, limit=MAX_HEAD)
        started.set()
        await self._stop.wait()
        server.close()
        for task in tuple(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a connection's callback is a task
        crowded = len(self._open) >= self._limits.connections
        self._open.add(task)
        try:
            if crowded:
                await _answer(writer, 503, "too many connections at once")
            else:
                await self._handle(reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            pass
        finally:
            self._open.discard(task)
            writer.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(self._limits.head):
                request = read_head(await reader.readuntil(b"\r\n\r\n"))
        except (BadRequestError, asyncio.LimitOverrunError, TimeoutError) as error:
            self.record.malformed += 1
            bad = (
                error if isinstance(error, BadRequestError) else BadRequestError("no whole request head", 431)
            )
            await _answer(writer, bad.status, bad.reason)
            return
        if not self._allowed.allows(request.target):
            self.record.refuse(request.target)
            await _answer(writer, 403, f"{request.target} is not in allow-hosts")
            return
        addresses = await self._addresses(request.target)
        if not addresses:
            self.record.refuse(request.target)
            await _answer(writer, 403, f"{request.target} leads to no public address")
            return
        await self._connect(request, addresses, (reader, writer))

    async def _addresses(self, target: Target) -> list[str]:
        """Return where to connect to: what was checked is what is connected to, however names change."""
        if target.is_literal:
            return [target.host] if may_be_listed(target.host) else []
        try:
            async with asyncio.timeout(self._limits.connect):
                found = await self._resolve(target)
        except (OSError, TimeoutError, UnicodeError):
            return []
        return [address for address in found if is_public(address)]

    async def _connect(
        self,
        request: ProxyRequest,
        addresses: list[str],
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        traffic = self.record.traffic(request.target)
        for address in addresses[:4]:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(self._limits.connect):
                    upstream = await asyncio.open_connection(address, request.target.port, limit=_CHUNK)
                break
        else:
            traffic.failures += 1
            await _answer(client[1], 502, f"{request.target} does not answer")
            return
        traffic.connections += 1
        try:
            await self._carry(request, client, upstream, traffic)
        finally:
            upstream[1].close()

    async def _carry(
        self,
        request: ProxyRequest,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        traffic: Traffic,
    ) -> None:
        if request.is_tunnel:
            client[1].write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            upstream[1].write(request.head)
            traffic.sent += len(request.head)
        ways = _Ways(self._limits.idle, traffic)
        up = asyncio.create_task(ways.up(client[0], upstream[1], None if request.is_tunnel else request.body))
        try:
            await ways.down(upstream[0], client[1])
        finally:
            up.cancel()
            await asyncio.gather(up, return_exceptions=True)


class _Ways:
    """Both directions of one connection; it ends when the far side does, or when neither says anything."""

    def __init__(self, idle: float, traffic: Traffic) -> None:
        self._idle = idle
        self._traffic = traffic
        self._last = asyncio.get_running_loop().time()

    async def up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: int | None) -> None:
        """Carry to the far side: `left` bytes, or all there is and then the end of it."""
        while left is None or left:
            data = await self._read(reader, _CHUNK if left is None else min(_CHUNK, left))
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            left = None if left is None else left - len(data)
            self._traffic.sent += len(data)
            await self._write(writer, data)

    async def down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry to the evaluation."""
        while data := await self._read(reader, _CHUNK):
            self._traffic.received += len(data)
            await self._write(writer, data)

    async def _read(self, reader: asyncio.StreamReader, size: int) -> bytes:
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    data = await reader.read(size)
            except TimeoutError:
                if loop.time() - self._last >= self._idle:
                    raise
                continue
            self._last = loop.time()
            return data

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        writer.write(data)
        async with asyncio.timeout(self._idle):
            await writer.drain()


async def _answer(writer: asyncio.StreamWriter, status: int, reason: str) -> None:
    body = f"evalctl: {reason}\n".encode()
    phrase = _PHRASES[status]
    head = f"HTTP/1.1 {status} {phrase}\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n"
    writer.write(head.encode() + b"connection: close\r\n\r\n" + body)
    async with asyncio.timeout(10):
        await writer.drain()


async def _resolve(target: Target) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _listen(path: Path) -> socket.socket:
    """Listen at `path` for any user: only who can enter its folder, or has it mounted, gets there."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # A socket's address holds 107 bytes, and homes may have longer paths.
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        path.chmod(0o666)
    except OSError as error:
        listener.close()
        raise InfrastructureError(
            "the way out of the sandbox could not be opened",
            code="egress-not-opened",
            context=str(error),
            hint="see that the home is on a disk of this machine",
        ) from error
    finally:
        os.close(folder)
    listener.setblocking(False)
    return listener
