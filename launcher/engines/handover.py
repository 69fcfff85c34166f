"""The init's side of the conversation, parsed strictly: bytes in, events out, no input or output of its own.

The format is stated at the head of `init/init.c`. The probe's report comes first. Before the final token
everything else is the command's and may be anything at all; after it everything is pid 1's, and one byte that
does not fit is an error.
"""

import os
import struct
from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct

from launcher.engines.engine import Refusal, RefusalReason, Room
from launcher.engines.probe import MAX_REPORT
from launcher.errors import InfrastructureError, MalformedError

STOP = b"s"
GO = b"g"
DISMISSED = b"d"
MAX_PATH = 4096
MAX_SECRETS = 64 << 10
_MAGIC = 0x32545645
_ORDERS = struct.Struct("<IIQ32s16sI")
_PROBE = struct.Struct("<cI")
_PROGRESS = struct.Struct("<16sQ")
_STATUS = struct.Struct("<BIIQQQQ")
_ROOM = struct.Struct("<BQQ")
_FILE = struct.Struct("<HQ")
_REFUSAL = struct.Struct("<BH")
_END = struct.Struct("<IIQ")
_UNBOUNDED = 2**64 - 1
_SCRATCH = ("/eval/out", "/tmp", "/dev/shm")  # noqa: S108 - the container's own, bounded
_REASONS: dict[int, RefusalReason] = {
    1: "name",
    2: "depth",
    3: "link",
    4: "hard-link",
    5: "special",
    6: "setuid",
    7: "size",
    8: "count",
    9: "unreadable",
}


class Orders(Struct, frozen=True):
    """What the launcher tells the init first: two tokens, the bounds of the hand-over, the command's secrets.

    `secrets` are `NAME=VALUE` entries, each ended by a null byte; the init adds them to the command's
    environment and to nothing else.
    """

    final_token: bytes
    progress_token: bytes
    entries: int
    size: int
    secrets: bytes = b""

    def encode(self) -> bytes:
        """Return what the init reads first from its standard input."""
        bounds = (self.entries, self.size)
        tokens = (self.final_token, self.progress_token)
        return _ORDERS.pack(_MAGIC, *bounds, *tokens, len(self.secrets)) + self.secrets


def new_orders(*, entries: int, size: int, secrets: Mapping[str, str] = {}) -> Orders:
    """Return orders with fresh random tokens; raises `MalformedError` for secrets no environment can hold."""
    return Orders(os.urandom(32), os.urandom(16), entries, size, _secret_entries(secrets))


def _secret_entries(secrets: Mapping[str, str]) -> bytes:
    for name, value in secrets.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise _bad_secret(f"`{name!a}` has a name or a value that no environment can hold")
    entries = "".join(f"{name}={value}\0" for name, value in sorted(secrets.items()))
    data = entries.encode("utf-8", "surrogateescape")
    if len(data) > MAX_SECRETS:
        raise _bad_secret(f"together they have {len(data)} bytes, and {MAX_SECRETS} is the limit")
    return data


class Probed(Struct, frozen=True):
    """What the probe says; nothing goes on before the launcher has answered."""

    data: bytes


class Output(Struct, frozen=True):
    """Bytes the command wrote to its standard output."""

    data: bytes


class Progress(Struct, frozen=True):
    """Lines of samples.jsonl so far; the command can forge this one."""

    count: int


class Status(Struct, frozen=True):
    """How the command ended, as wait(2) told its parent; `stopped` when the launcher had asked for it."""

    stopped: bool
    wait_status: int
    exec_errno: int
    seconds: float
    user_seconds: float
    system_seconds: float
    max_rss_bytes: int


class FileBegan(Struct, frozen=True):
    """A file of `size` bytes follows, all of it, before anything else."""

    path: str
    size: int


class FileData(Struct, frozen=True):
    """The next bytes of the file that began last."""

    data: bytes


class Ended(Struct, frozen=True):
    """The hand-over is whole."""


Event = Probed | Output | Progress | Status | Room | FileBegan | FileData | Refusal | Ended
_State = Literal["probe", "output", "status", "records", "file", "ended"]


class HandoverParser:
    """Turn the container's standard output into events, however it is cut into chunks."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._buffer = bytearray()
        self._state: _State = "probe"
        self._left_in_file = 0
        self._files = self._refusals = self._bytes = 0

    @property
    def begun(self) -> bool:
        """Say whether the final token was seen: the evaluation is over and nothing of it lives."""
        return self._state not in ("probe", "output")

    @property
    def ended(self) -> bool:
        """Say whether the hand-over is whole."""
        return self._state == "ended"

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield what `data` completes; exhaust the iterator before feeding again.

        Raises `InfrastructureError` (`handover-malformed`).
        """
        self._buffer += data
        if self._state == "probe":
            yield from self._read_probe()
        if self._state == "output":
            yield from self._read_output()
        while self.begun:
            event = self._next()
            if event is None:
                return
            yield event

    def close(self) -> Iterator[Event]:
        """Yield the output still held back; call it at the end of the stream."""
        if self._state == "output":
            yield from self._split(self._take(len(self._buffer)), last=True)

    def _read_probe(self) -> Iterator[Event]:
        """Read the report that comes before anything else; only the first process lives so far."""
        if not self._buffer.startswith(b"P"[: len(self._buffer)]):
            raise _malformed(f"expected a record b'P', got {bytes(self._buffer[:1])!r}")
        if len(self._buffer) < _PROBE.size:
            return
        length = _PROBE.unpack_from(self._buffer)[1]
        if length > MAX_REPORT:
            raise _malformed(f"a report of {length} bytes")
        if len(self._buffer) >= _PROBE.size + length:
            self._state = "output"
            yield Probed(self._take(_PROBE.size + length)[_PROBE.size :])

    def _read_output(self) -> Iterator[Event]:
        """Search for the final token first: no progress frame, forged or torn, can swallow a part of it."""
        token = self._orders.final_token
        at = self._buffer.find(token)
        if at < 0:
            # Only what may be the beginning of the token stays until more is known: a person watches.
            whole = _before_partial(self._buffer, token, 0, len(self._buffer))
            yield from self._split(self._take(whole), last=False)
            return
        output = self._take(at)
        del self._buffer[: len(token)]
        self._state = "status"
        yield from self._split(output, last=True)

    def _split(self, output: bytes, *, last: bool) -> Iterator[Event]:
        """Separate progress frames from output; a frame torn at the end goes back until it is whole."""
        token, start = self._orders.progress_token, 0
        while (at := output.find(token, start)) >= 0 and at + _PROGRESS.size <= len(output):
            if at > start:
                yield Output(output[start:at])
            yield Progress(_PROGRESS.unpack_from(output, at)[1])
            start = at + _PROGRESS.size
        end = len(output) if last or at < 0 else at
        if not last:
            end = _before_partial(output, token, start, end)
            self._buffer[:0] = output[end:]
        if end > start:
            yield Output(output[start:end])

    def _next(self) -> Event | None:
        if self._state == "status":
            return self._read_status()
        if self._state == "records":
            return self._read_record()
        if self._state == "file":
            return self._read_file()
        if self._buffer:
            raise _malformed("bytes after the end")
        return None

    def _read_status(self) -> Status | None:
        fields = self._unpack(b"S", _STATUS)
        if fields is None:
            return None
        stopped, status, error, nanoseconds, user, system, rss = fields
        self._state = "records"
        return Status(
            stopped=bool(stopped),
            wait_status=status,
            exec_errno=error,
            seconds=nanoseconds / 1e9,
            user_seconds=user / 1e6,
            system_seconds=system / 1e6,
            max_rss_bytes=rss << 10,
        )

    def _read_record(self) -> Event | None:
        kind = bytes(self._buffer[:1])
        if kind == b"F":
            return self._begin_file()
        if kind == b"R":
            return self._read_refusal()
        if kind == b"D":
            return self._read_room()
        if kind in (b"E", b""):
            return self._read_end()
        raise _malformed(f"an unknown record {kind!r}")

    def _read_room(self) -> Room | None:
        fields = self._unpack(b"D", _ROOM)
        if fields is None:
            return None
        number, free_bytes, free_inodes = fields
        if number >= len(_SCRATCH):
            raise _malformed(f"an unknown folder {number}")
        return Room(_SCRATCH[number], _bounded(free_bytes), _bounded(free_inodes))

    def _begin_file(self) -> FileBegan | None:
        found = self._unpack_with_path(b"F", _FILE, length_at=0)
        if found is None:
            return None
        (_, size), path = found
        self._bytes += size
        if self._bytes > self._orders.size:
            raise _malformed("more bytes than allowed")
        self._files += 1
        self._left_in_file, self._state = size, "file" if size else "records"
        return FileBegan(path, size)

    def _read_file(self) -> FileData | None:
        if not self._buffer:
            return None
        data = self._take(min(len(self._buffer), self._left_in_file))
        self._left_in_file -= len(data)
        if not self._left_in_file:
            self._state = "records"
        return FileData(data)

    def _read_refusal(self) -> Refusal | None:
        found = self._unpack_with_path(b"R", _REFUSAL, length_at=1)
        if found is None:
            return None
        (reason, _), path = found
        if reason not in _REASONS:
            raise _malformed(f"an unknown reason {reason}")
        self._refusals += 1
        return Refusal(path, _REASONS[reason])

    def _read_end(self) -> Ended | None:
        fields = self._unpack(b"E", _END)
        if fields is None:
            return None
        if fields != (self._files, self._refusals, self._bytes):
            raise _malformed("the totals do not add up")
        self._state = "ended"
        return Ended()

    def _unpack(self, kind: bytes, layout: struct.Struct) -> tuple[int, ...] | None:
        if self._buffer and self._buffer[:1] != kind:
            raise _malformed(f"expected a record {kind!r}, got {bytes(self._buffer[:1])!r}")
        if len(self._buffer) < 1 + layout.size:
            return None
        return layout.unpack(self._take(1 + layout.size)[1:])

    def _unpack_with_path(
        self, kind: bytes, layout: struct.Struct, *, length_at: int
    ) -> tuple[tuple[int, ...], str] | None:
        head = 1 + layout.size
        if len(self._buffer) < head:
            return None
        length = layout.unpack_from(self._buffer, 1)[length_at]
        if length > MAX_PATH:
            raise _malformed(f"a path of {length} bytes")
        if len(self._buffer) < head + length:
            return None
        fields = self._unpack(kind, layout)
        path = self._take(length)
        if fields is None or not path.isascii():
            raise _malformed("a path that is not ASCII")
        return fields, path.decode("ascii")

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken


def _bounded(count: int) -> int | None:
    return None if count == _UNBOUNDED else count


def _before_partial(output: bytes | bytearray, token: bytes, start: int, end: int) -> int:
    """Return where a token that is cut off at the end of `output` begins, else `end`."""
    if end < len(output):
        return end
    for length in range(min(len(token) - 1, end - start), 0, -1):
        if output.endswith(token[:length]):
            return end - length
    return end


def _bad_secret(context: str) -> MalformedError:
    return MalformedError(
        "a secret cannot be given to the container",
        code="bad-secret",
        context=context,
        hint="put a long secret into several, or give the command a shorter one",
    )


def _malformed(reason: str) -> InfrastructureError:
    return InfrastructureError(
        f"the sandbox's hand-over is malformed: {reason}",
        code="handover-malformed",
        hint="launch again; if it happens again, the engine alters the container's output",
    )
