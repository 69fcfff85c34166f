"""Progress: one live line on a terminal, plain lines elsewhere, never a failure of the run."""

import io
import time

import pytest

from launcher.report.progress import LiveReporter, PlainReporter, make_reporter


class GoneStream(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def screen(written: str) -> list[str]:
    """Return what a terminal shows: `\\r` goes to the start of the line, `\\b` one back."""
    lines = [""]
    column = 0
    for letter in written:
        if letter == "\n":
            lines.append("")
            column = 0
        elif letter == "\r":
            column = 0
        elif letter == "\b":
            column -= 1
        else:
            line = lines[-1].ljust(column)
            lines[-1] = line[:column] + letter + line[column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


def test_the_live_line_leaves_finished_stages_with_their_samples() -> None:
    stream = io.StringIO()
    reporter = LiveReporter(stream)
    reporter.stage("running the evaluation")
    reporter.samples(12)
    deadline = time.monotonic() + 60
    while "12 samples" not in (shown := screen(stream.getvalue())[-1]) and time.monotonic() < deadline:
        time.sleep(0.05)
    reporter.stage("signing")
    reporter.close()
    assert shown.startswith(">") and shown.endswith("running the evaluation, 12 samples so far")
    first, second, last = screen(stream.getvalue())
    assert first.startswith("  ") and first.endswith("s  running the evaluation, 12 samples")
    assert second.endswith("s  signing")
    assert last == ""
    assert "\x1b" not in stream.getvalue()


def test_a_count_that_never_rests_does_not_flood_the_terminal() -> None:
    stream = io.StringIO()
    reporter = LiveReporter(stream)
    reporter.stage("running the evaluation")
    for count in range(100_000):
        reporter.samples(count)
    reporter.close()
    assert len(stream.getvalue()) < 10_000


def test_what_is_typed_behind_the_live_line_does_not_stay() -> None:
    stream = io.StringIO()
    reporter = LiveReporter(stream)
    reporter.stage("running the evaluation")
    stream.write("^C")
    reporter.close()
    assert screen(stream.getvalue())[0].endswith("running the evaluation")


def test_a_long_stage_is_cut_and_escaped() -> None:
    for reporter in (LiveReporter(stream := io.StringIO()), PlainReporter(stream)):
        reporter.stage("fetching \x1b[2J" + "x" * 300)
        reporter.close()
    live, plain = screen(stream.getvalue())[:2]
    assert len(live) < 80
    assert r"fetching \x1b[2J" in live
    assert r"fetching \x1b[2J" in plain


def test_a_reader_of_progress_that_is_gone_stops_nothing() -> None:
    for reporter in (LiveReporter(GoneStream()), PlainReporter(GoneStream())):
        reporter.stage("running")
        reporter.samples(1)
        reporter.close()


def test_a_quiet_reporter_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = make_reporter(quiet=True)
    reporter.stage("running")
    reporter.samples(1)
    reporter.close()
    assert capsys.readouterr() == ("", "")
