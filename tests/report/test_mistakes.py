"""Errors first: failed items, then those that went wrong most often, then the rest in order."""

from typing import Any

import pytest

from launcher.report.mistakes import shown_value, worst_first
from launcher.spec.blueprint import Metric
from launcher.spec.sample import Sample

ACCURACY = Metric("accuracy", "accuracy@1", primary=True)


def sample(name: str, prediction: Any = 1, target: Any = 1, **more: Any) -> Sample:
    return Sample(id=name, prediction=prediction, target=target, **more)


def ids(samples: list[Sample], metric: Metric = ACCURACY, limit: int = 10) -> list[str]:
    return [item.id for item in worst_first(samples, [metric], limit).shown]


def test_failed_items_come_first_then_those_wrong_most_often() -> None:
    samples = [
        sample("right"),
        sample("once", 2, replicate=0),
        sample("once", 1, replicate=1),
        sample("twice", 2, replicate=0),
        sample("twice", 3, replicate=1),
        sample("failed", None, error="boom"),
    ]
    found = worst_first(samples, [ACCURACY], 10)
    assert [item.id for item in found.shown] == ["failed", "twice", "once"]
    assert (found.items, found.found, found.kind) == (4, 3, "wrong")
    assert found.shown[1].answers == ("2", "3")
    assert (found.shown[2].wrong, found.shown[2].samples) == (1, 2)
    assert found.shown[0].note == "boom"


def test_labels_are_the_same_where_the_definitions_say_so() -> None:
    assert ids([sample("a", 1.0, 1), sample("b", "1", 1), sample("c", True, 1)]) == ["b", "c"]


def test_no_more_than_the_limit_is_shown_and_all_are_counted() -> None:
    found = worst_first([sample(f"{number:03}", 2) for number in range(50)], [ACCURACY], 5)
    assert (len(found.shown), found.found) == (5, 50)


@pytest.mark.parametrize(("direction", "worst"), [("higher", ["low", "high"]), ("lower", ["high", "low"])])
def test_where_each_item_has_a_number_the_worst_come_first(direction: Any, worst: list[str]) -> None:
    metric = Metric("loss", "mean@1", of="scores.loss", direction=direction)
    samples = [Sample(id="low", scores={"loss": 0.1}), Sample(id="high", scores={"loss": 0.9})]
    found = worst_first([*samples, Sample(id="none", scores={"other": 1.0})], [metric], 10)
    assert [item.id for item in found.shown] == worst
    assert found.kind == "worst"


@pytest.mark.parametrize(
    ("metrics", "samples"),
    [([], [sample("a")]), ([Metric("x", "code:metric.py")], [sample("a")]), ([ACCURACY], [])],
)
def test_samples_that_do_not_tell_give_no_list(metrics: list[Metric], samples: list[Sample]) -> None:
    assert worst_first(samples, metrics, 10).kind == "none"


def test_samples_without_a_target_count_as_wrong_only_where_they_failed() -> None:
    assert ids([sample("a", 1, None), sample("b", None, None)]) == ["b"]


def test_a_long_answer_is_cut_before_it_is_written_out() -> None:
    assert len(shown_value("x" * 10**6)) == 160
    assert shown_value("\u202e") == '"\\u202e"'


def test_a_metric_over_some_items_does_not_claim_the_mistakes_of_others() -> None:
    some = Metric("lda", "accuracy@1", where={"model": "lda"}, primary=True)
    samples = [sample("a", 2, groups={"model": "knn"}), sample("b", groups={"model": "lda"})]
    assert worst_first(samples, [some], 10).by == "the measure of lda, taken over all samples"
    assert worst_first(samples, [ACCURACY], 10).by == "accuracy"
