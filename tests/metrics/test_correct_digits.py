"""lre@1: the number of correct digits, held against exact arithmetic of another kind."""

import math
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from launcher.errors import MalformedError
from launcher.metrics.correct_digits import correct_digits
from launcher.metrics.definitions import problems
from launcher.metrics.evaluation import evaluate
from launcher.spec.blueprint import Metric, Threshold
from launcher.spec.sample import Sample

finite = st.floats(allow_nan=False, allow_infinity=False)


def sample(identity: str, prediction: object, target: object, **fields: object) -> Sample:
    return Sample(identity, prediction, target, replicate=0, seed=0, **fields)  # type: ignore[arg-type]


def lre(**changes: object) -> Metric:
    return Metric("digits", "lre@1", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "certified", "digits"),
    [
        (21.0, 21.0, 15.0),
        (20.999999999999996, 21.0, 15.0),  # the neighbouring double is right to 15.8 digits
        (0.0, 0.0, 15.0),
        (0.001, 0.0, 3.0),
        (2.0, 0.0, 0.0),
        (0.0, 21.0, 0.0),
        (-21.0, 21.0, 0.0),
        (22.0, 20.0, 1.0),
        (-1.001, -1.0, 3.0),
        (1e308, -1e308, 0.0),
        (5e-324, 1e308, 0.0),
        (1e308, 5e-324, 0.0),
        (10.0, 5e-324, 0.0),
    ],
)
def test_the_digits_of_simple_numbers_are_those_of_pen_and_paper(
    found: float, certified: float, digits: float
) -> None:
    assert correct_digits(found, certified) == pytest.approx(digits, abs=1e-12)


@given(finite, finite)
@example(1.0, 1.0000000000000002)
@example(5e-324, 0.0)
def test_the_digits_are_those_of_exact_fractions(found: float, certified: float) -> None:
    error = abs(Fraction(found) - Fraction(certified)) / abs(Fraction(certified or 1.0))
    digits = correct_digits(found, certified)
    # A fraction of integers has a logarithm even where no double holds it.
    wanted = math.log10(error.denominator) - math.log10(error.numerator) if error else 15.0
    assert digits == pytest.approx(min(max(wanted, 0.0), 15.0), abs=1e-11)
    assert correct_digits(-found, -certified) == digits


@given(finite.filter(bool), st.integers(1, 15))
def test_no_number_has_more_digits_than_are_certain(certified: float, most: int) -> None:
    assert correct_digits(certified, certified, most) == most
    assert correct_digits(math.nextafter(certified, 0.0), certified, most) <= most


def test_the_metric_is_the_mean_over_the_items_with_students_interval() -> None:
    samples = [sample("a", 22.0, 20.0), sample("b", 1.001, 1.0), sample("c", 7, 7.0)]
    (result,) = evaluate([lre(threshold=Threshold(min=6))], samples, [0])
    assert result.value == pytest.approx((1 + 3 + 15) / 3, abs=1e-12)
    assert (result.n, result.verdict) == (3, "pass")
    assert result.ci is not None and result.ci.method == "student"
    (cut,) = evaluate([lre(parameters={"digits": 4})], samples, [0])
    assert cut.value == pytest.approx((1 + 3 + 4) / 3, abs=1e-12)


def test_a_failed_item_has_no_correct_digit_and_is_counted() -> None:
    samples = [sample("a", 7.0, 7.0), sample("b", None, 7.0), sample("c", 7.0, 7.0, error="overflow")]
    (result,) = evaluate([lre()], samples, [0])
    assert (result.value, result.errors, result.n) == (5.0, 2, 3)


@pytest.mark.parametrize(
    ("prediction", "target"), [("7", 7.0), (7.0, "7"), (True, 1), (7.0, None), ([7], 7), (None, None)]
)
def test_what_is_no_number_is_refused(prediction: object, target: object) -> None:
    with pytest.raises(MalformedError) as caught:
        evaluate([lre()], [sample("a", prediction, target)], [0])
    assert caught.value.code == "bad-samples"


@pytest.mark.parametrize("digits", [0, 16, 4.0, True, "4"])
def test_digits_that_cannot_be_certain_are_refused(digits: object) -> None:
    assert problems(lre(parameters={"digits": digits})) == ("`digits` is not a whole number from 1 to 15",)
    known = "`lre@1` has no parameter `digit`; known: digits, resamples"
    assert problems(lre(parameters={"digit": 4})) == (known,)
