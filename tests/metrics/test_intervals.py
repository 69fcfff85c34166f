import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.metrics.bootstrap import percentile_interval
from launcher.metrics.draws import draws
from launcher.metrics.intervals import normal_quantile, student_quantile, wilson


# Reference values: scipy 1.17.1, stats.norm.ppf and stats.t.ppf.
@pytest.mark.parametrize(
    ("level", "expected"),
    [(0.5, 0.674489750196082), (0.9, 1.64485362695147), (0.95, 1.95996398454005), (0.999, 3.29052673149193)],
)
def test_normal_quantiles_are_scipys(level, expected):
    assert normal_quantile(level) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [
        (1, 12.7062047361747),
        (2, 4.30265272974946),
        (10, 2.22813885198627),
        (898, 1.96260921560482),
        (1000, 1.96233908082641),
        (5000, 1.96043855170651),
    ],
)
def test_student_quantiles_are_scipys(degrees, expected):
    assert student_quantile(0.95, degrees) == pytest.approx(expected, rel=1e-11)


def test_the_series_and_the_expansion_of_students_quantile_meet():
    assert student_quantile(0.99, 1001) == pytest.approx(student_quantile(0.99, 1000), rel=1e-5)


@given(
    st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.01, 0.9999)
)
def test_wilsons_interval_lies_within_0_and_1_and_holds_the_share(counts, level):
    successes, n = counts
    lower, upper = wilson(successes / n, n, level)
    assert 0 <= lower <= successes / n <= upper <= 1
    assert lower < upper


def test_percentiles_count_from_either_end():
    assert percentile_interval([float(n) for n in range(999, 0, -1)], 0.95) == (25.0, 975.0)
    assert percentile_interval([float(n) for n in range(1, 100)], 0.9) == (5.0, 95.0)


def test_too_few_or_equal_resamples_give_no_interval():
    assert percentile_interval([float(n) for n in range(100)], 0.99) is None
    assert percentile_interval([1.0] * 1000, 0.95) is None


def words(count: int) -> list[int]:
    """PCG64 XSL-RR as its paper gives it, in whole numbers: what a verifier in another language writes."""
    seed = hashlib.sha256(b"evalctl/bootstrap/v1").digest()
    state, increment = int.from_bytes(seed[:16]), int.from_bytes(seed[16:]) | 1
    found = []
    for _ in range(count):
        state = (state * 0x2360ED051FC65DA44385DF649FCCF645 + increment) % 2**128
        folded, turn = (state >> 64) ^ (state % 2**64), state >> 122
        found.append((folded >> turn | folded << (64 - turn) % 64) % 2**64)
    return found


def by_hand(counts: list[int], resamples: int) -> list[list[float]]:
    n, group_of = sum(counts), [group for group, count in enumerate(counts) for _ in range(count)]
    drawn = [group_of[((word >> 32) * n) >> 32] for word in words(n * resamples)]
    return [
        [float(drawn[start : start + n].count(group)) for group in range(len(counts))]
        for start in range(0, len(drawn), n)
    ]


def test_the_draws_of_the_bootstrap_are_the_same_for_ever():
    expected = [[1.0, 3.0, 6.0], [2.0, 5.0, 3.0], [5.0, 2.0, 3.0]]
    assert words(1) == [5596208366525369542]
    assert by_hand([2, 3, 5], 3) == expected
    assert [block.tolist() for block in draws([2, 3, 5], 3, 1)] == [expected]


def test_a_resample_does_not_depend_on_how_many_there_are():
    few, many = next(draws([400, 600], 5, 1)), next(draws([400, 600], 50, 1))
    assert few.tolist() == many[:5].tolist()
    assert set(many.sum(axis=1)) == {1000.0}


def test_many_groups_are_drawn_as_few_are():
    counts = [7, 1, 40, 2, *[1] * 30]
    expected = by_hand(counts, 5)
    assert np.concatenate(list(draws(counts, 5, 1))).tolist() == expected
    few = [sum(counts[:4]), *counts[4:20], sum(counts[20:])]
    drawn = np.concatenate(list(draws(few, 5, 1)))
    assert drawn.tolist() == by_hand(few, 5)
    assert drawn[:, 0].tolist() == [sum(line[:4]) for line in expected]
