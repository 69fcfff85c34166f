"""Follow one container from its start to the end of its hand-over, and stop it when it is time."""

import errno
import os
import threading
import time
from collections.abc import Callable
from typing import Literal, Protocol

from msgspec import Struct

from launcher.engines.attachment import STDOUT, FrameReader
from launcher.engines.capture import Capture
from launcher.engines.collector import Collector
from launcher.engines.engine import CapturedLog, CollectedOutputs, ContainerTask, Observer, Refusal, Room
from launcher.engines.handover import (
    DISMISSED,
    GO,
    STOP,
    Ended,
    Event,
    FileBegan,
    FileData,
    HandoverParser,
    Orders,
    Output,
    Probed,
    Progress,
    Status,
)
from launcher.engines.masking import Masker
from launcher.engines.probe import read_probe
from launcher.environment.probe import differences
from launcher.spec.probe import ProbeReport

_GLANCE_SECONDS = 0.2

StopReason = Literal["timeout", "cancel"]


class Patience(Struct, frozen=True):
    """How many seconds a stop may take to be obeyed, and a hand-over may stand still."""

    grace: float = 5.0
    stall: float = 60.0


class Connection(Protocol):
    """What supervision needs of an attached container."""

    def send(self, data: bytes) -> None:
        """Send bytes to the container's standard input."""

    def receive(self, seconds: float) -> bytes | None:
        """Return framed output: b"" at its end, None when nothing came within `seconds`."""


class Transcript(Struct, frozen=True):
    """All that came out of a container; `status` is None when its first process did not report."""

    status: Status | None
    stop_reason: StopReason | None
    outputs: CollectedOutputs
    stdout: CapturedLog
    stderr: CapturedLog
    room: tuple[Room, ...] = ()
    probe: ProbeReport | None = None
    differences: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Say whether the first process reported to the end: nobody else was left alive."""
        return self.status is not None and self.outputs.complete

    @property
    def exec_error(self) -> str | None:
        """Return why the command could not be started, if so."""
        if self.status is None or not self.status.exec_errno:
            return None
        number = self.status.exec_errno
        return f"{errno.errorcode.get(number, number)}: {os.strerror(number)}"

    @property
    def exit_code(self) -> int | None:
        """Return the command's exit code if it exited by itself."""
        own = self._own_end
        return os.WEXITSTATUS(own) if own is not None and os.WIFEXITED(own) else None

    @property
    def signal(self) -> int | None:
        """Return the signal that ended the command, if one did that the launcher had not asked for."""
        own = self._own_end
        return os.WTERMSIG(own) if own is not None and os.WIFSIGNALED(own) else None

    @property
    def was_stopped_by(self) -> StopReason | None:
        """Return why the launcher stopped the command while it ran; None when it had ended by itself."""
        return self.stop_reason if self._own_end is None else None

    @property
    def _own_end(self) -> int | None:
        """Return the wait status the command ended with by itself; a hand-over cut short reports nothing."""
        if self.status is None or self.status.stopped or not self.outputs.complete:
            return None
        return self.status.wait_status


def _masker(task: ContainerTask) -> Masker | None:
    hidden = {**task.masked, **task.secrets}
    return Masker(hidden) if hidden else None


class Supervision:
    """The state of one run between its start and its end; use once."""

    def __init__(
        self, task: ContainerTask, orders: Orders, observer: Observer, patience: Patience = Patience()
    ) -> None:
        self._task = task
        self._patience = patience
        self._observer = observer
        self._frames = FrameReader()
        self._parser = HandoverParser(orders)
        self._stdout, self._stderr = (
            Capture(task.logs / name, task.log_limit, _masker(task)) for name in ("stdout", "stderr")
        )
        self._collector = Collector(task.outputs, orders.size)
        self._status: Status | None = None
        self._room: list[Room] = []
        self._probe: ProbeReport | None = None
        self._differences: tuple[str, ...] = ()
        self._answer = b""
        self._dismissed = False

    def follow(
        self,
        connection: Connection,
        cancel: threading.Event,
        kill: Callable[[], None],
        ended: Callable[[], None] = lambda: None,
    ) -> Transcript:
        """Read until the stream ends; send the stop byte at the deadline or on `cancel`.

        The command starts only once the probe's report was found to be as the profile has it.

        `kill` is called once, when the container has not obeyed in time or its hand-over stalls; `ended`
        once, when nobody but the first process lives, which waits for it to return.
        """
        clock = _Clock(self._task.timeout, self._patience)
        while True:
            data = connection.receive(clock.until_next_glance())
            if data == b"":
                return self._finish(clock.stop_reason)
            if data:
                clock.heard()
                for stream, piece in self._frames.feed(data):
                    self._take(stream, piece)
            if self._answer:
                connection.send(self._answer)
                self._answer = b""
            if self._status is not None and not self._dismissed:
                self._dismissed = True
                ended()
                connection.send(DISMISSED)
            if not self._parser.begun and clock.must_stop(cancel):
                connection.send(STOP)
            if clock.must_kill(begun=self._parser.begun):
                kill()
            if clock.must_give_up():
                return self._finish(clock.stop_reason)

    def close(self) -> None:
        """Close every file, whatever state they are in."""
        self._stdout.close()
        self._stderr.close()
        self._collector.close()

    def _take(self, stream: int, piece: bytes) -> None:
        if stream != STDOUT:
            self._stderr.write(piece)
            return
        for event in self._parser.feed(piece):
            self._handle(event)

    def _handle(self, event: Event) -> None:
        match event:
            case Probed(data):
                self._compare(data)
            case Output(data):
                self._stdout.write(data)
            case FileData(data):
                self._collector.write(data)
            case FileBegan(path, size):
                self._collector.begin(path, size)
            case Refusal():
                self._collector.refuse(event)
            case Progress(count):
                self._observer.samples_so_far(count)
            case Status():
                self._status = event
            case Room():
                self._room.append(event)
            case Ended():
                self._collector.finish_file()

    def _compare(self, data: bytes) -> None:
        """Let the command be started where the sandbox is as its profile has it, and only there."""
        profile = self._task.profile
        self._probe = read_probe(data)
        self._differences = differences(self._probe, profile, profile.runtime)
        self._answer = STOP if self._differences else GO

    def _finish(self, stop_reason: StopReason | None) -> Transcript:
        for event in self._parser.close():
            self._handle(event)
        return Transcript(
            status=self._status,
            stop_reason=stop_reason,
            outputs=self._collector.finish(complete=self._parser.ended),
            stdout=self._stdout.finish(),
            stderr=self._stderr.finish(),
            room=tuple(self._room),
            probe=self._probe,
            differences=self._differences,
        )


class _Clock:
    """Decides when to stop, when to kill, and when to stop waiting even for that."""

    def __init__(self, timeout: float, patience: Patience) -> None:
        self._patience = patience
        now = time.monotonic()
        self._deadline = now + timeout
        self._last_heard = now
        self._stopped_at: float | None = None
        self._killed_at: float | None = None
        self.stop_reason: StopReason | None = None

    def heard(self) -> None:
        """Take note that bytes came."""
        self._last_heard = time.monotonic()

    def until_next_glance(self) -> float:
        """Return how long to wait for bytes before looking around again."""
        if self._stopped_at is not None:
            return _GLANCE_SECONDS
        return max(0.0, min(_GLANCE_SECONDS, self._deadline - time.monotonic()))

    def must_stop(self, cancel: threading.Event) -> bool:
        """Say, once, that the command's time is over."""
        if self._stopped_at is not None:
            return False
        now = time.monotonic()
        if cancel.is_set():
            self.stop_reason = "cancel"
        elif now >= self._deadline:
            self.stop_reason = "timeout"
        else:
            return False
        self._stopped_at = now
        return True

    def must_kill(self, *, begun: bool) -> bool:
        """Say, once, that the container does not obey, or that its hand-over has come to a standstill."""
        now = time.monotonic()
        if self._killed_at is not None:
            return False
        if begun:
            overdue = now - self._last_heard > self._patience.stall
        else:
            overdue = self._stopped_at is not None and now - self._stopped_at > self._patience.grace
        if overdue:
            self._killed_at = now
        return overdue

    def must_give_up(self) -> bool:
        """Say that even after the kill the stream does not end."""
        return self._killed_at is not None and time.monotonic() - self._killed_at > self._patience.grace
