"""The work of metrics is counted alike for few and for many samples, and refused before it is done."""

from collections.abc import Sequence

import pytest

from launcher.errors import MalformedError
from launcher.metrics import compact, work
from launcher.metrics.evaluation import evaluate
from launcher.metrics.matching import Matcher, matches
from launcher.metrics.measuring import blocks_of
from launcher.metrics.streaming import evaluate_blocks
from launcher.metrics.work import Meter
from launcher.spec.blueprint import Interval, Metric
from launcher.spec.sample import Sample
from launcher.spec.work import MAX_WORK, place_beyond

BOOTSTRAP = {"resamples": 200}
SEEDS = (1, 2)
METRICS = (
    Metric("accuracy", "accuracy@1"),
    Metric("resampled", "accuracy@1", ci=Interval("bootstrap"), parameters=BOOTSTRAP),
    Metric("f1", "f1@1", parameters={"average": "macro", **BOOTSTRAP}),
    Metric("recall", "recall@1", parameters={"class": "a"}, where={"g": 1, "h": "x"}),
    Metric("recall again", "recall@1", parameters={"class": "b"}, where={"h": "x", "g": 1.0}),
    Metric("mean", "mean@1", of="scores.s", ci=Interval("bootstrap"), parameters={"resamples": 100}),
    Metric("nothing", "f1@1", parameters={"average": "macro", **BOOTSTRAP}, where={"g": 2}),
)
SAMPLES = tuple(
    Sample(
        f"{item:02}",
        prediction="ab"[item % 2],
        target="aab"[item % 3],
        scores={"s": item / 10},
        groups={"g": 1, "h": "xy"[item % 2]},
        replicate=replicate,
        seed=seed,
    )
    for replicate, seed in enumerate(SEEDS)
    for item in range(12)
)
# Samples of seven metrics; two `where`; draws of labels and of scores; what each resample takes.
LOOKED = 80 * (4 * 24 + 2 * 12)
MATCHED = 10 * 24 * (2 + 1)
DRAWN = 200 * 12 + 100 * 12
# Four distinct pairs of labels and twelve numbers, each in two seeds.
RESAMPLED = 200 * (500 + 2 * 4 + 2 * 2) + 200 * (500 + 2 * 4 + 2 * 3 * 2) + 100 * (500 + 2 * 12 + 2 * 2)
STEPS = LOOKED + MATCHED + DRAWN + RESAMPLED


@pytest.fixture(params=["whole", "streamed", "in batches", "compact"])
def measured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> object:
    """Compute the metrics in each of the ways that there are."""
    if request.param == "whole":
        return lambda metrics: evaluate(metrics, SAMPLES, SEEDS)
    if request.param == "in batches":
        monkeypatch.setattr("launcher.metrics.streaming._MOST_BYTES", 1)
    if request.param == "compact":
        monkeypatch.setattr(compact, "_FEW_ROWS", 0)
    return lambda metrics: evaluate_blocks(metrics, blocks_of(SAMPLES), SEEDS, len(SAMPLES)).metrics


def test_every_way_to_compute_counts_the_documented_steps(
    measured: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(measured)
    monkeypatch.setattr(work, "MAX_WORK", STEPS)
    assert len(measured(METRICS)) == len(METRICS)
    monkeypatch.setattr(work, "MAX_WORK", STEPS - 1)
    with pytest.raises(MalformedError, match="too much work") as caught:
        measured(METRICS)
    assert caught.value.code == "bad-samples"


def test_the_evaluation_that_must_pass_passes() -> None:
    meter = Meter()
    meter.look(1_000_000, 20)
    meter.draw(1000, 1_000_000)
    for _ in range(20):
        meter.resample(1000, rows=20 * 21, columns=3 * 20)
    assert meter.steps == 2_619_600_000 <= MAX_WORK


def test_metrics_that_no_samples_are_few_enough_for_are_found() -> None:
    assert place_beyond([100_000] * 59, 1) is None
    assert place_beyond([100_000] * 60, 1) == 59
    assert place_beyond([100_000] * 60, 1000) == 8
    assert place_beyond([0] * 1000, 1000) is None


@pytest.mark.parametrize("count", [3, 300])
def test_groups_are_matched_as_labels(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.metrics.matching._MOST_KNOWN", 4)
    wheres = [{"g": "1"}, {"g": "true"}, {"g": '"1'}, {"g": "1", "h": '"x'}, {"i": "1.5"}]
    values: Sequence[object] = [1, 1.0, True, "1", None, 2]
    matcher = Matcher(wheres)
    for number in range(count):
        groups = {"g": values[number % 6], "h": "xy"[number % 2], "n": number}
        found = Sample("x", groups={name: value for name, value in groups.items() if value is not None})  # type: ignore[misc]
        assert matcher.matching(found) == tuple(
            place for place, where in enumerate(wheres) if matches(found, where)
        )
    assert matcher.matching(Sample("x")) == ()
