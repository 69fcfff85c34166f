"""Numbers made of contributions are those made of the samples, whatever the metric."""

import random
from typing import Any

import pytest

from launcher.errors import CheckFailedError
from launcher.metrics.contributions import (
    Contribution,
    Form,
    contributors,
    evaluate_contributions,
    read_forms,
)
from launcher.metrics.definitions import definitions
from launcher.metrics.evaluation import evaluate
from launcher.spec.blueprint import Interval, Metric
from launcher.spec.sample import Sample

SEEDS = (5, 6, 7)


def metric(definition: str, method: str | None = None, **more: Any) -> Metric:
    parameters = more.pop("parameters", {})
    if method == "bootstrap":
        parameters = {**parameters, "resamples": 200}
    return Metric("m", definition, ci=Interval(method), parameters=parameters, **more)


LABELLED = [
    metric("accuracy@1"),
    metric("accuracy@1", "bootstrap"),
    metric("accuracy@1", where={"size": "large"}),
    *(
        metric(f"{name}@1", method, parameters=parameters)
        for name in ("precision", "recall", "f1")
        for method, parameters in (
            ("wilson", {"class": "b"}),
            ("bootstrap", {"class": "b"}),
            ("bootstrap", {"class": "no such label"}),
            ("bootstrap", {"average": "macro"}),
            ("bootstrap", {"average": "micro"}),
            ("bootstrap", {"average": "weighted"}),
        )
    ),
    metric("mean@1", of="scores.loss"),
    metric("mean@1", "bootstrap", of="scores.loss", where={"size": "large"}),
]
NUMBERED = [
    metric("mae@1"),
    metric("mae@1", "bootstrap"),
    metric("rmse@1"),
    metric("lre@1"),
    metric("lre@1", "bootstrap", parameters={"digits": 6}),
]


def labelled(chance: random.Random, identifier: str, replicate: int) -> Sample:
    failed = chance.random() < 0.1
    return Sample(
        identifier,
        prediction=None if failed else chance.choice(["a", "b", "c", 1, 1.0, True]),
        target=chance.choice(["a", "b", "c", 1]),
        scores={"loss": chance.uniform(-1, 3)},
        groups={"size": chance.choice(["large", "small"])} if chance.random() < 0.8 else None,
        weight=chance.choice([None, None, 0.5, 3]),
        error="broke" if failed and chance.random() < 0.5 else None,
        epoch=chance.choice([0, 1]),
        replicate=replicate,
        seed=SEEDS[replicate],
    )


def numbered(chance: random.Random, identifier: str, replicate: int) -> Sample:
    target = chance.choice([0, 1, 2.5, -7])
    return Sample(
        identifier,
        prediction=target + chance.choice([0, 0.1, -0.25, 1e-7]),
        target=target,
        weight=chance.choice([None, 2.5]),
        replicate=replicate,
        seed=SEEDS[replicate],
    )


def contributed(metrics: list[Metric], samples: list[Sample]) -> tuple[list[Form], list[Contribution]]:
    ways = contributors(metrics, samples)
    found = [
        Contribution(
            sample.replicate or 0,
            f"opaque {sample.task} {sample.id}",
            sample.weight,
            tuple(way.of(sample) for way in ways),
        )
        for sample in samples
    ]
    return [way.form for way in ways], found


@pytest.mark.parametrize(("metrics", "make"), [(LABELLED, labelled), (NUMBERED, numbered)])
@pytest.mark.parametrize("seed", range(3))
def test_contributions_give_the_numbers_that_the_samples_give(metrics: Any, make: Any, seed: int) -> None:
    chance = random.Random(seed)
    samples = [make(chance, f"item-{number}", replicate) for replicate in range(3) for number in range(40)]
    forms, found = contributed(metrics, samples)
    chance.shuffle(found)
    assert evaluate_contributions(metrics, forms, found, 3) == evaluate(metrics, samples, SEEDS)
    assert list(read_forms(metrics, [form.as_json() for form in forms])) == forms


def test_every_definition_has_contributions() -> None:
    assert {one.definition for one in (*LABELLED, *NUMBERED)} == {one.name for one in definitions()}


def test_accuracy_by_wilson_gives_no_more_away_than_right_or_wrong() -> None:
    samples = [Sample("1", prediction="secret", target="hidden", replicate=0, seed=5)]
    (form,), (one,) = contributed([metric("accuracy@1")], samples)
    assert (form, one.cells) == (Form("right"), ([False, False],))


@pytest.mark.parametrize(
    "cell", [[], [0, True], [False], [False, 1], [False, True, True], "x", {"failed": False}, [None, True]]
)
def test_a_contribution_that_no_sample_makes_is_refused(cell: Any) -> None:
    with pytest.raises(CheckFailedError):
        evaluate_contributions(
            [metric("accuracy@1")], [Form("right")], [Contribution(0, "i", None, (cell,))], 1
        )


@pytest.mark.parametrize(
    "forms", [[], [{"form": "ranks"}], [{"form": "right", "rank": 1}], [{}], [{"form": "right"}] * 2]
)
def test_forms_of_other_metrics_are_refused(forms: Any) -> None:
    with pytest.raises(CheckFailedError):
        read_forms([metric("accuracy@1")], forms)
