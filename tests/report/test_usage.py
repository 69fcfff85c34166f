"""Resources and steps: every line is shown, whatever phases and readings a later version adds."""

import pytest

from launcher.report.usage import read_steps, read_usage


def test_known_readings_have_a_place_and_others_are_kept() -> None:
    data = (
        b'{"phase":"score","replicate":1,"seconds":2.5,"max_rss_bytes":9,"joules":7,"cpu_user_seconds":null}'
    )
    (row,) = read_usage(data)
    assert (row.phase, row.replicate) == ("score", "1")
    assert row.readings == {"seconds": 2.5, "max_rss_bytes": 9.0}
    assert row.other == {"cpu_user_seconds": None, "joules": 7}


def test_a_service_is_named_apart_from_the_phase_it_stood_beside() -> None:
    (row,) = read_usage(b'{"kind":"container","phase":"run","service":"judge","replicate":0}')
    assert (row.phase, row.replicate, row.other) == ("judge, beside run", "0", {})


def test_a_line_without_phase_or_replicate_is_shown_all_the_same() -> None:
    (row,) = read_usage(b'{"seconds":true}\n')
    assert (row.phase, row.replicate, row.readings) == ("-", "-", {})


def test_steps_of_one_kind_are_added_up_in_the_order_they_came() -> None:
    data = (
        b'{"source":"launcher","step":"resolve","seconds":1}\n'
        b'{"source":"container","step":"load","phase":"a","seconds":0.5}\n'
        b'{"source":"container","step":"load","phase":"a","seconds":0.25}\n'
        b'{"source":"container","step":"mark"}\n'
    )
    steps = list(read_steps(data))
    assert [(step.name, step.count, step.seconds) for step in steps] == [
        ("resolve", 1, 1.0),
        ("load", 2, 0.75),
        ("mark", 1, None),
    ]


@pytest.mark.parametrize("data", [b"[]\n", b"nonsense\n", b"{\n", b"[" * 10**5, b'{"seconds":1e999}\n'])
def test_a_line_that_is_no_object_is_said(data: bytes) -> None:
    with pytest.raises(ValueError, match="line 1"):
        list(read_usage(data))


def test_steps_of_more_kinds_than_a_page_has_rows_stand_together() -> None:
    data = b"".join(b'{"step":"s%d","seconds":1}\n' % number for number in range(2000))
    steps = list(read_steps(data))
    assert len(steps) == 501
    assert (steps[-1].name, steps[-1].count, steps[-1].seconds) == ("all other steps", 1500, 1500.0)


def test_more_containers_than_a_page_has_rows_cannot_be_shown() -> None:
    with pytest.raises(ValueError, match="more than 20000 containers"):
        list(read_usage(b'{"seconds":1}\n' * 20_001))
