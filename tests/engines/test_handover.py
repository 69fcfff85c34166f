import struct
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.engines.engine import Refusal
from launcher.engines.handover import (
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
    new_orders,
)
from launcher.errors import EvalctlError, InfrastructureError

ORDERS = Orders(final_token=b"F" * 31 + b"!", progress_token=b"P" * 15 + b"?", entries=2000, size=1000)
STATUS = b"S" + struct.pack("<BIIQQQQ", 0, 3 << 8, 0, 2_500_000_000, 1_000_000, 500_000, 4)


def probed(report: bytes) -> bytes:
    return b"P" + struct.pack("<I", len(report)) + report


def progress(count: int) -> bytes:
    return ORDERS.progress_token + struct.pack("<Q", count)


def file(path: bytes, data: bytes) -> bytes:
    return b"F" + struct.pack("<HQ", len(path), len(data)) + path + data


def refusal(reason: int, path: bytes) -> bytes:
    return b"R" + struct.pack("<BH", reason, len(path)) + path


def end(files: int, refusals: int, size: int) -> bytes:
    return b"E" + struct.pack("<IIQ", files, refusals, size)


WHOLE = (
    b"hello "
    + progress(7)
    + b"world PPPP FFFF"
    + ORDERS.final_token
    + STATUS
    + file(b"a/b", b"12345")
    + file(b"empty", b"")
    + refusal(3, b"link")
    + end(2, 1, 5)
)
EVENTS: list[Event] = [
    Output(b"hello world PPPP FFFF"),
    Progress(7),
    Status(
        stopped=False,
        wait_status=3 << 8,
        exec_errno=0,
        seconds=2.5,
        user_seconds=1.0,
        system_seconds=0.5,
        max_rss_bytes=4096,
    ),
    FileBegan("a/b", 5),
    FileData(b"12345"),
    FileBegan("empty", 0),
    Refusal("link", "link"),
    Ended(),
]


def parse(chunks: Sequence[bytes]) -> tuple[list[Event], HandoverParser]:
    """Parse and join neighbouring pieces, so that the cut of the chunks does not show."""
    parser = HandoverParser(ORDERS)
    assert [*parser.feed(probed(b"lines"))] == [Probed(b"lines")]
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    events += parser.close()
    output = b"".join(event.data for event in events if isinstance(event, Output))
    joined: list[Event] = [Output(output)] if output else []
    for event in events:
        if isinstance(event, FileData) and isinstance(joined[-1], FileData):
            joined[-1] = FileData(joined[-1].data + event.data)
        elif not isinstance(event, Output):
            joined.append(event)
    return joined, parser


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


def test_a_whole_hand_over_is_read() -> None:
    events, parser = parse([WHOLE])
    assert events == EVENTS
    assert parser.ended


def test_a_hand_over_is_read_byte_by_byte() -> None:
    assert parse([bytes([byte]) for byte in WHOLE])[0] == EVENTS


@given(st.lists(st.integers(min_value=0), max_size=30))
def test_how_the_stream_is_cut_does_not_matter(places: list[int]) -> None:
    assert parse(cut(WHOLE, places))[0] == EVENTS


@given(st.binary(max_size=300), st.lists(st.integers(min_value=0), max_size=10))
def test_whatever_the_command_prints_comes_out_as_it_is(data: bytes, places: list[int]) -> None:
    events, parser = parse(cut(data, places))
    assert b"".join(event.data for event in events if isinstance(event, Output)) == data
    assert not parser.begun


@given(st.binary(max_size=300), st.lists(st.integers(min_value=0), max_size=10))
def test_after_the_final_token_anything_unfit_is_an_error_of_ours(data: bytes, places: list[int]) -> None:
    try:
        _, parser = parse(cut(ORDERS.final_token + data, places))
    except InfrastructureError as error:
        assert error.code == "handover-malformed"
    else:
        assert parser.begun


@given(st.integers(min_value=0, max_value=len(WHOLE) - 1))
def test_a_hand_over_that_breaks_off_never_counts_as_whole(length: int) -> None:
    assert not parse([WHOLE[:length]])[1].ended


def test_a_progress_frame_at_the_very_end_of_a_cut_stream_is_no_output() -> None:
    events, _ = parse([b"said" + progress(7)])
    assert events == [Output(b"said"), Progress(7)]


def test_a_few_bytes_of_output_are_not_held_back() -> None:
    parser = HandoverParser(ORDERS)
    list(parser.feed(probed(b"lines")))
    assert list(parser.feed(b"3 of 9\n")) == [Output(b"3 of 9\n")]
    assert list(parser.feed(ORDERS.final_token[:5])) == []
    assert list(parser.feed(b"!")) == [Output(ORDERS.final_token[:5] + b"!")]


def test_a_torn_progress_frame_cannot_swallow_the_final_token() -> None:
    stream = b"x" + ORDERS.progress_token + b"12" + WHOLE[WHOLE.index(ORDERS.final_token) :]
    for size in (1, 5, 40, len(stream)):
        chunks = [stream[at : at + size] for at in range(0, len(stream), size)]
        assert parse(chunks)[0][-1] == Ended()


@pytest.mark.parametrize(
    "records",
    [
        file(b"a", b""),
        STATUS + STATUS,
        STATUS + b"X",
        STATUS + refusal(99, b"a"),
        STATUS + b"F" + struct.pack("<HQ", 5000, 0),
        STATUS + b"F" + struct.pack("<HQ", 1, 1001) + b"a",
        STATUS + file(b"\xff", b""),
        STATUS + end(1, 0, 0),
        STATUS + end(0, 0, 0) + b"more",
    ],
    ids=["no status", "two", "unknown", "reason", "path", "size", "not ASCII", "totals", "after the end"],
)
def test_a_record_that_does_not_fit_is_refused(records: bytes) -> None:
    with pytest.raises(EvalctlError, match="malformed"):
        parse([ORDERS.final_token + records])


def test_orders_are_sixty_eight_bytes_and_the_secrets() -> None:
    assert len(ORDERS.encode()) == 68
    orders = new_orders(entries=1, size=1, secrets={"TOKEN": "a=b", "KEY": ""})
    assert orders.encode()[64:] == struct.pack("<I", 15) + b"KEY=\0TOKEN=a=b\0"


@pytest.mark.parametrize(
    "secrets", [{"": "x"}, {"A=B": "x"}, {"A": "x\0y"}, {"A": "x" * (64 << 10)}], ids=["", "=", "0", "long"]
)
def test_secrets_that_no_environment_can_hold_are_refused(secrets: dict[str, str]) -> None:
    with pytest.raises(EvalctlError, match="secret"):
        new_orders(entries=1, size=1, secrets=secrets)
