from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.spec.units import MAX_SIZE, parse_duration, parse_size, size_text, time_text


@pytest.mark.parametrize(
    ("text", "size"),
    [("1B", 1), ("1KB", 1000), ("1KiB", 1024), ("32GiB", 32 << 30), ("2TB", 2 * 10**12), ("64MiB", 64 << 20)],
)
def test_a_size_is_exact_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "1", "GiB", "1.5GiB", "1 GiB", "1gib", "0B", "-1B", "1PiB", "9" * 16 + "TiB", "\uff11B"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_size(text)


@given(st.integers(1, MAX_SIZE))
def test_the_spelling_of_a_size_reads_back_as_the_size(size: int) -> None:
    if size < 10**16:
        assert parse_size(size_text(size)) == size


@pytest.mark.parametrize(
    ("text", "seconds"), [("45m", 2700), ("1h30m", 5400), ("90s", 90), ("1d", 86_400), ("1d2h3m4s", 93_784)]
)
def test_a_duration_is_whole_seconds(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0s", "10ms", "1", "m", "30m1h", "1.5h", "1h 30m", "-1h", "367d", "1w", "\uff11h"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("2027-06-01T02:00:00+02:00", "2027-06-01T00:00:00Z"),
        ("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59-01:00"),
        ("0001-01-01T00:00:00+01:00", "0001-01-01T00:00:00+01:00"),
    ],
)
def test_moments_are_said_in_utc_where_the_calendar_has_them(written: str, said: str) -> None:
    assert time_text(datetime.fromisoformat(written)) == said
