"""Numbers made of contributions are those made of the samples, whatever the metric."""

import random
from typing import Any

import pytest

from launcher.errors import CheckFailedError
from launcher.metrics.contributed import Contributed
from launcher.metrics.contributions import Contributor, Form, FoundLabels, read_forms
from launcher.metrics.definitions import definitions
from launcher.metrics.evaluation import evaluate, sample_counts
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


def ways_of(metrics: list[Metric], samples: list[Sample]) -> tuple[Contributor, ...]:
    found = FoundLabels(metrics)
    for sample in samples:
        found.add(sample)
    return found.ways()


def cells_of(sample: Sample, **more: Any) -> dict[str, Any]:
    item = f"opaque {sample.task} {sample.id}"
    own = {"replicate": sample.replicate, "seed": sample.seed, "item": item, "weight": sample.weight}
    return {**own, "failed": sample.is_failed, **more}


@pytest.mark.parametrize(("metrics", "make"), [(LABELLED, labelled), (NUMBERED, numbered)])
@pytest.mark.parametrize("seed", range(3))
def test_contributions_give_the_numbers_that_the_samples_give(metrics: Any, make: Any, seed: int) -> None:
    chance = random.Random(seed)
    samples = [make(chance, f"item-{number}", replicate) for replicate in range(3) for number in range(40)]
    ways = ways_of(metrics, samples)
    forms = [way.form for way in ways]
    contributed = Contributed(metrics, forms, SEEDS)
    for sample in chance.sample(samples, len(samples)):
        contributed.add(cells_of(sample), [way.of(sample) for way in ways])
    assert contributed.evaluate() == (evaluate(metrics, samples, SEEDS), sample_counts(samples))
    assert list(read_forms(metrics, [form.as_json() for form in forms])) == forms


def test_every_definition_has_contributions() -> None:
    assert {one.definition for one in (*LABELLED, *NUMBERED)} == {one.name for one in definitions()}


def test_accuracy_by_wilson_gives_no_more_away_than_right_or_wrong() -> None:
    samples = [Sample("1", prediction="secret", target="hidden", replicate=0, seed=5)]
    (way,) = ways_of([metric("accuracy@1")], samples)
    assert (way.form, way.of(samples[0])) == (Form("right"), [False, False])


ONE = Sample("1", replicate=0, seed=5)


def evaluated(of: Metric, form: Form, cell: Any, **more: Any) -> Any:
    contributed = Contributed([of], [form], SEEDS[:1])
    contributed.add(cells_of(ONE, **more), [cell])
    return contributed.evaluate()


@pytest.mark.parametrize(
    "cell",
    [[], [0, True], [False], [False, 1], [False, True, True], "x", {"failed": False}, [None, True], None],
)
def test_a_contribution_that_no_sample_makes_is_refused(cell: Any) -> None:
    with pytest.raises(CheckFailedError):
        evaluated(metric("accuracy@1"), Form("right"), cell)


def test_only_a_metric_over_a_part_has_samples_that_contribute_nothing() -> None:
    covered = metric("accuracy@1", where={"size": "large"})
    ((result,), counts) = evaluated(covered, Form("right"), None)
    assert (result.n, counts.n) == (0, 1)


@pytest.mark.parametrize(
    ("form", "cell"),
    [(Form("right"), [True, True]), (Form("class"), [True, False, True]), (Form("ranks"), [True, 1, 1])],
)
def test_a_failed_sample_that_answered_is_refused(form: Form, cell: Any) -> None:
    of = metric("f1@1", "wilson", parameters={"class": "b"})
    with pytest.raises(CheckFailedError, match="a failed sample contributed an answer"):
        evaluated(of, form, cell)


@pytest.mark.parametrize(
    "odd",
    [
        {"replicate": 1},
        {"replicate": None},
        {"replicate": False},
        {"seed": 6},
        {"seed": 5.0},
        {"item": 3},
        {"weight": 0},
        {"weight": True},
        {"failed": 1},
    ],
)
def test_a_sample_of_no_run_is_refused(odd: Any) -> None:
    with pytest.raises(CheckFailedError):
        evaluated(metric("accuracy@1"), Form("right"), [False, True], **odd)


@pytest.mark.parametrize(
    "forms", [[], [{"form": "ranks"}], [{"form": "right", "rank": 1}], [{}], [{"form": "right"}] * 2]
)
def test_forms_of_other_metrics_are_refused(forms: Any) -> None:
    with pytest.raises(CheckFailedError):
        read_forms([metric("accuracy@1")], forms)


def test_metrics_that_are_over_the_same_at_first_part_where_a_sample_contributed_something_else() -> None:
    metrics = [metric("accuracy@1"), metric("accuracy@1"), metric("accuracy@1")]
    samples = [Sample(f"item-{number}", replicate=0, seed=5) for number in range(4)]
    contributed = Contributed(metrics, [Form("right")] * 3, SEEDS[:1])
    for number, sample in enumerate(samples):
        right = [False, number > 0]
        contributed.add(cells_of(sample), [right, [False, number != 2], right])
    results, _ = contributed.evaluate()
    assert [result.value for result in results] == [0.75, 0.75, 0.75]
    contributed.add(cells_of(Sample("item-4", replicate=0, seed=5)), [right, [True, False], right])
    results, _ = contributed.evaluate()
    assert [(result.value, result.errors) for result in results] == [(0.8, 0), (0.6, 1), (0.8, 0)]
