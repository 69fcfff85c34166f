"""The launcher's side of a run, with a container made of bytes."""

import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.engines.engine import ContainerTask
from launcher.engines.handover import DISMISSED, GO, STOP, Orders
from launcher.engines.supervision import Patience, Supervision, Transcript
from launcher.errors import InfrastructureError
from tests.engines.tasks import MakeTask, Watcher
from tests.engines.test_handover import end, file, probed

REPORT = (Path(__file__).parent / "reports" / "runc.txt").read_bytes()
ORDERS = Orders(b"F" * 32, b"P" * 16, entries=2000, size=1000)
SWIFT = Patience(grace=0.3, stall=0.3)


def framed(data: bytes, stream: int = 1) -> bytes:
    return struct.pack(">BxxxI", stream, len(data)) + data


def status(wait_status: int, *, stopped: bool = False) -> bytes:
    return b"S" + struct.pack("<BIIQQQQ", stopped, wait_status, 0, 0, 0, 0, 0)


class Container:
    """Says its pieces, then what `on_stop` or `on_kill` adds; ends where a piece is empty."""

    def __init__(
        self,
        *pieces: bytes,
        on_stop: tuple[bytes, ...] = (),
        on_kill: tuple[bytes, ...] = (b"",),
        report: bytes | None = REPORT,
    ) -> None:
        self.pieces = [*([framed(probed(report))] if report is not None else []), *pieces]
        self.on_stop, self.on_kill = on_stop, on_kill
        self.sent: list[bytes] = []
        self.kills = 0

    def send(self, data: bytes) -> None:
        self.sent.append(data)
        if data == STOP:
            self.pieces += self.on_stop

    def receive(self, seconds: float) -> bytes | None:
        if self.pieces:
            return self.pieces.pop(0)
        time.sleep(min(seconds, 0.02))
        return None

    def kill(self) -> None:
        self.kills += 1
        self.pieces += self.on_kill


Follow = Callable[..., Transcript]


@pytest.fixture
def follow(make_task: MakeTask) -> Follow:
    def run(container: Container, cancel: threading.Event | None = None, timeout: float = 10) -> Transcript:
        task: ContainerTask = make_task("sha256:0", "true", timeout=timeout)
        supervision = Supervision(task, ORDERS, Watcher(), SWIFT)
        try:
            return supervision.follow(container, cancel or threading.Event(), container.kill)
        finally:
            supervision.close()

    return run


def test_a_whole_run_is_told_as_it_was(follow: Follow) -> None:
    hand_over = ORDERS.final_token + status(7 << 8) + file(b"a", b"123") + end(1, 0, 3)
    transcript = follow(Container(framed(b"out"), framed(b"err", 2), framed(hand_over), b""))
    assert (transcript.exit_code, transcript.signal, transcript.was_stopped_by) == (7, None, None)
    assert transcript.outputs.complete
    assert (transcript.stdout.total, transcript.stderr.total) == (3, 3)


def test_a_command_that_ends_as_the_stop_is_sent_has_ended_by_itself(follow: Follow) -> None:
    hand_over = framed(ORDERS.final_token + status(0) + end(0, 0, 0))
    transcript = follow(Container(on_stop=(hand_over, b"")), timeout=0)
    assert (transcript.exit_code, transcript.was_stopped_by) == (0, None)


def test_a_stopped_command_has_no_end_of_its_own(follow: Follow) -> None:
    hand_over = framed(ORDERS.final_token + status(9, stopped=True) + end(0, 0, 0))
    container = Container(on_stop=(hand_over, b""))
    transcript = follow(container, timeout=0)
    assert (transcript.signal, transcript.was_stopped_by) == (None, "timeout")
    assert container.sent == [GO, STOP, DISMISSED]
    assert container.kills == 0


def test_a_container_that_does_not_obey_is_killed_after_its_grace(follow: Follow) -> None:
    cancel = threading.Event()
    cancel.set()
    container = Container()
    transcript = follow(container, cancel)
    assert (container.sent, container.kills) == ([GO, STOP], 1)
    assert transcript.was_stopped_by == "cancel"
    assert not transcript.outputs.complete


def test_an_engine_that_does_not_even_kill_is_not_waited_for(follow: Follow) -> None:
    container = Container(on_kill=())
    transcript = follow(container, timeout=0)
    assert container.kills == 1
    assert transcript.was_stopped_by == "timeout"


def test_a_hand_over_that_stalls_is_killed_and_reports_nothing(follow: Follow) -> None:
    container = Container(framed(ORDERS.final_token + status(0) + file(b"a", b"12345")[:-2]))
    transcript = follow(container)
    assert container.kills == 1
    assert (transcript.exit_code, transcript.signal, transcript.was_stopped_by) == (None, None, None)
    assert not transcript.outputs.complete


def test_a_container_that_vanishes_reports_nothing(follow: Follow) -> None:
    transcript = follow(Container(framed(b"so far"), b""))
    assert transcript.status is None
    assert transcript.exit_code is None
    assert transcript.stdout.total == 6


def test_a_sandbox_that_is_weaker_than_its_profile_never_sees_its_command(follow: Follow) -> None:
    weaker = REPORT.replace(b"guards 1 2", b"guards 0 2")
    container = Container(b"", report=weaker)
    transcript = follow(container)
    assert container.sent == [STOP]
    assert transcript.differences == ("privileges: the process may gain privileges",)
    assert transcript.probe is not None
    assert transcript.was_stopped_by is None


def test_a_report_that_is_broken_off_stops_the_run(follow: Follow) -> None:
    container = Container(b"", report=REPORT[:-10])
    with pytest.raises(InfrastructureError, match="malformed"):
        follow(container)
    assert container.sent == []


def test_a_container_that_ends_within_its_report_reports_nothing(follow: Follow) -> None:
    whole = probed(REPORT)
    container = Container(framed(whole[:100]), b"", report=None)
    transcript = follow(container)
    assert (transcript.probe, transcript.status, container.sent) == (None, None, [])
