"""Exposure: how many withheld values follow from what stays, and whether the rest can be tried out."""

from typing import Any

import pytest

from launcher.redact.exposure import Exposure, exposure_of
from launcher.spec.blueprint import Interval, Metric
from launcher.spec.disclosure import Choice
from launcher.spec.sample import Sample

RIGHT = Metric("accuracy", "accuracy@1")


def of_class(label: str) -> Metric:
    return Metric(
        f"precision-{label}", "precision@1", parameters={"class": label}, ci=Interval("wilson", 0.95)
    )


def samples(labels: str, answers: str, **more: Any) -> list[Sample]:
    return [
        Sample(f"item-{number:03}", target=target, prediction=answer, replicate=0, seed=0, **more)
        for number, (target, answer) in enumerate(zip(labels, answers, strict=True))
    ]


def exposed(metric: Metric, given: list[Sample], *withheld: str, ids: tuple[str, ...] = ()) -> Exposure:
    choice = Choice(frozenset(withheld), frozenset(ids))
    return exposure_of([metric], choice, [given], [given])


def counts(exposure: Exposure) -> dict[str, tuple[int, int]]:
    return {name: (one.follow, one.values) for name, one in exposure.fields.items()}


def test_of_two_labels_every_answer_follows_from_its_target_and_whether_it_was_right() -> None:
    found = exposed(RIGHT, samples("abab" * 50, "aabb" * 50), "predictions")
    assert counts(found) == {"predictions": (200, 200)}
    assert found.bits == 0
    assert found.is_guessable


def test_of_three_labels_only_right_answers_follow_and_wrong_ones_are_a_bit_each() -> None:
    found = exposed(RIGHT, samples("abc" * 40, "abb" * 40), "predictions")
    assert counts(found) == {"predictions": (80, 120)}
    assert found.bits == pytest.approx(40)
    assert found.is_guessable
    assert not exposed(RIGHT, samples("abc" * 100, "abb" * 100), "predictions").is_guessable


def test_where_both_are_withheld_what_is_alike_is_unknown_once() -> None:
    found = exposed(RIGHT, samples("abcd", "abcd"), "predictions", "targets")
    assert counts(found) == {"predictions": (0, 4), "targets": (0, 4)}
    assert found.bits == pytest.approx(8)


def test_where_each_class_has_a_metric_everything_follows() -> None:
    choice = Choice(frozenset({"predictions", "targets"}))
    given = samples("abc" * 40, "bca" * 40)
    found = exposure_of([of_class("a"), of_class("b")], choice, [given], [given])
    assert counts(found) == {"predictions": (120, 120), "targets": (120, 120)}
    assert found.bits == 0


def test_ranks_tell_every_label_to_whoever_knows_them() -> None:
    metric = Metric("f1", "f1@1", parameters={"average": "macro"})
    found = exposed(metric, samples("abc" * 40, "bca" * 40), "predictions", "targets")
    assert counts(found)["targets"] == (120, 120)


def test_a_sample_that_is_withheld_whole_is_counted_too() -> None:
    found = exposed(RIGHT, samples("ab" * 9, "ab" * 9), ids=("item-003", "item-004"))
    assert counts(found) == {"predictions": (0, 2), "targets": (0, 2)}
    assert found.bits == pytest.approx(2)


def test_a_score_that_is_averaged_stays_and_others_do_not() -> None:
    given = [
        Sample(f"{number:03}", scores={"loss": number / 7, "other": number / 3}, replicate=0, seed=0)
        for number in range(128)
    ]
    found = exposed(Metric("loss", "mean@1", of="scores.loss"), given, "predictions")
    assert counts(found) == {"scores": (128, 256)}
    assert found.bits == pytest.approx(128 * 7)


def test_a_target_is_unknown_once_though_every_replicate_has_it() -> None:
    given = samples("abcd" * 8, "aaaa" * 8)
    given += [Sample(one.id, target=one.target, prediction="b", replicate=1, seed=1) for one in given]
    found = exposed(RIGHT, given, "targets")
    assert counts(found)["targets"][1] == 64
    assert found.bits < 64


def test_what_is_said_names_how_many_follow_and_how_many_tries_the_rest_takes() -> None:
    follow, tries = exposed(RIGHT, samples("abc" * 3, "abb" * 3), "predictions").sentences()
    assert follow.startswith("6 of 9 withheld predictions follow from what stays")
    assert "in 2^3 tries at most" in tries
    assert list(exposed(RIGHT, samples("ab", "ab")).sentences()) == []
