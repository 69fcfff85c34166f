"""Where the marks of a forest plot stand."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.report.forest import scales
from launcher.spec.blueprint import Published, Threshold
from launcher.spec.result import ConfidenceInterval, MetricResult

DOUBLES = st.floats(allow_nan=False, allow_infinity=False)


def metric(value: float | None, low: float = 0.0, high: float = 1.0, **more: object) -> MetricResult:
    usual = {"name": "x", "definition": "accuracy@1", "n": 9, "verdict": "none"}
    interval = ConfidenceInterval(low, high, "wilson", 0.95)
    return MetricResult(**{**usual, "value": value, "ci": interval, **more})


def test_marks_stand_where_their_numbers_are_on_the_scale() -> None:
    (scale,) = scales(
        [
            metric(
                0.97,
                0.95,
                0.98,
                threshold=Threshold(min=0.9),
                published=Published(1.0, 2),
                per_replicate=(0.96, 0.98),
            )
        ]
    )
    assert [tick.label for tick in scale.ticks] == ["0.90", "0.92", "0.94", "0.96", "0.98", "1.00"]
    assert [tick.place for tick in scale.ticks] == [0, 20, 40, 60, 80, 100]
    row = scale.rows[0]
    assert (row.value, row.low, row.high) == (70, 50, 80)
    assert (row.bounds, row.published, row.replicates) == ((0,), 100, (60, 80))


def test_shares_have_one_scale_and_other_definitions_their_own() -> None:
    metrics = [
        metric(0.9),
        metric(0.5, definition="f1@1"),
        metric(12.0, 10.0, 14.0, definition="mae@1"),
        metric(3.0, 1.0, 9.0, definition="rmse@1"),
    ]
    assert [len(scale.rows) for scale in scales(metrics)] == [2, 1, 1]


@pytest.mark.parametrize(
    ("value", "definition", "first", "last"),
    [(0.0, "accuracy@1", "0.0", "0.5"), (1.0, "accuracy@1", "0.94", "1.00"), (40.0, "mae@1", "38", "42")],
)
def test_one_number_alone_has_a_scale_that_a_person_can_read(
    value: float, definition: str, first: str, last: str
) -> None:
    (scale,) = scales([metric(value, definition=definition, ci=None)])
    assert (scale.ticks[0].label, scale.ticks[-1].label) == (first, last)


def test_a_metric_without_value_has_no_marks() -> None:
    (scale,) = scales([metric(None, ci=None)])
    row = scale.rows[0]
    assert (row.value, row.low, row.high, row.bounds, row.published) == (None, None, None, (), None)


@pytest.mark.parametrize("definition", ["accuracy@1", "mean@1"])
@given(st.lists(DOUBLES, min_size=3, max_size=3))
def test_every_mark_is_inside_the_drawing_whatever_the_numbers(definition: str, numbers: list[float]) -> None:
    low, value, high = sorted(numbers)
    for scale in scales([metric(value, low, high, definition=definition)]):
        places = [tick.place for tick in scale.ticks]
        assert places == sorted(set(places)), "ticks stand in order, none over another"
        assert len(places) <= 12
        assert all(len(tick.label) <= 40 for tick in scale.ticks)
        row = scale.rows[0]
        assert row.value is not None and row.low is not None and row.high is not None
        assert all(math.isfinite(place) and 0 <= place <= 100 for place in (row.value, row.low, row.high))
        assert row.low <= row.value <= row.high
