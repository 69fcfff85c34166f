"""A stream of samples gives the very results that the same samples give at once."""

import sys
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.errors import MalformedError
from launcher.metrics import compact, label_codes
from launcher.metrics.confusion import confusion
from launcher.metrics.evaluation import evaluate, sample_counts
from launcher.metrics.streaming import Evaluated, evaluate_blocks
from launcher.spec import sample_lines
from launcher.spec.blueprint import Interval, Metric
from launcher.spec.sample import Sample, bundle_samples

LABELS = st.one_of(
    st.sampled_from(["a", "b", "", "🙂", "﹅"]), st.sampled_from([0, 1, True, 1.5, 1e20, [1], [True]])
)
NUMBERS = st.one_of(st.sampled_from([0, 1, 0.5, -2.25]), st.floats(-1e9, 1e9).map(lambda value: value + 0.0))
BOOTSTRAP = {"resamples": 100}
METRICS = (
    Metric("accuracy", "accuracy@1"),
    Metric("again", "accuracy@1", ci=Interval("bootstrap"), parameters=BOOTSTRAP),
    Metric("some", "accuracy@1", where={"g": 1}),
    Metric("recall", "recall@1", parameters={"class": "a"}),
    Metric("f1 of some", "f1@1", parameters={"class": 1}, where={"g": 1}),
    Metric("f1", "f1@1", parameters={"average": "macro", **BOOTSTRAP}),
    Metric("precision", "precision@1", parameters={"average": "weighted", **BOOTSTRAP}),
    Metric("mean", "mean@1", of="scores.s", primary=True),
    Metric("mean, resampled", "mean@1", of="scores.s", ci=Interval("bootstrap"), parameters=BOOTSTRAP),
    Metric("mean of some", "mean@1", of="scores.s", where={"g": 1}),
)


@st.composite
def replicates(draw: st.DrawFn) -> list[list[Sample]]:
    """Draw what some replicates left: the same items, in one or several epochs, with or without weights."""
    keys = draw(
        st.lists(
            st.tuples(st.sampled_from("xyzuvw"), st.none() | st.integers(0, 2), st.none() | st.just("t")),
            min_size=1,
            max_size=12,
            unique=True,
        )
    )
    weights = draw(st.sampled_from([st.none(), st.none() | st.sampled_from([1, 0.5, 3, 1e-300, 5e-324])]))
    return [
        [
            Sample(
                key,
                prediction=draw(st.none() | LABELS),
                target=draw(LABELS),
                scores={"s": draw(NUMBERS)},
                groups=draw(st.none() | st.sampled_from([{"g": 1}, {"g": True}, {"g": 2}])),
                weight=draw(weights),
                error=draw(st.none() | st.just("broken")) if draw(st.booleans()) else None,
                epoch=epoch,
                task=task,
            )
            for key, epoch, task in keys
        ]
        for _ in range(draw(st.integers(1, 3)))
    ]


def streamed(
    metrics: Sequence[Metric], samples: Sequence[Sample], seeds: Sequence[int], size: int
) -> Evaluated:
    def blocks() -> Iterator[Sequence[Sample]]:
        for start in range(0, len(samples), size):
            yield samples[start : start + size]

    return evaluate_blocks(metrics, blocks, seeds, len(samples))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(replicates(), st.integers(1, 9), st.booleans())
def test_a_stream_gives_the_results_of_the_whole(left: list[list[Sample]], size: int, few: bool) -> None:
    seeds = list(range(5, 5 + len(left)))
    samples = bundle_samples(left, seeds).samples
    with pytest.MonkeyPatch.context() as patch:
        # Without room for an ordinary tally, every result comes from the compact one.
        patch.setattr(compact, "_FEW_ROWS", 1 << 16 if few else 0)
        patch.setattr("launcher.metrics.streaming._MOST_BYTES", len(samples) * 20)
        found = streamed(METRICS, samples, seeds, size)
    assert found.metrics == evaluate(METRICS, samples, seeds)
    assert found.counts == sample_counts(samples)
    assert found.confusion == confusion(samples)
    assert repr(found) == repr(Evaluated(evaluate(METRICS, samples, seeds), found.counts, confusion(samples)))


TEXTS = st.sampled_from(["a", "b", "", "🙂"])
ALIKE = st.sampled_from(
    [
        (METRICS[:2] + METRICS[3:4], {"prediction": TEXTS, "target": TEXTS}),
        (METRICS[7:9], {"scores": st.fixed_dictionaries({"s": NUMBERS, "t u": NUMBERS})}),
        (METRICS[:1] + METRICS[7:8], {"prediction": TEXTS, "target": TEXTS, "scores": st.just({"s": 0.5})}),
    ]
).flatmap(
    lambda kind: st.tuples(
        st.just(kind[0]),
        st.lists(st.lists(st.fixed_dictionaries(kind[1]), min_size=4, max_size=4), min_size=1, max_size=3),
    )
)


@settings(max_examples=100, deadline=None)
@given(ALIKE, st.integers(60, 300))
def test_lines_that_are_alike_give_the_results_of_the_samples(
    drawn: tuple[Sequence[Metric], list[list[dict[str, Any]]]], block: int
) -> None:
    metrics, tables = drawn
    left = [[Sample(f"{at}", **fields) for at, fields in enumerate(each)] for each in tables]
    seeds = list(range(5, 5 + len(left)))
    bundled = bundle_samples(left, seeds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_lines, "_BLOCK", block)
        found = evaluate_blocks(
            metrics, lambda: sample_lines.sample_blocks([bundled.data]), seeds, len(bundled.samples)
        )
    expected = evaluate(metrics, bundled.samples, seeds)
    counts, table = sample_counts(bundled.samples), confusion(bundled.samples)
    assert repr(found) == repr(Evaluated(expected, counts, table))


def test_right_answers_are_counted_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = (METRICS[0], METRICS[2], METRICS[3], METRICS[4])
    samples = [
        Sample(f"{at}", prediction, target, groups={"g": at % 2}, replicate=0, seed=0)
        for at, (prediction, target) in enumerate(product(("a", "b", None, 1), ("a", "b", 1)))
    ]
    expected = evaluate(metrics, samples, [0])
    monkeypatch.setitem(sys.modules, "numpy", None)
    assert repr(streamed(metrics, samples, [0], 5).metrics) == repr(expected)


@pytest.mark.parametrize("few", [True, False])
def test_amounts_cut_by_64_bits_are_resampled(few: bool) -> None:
    """Half of 2^64 is in no signed 64-bit number, and that of the other column is 0."""
    numbers = {"v": 0, "w": 0, "x": 572662307.0, "y": 0, "z": 1e-09}
    weights = {"x": 3, "z": 0.5}
    left = [
        Sample(key, "a", "a", scores={"s": number}, weight=weights.get(key))
        for key, number in numbers.items()
    ]
    samples = bundle_samples([left], [5]).samples
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compact, "_FEW_ROWS", 1 << 16 if few else 0)
        patch.setattr("launcher.metrics.streaming._MOST_BYTES", len(samples) * 20)
        found = streamed((METRICS[8],), samples, [5], 1)
    assert found.metrics == evaluate((METRICS[8],), samples, [5])


@pytest.mark.parametrize("error", [None, "broken"])
@pytest.mark.parametrize("prediction", [None, "a"])
def test_failed_items_are_counted_without_a_look_at_each(prediction: str | None, error: str | None) -> None:
    tables: tuple[dict[str, float] | None, ...] = ({"s": 1}, {}, None, {"s": 0, "t": 2})
    samples = [
        Sample(f"{at}", prediction, scores=scores, replicate=0, seed=0) for at, scores in enumerate(tables)
    ]
    samples.append(Sample("5", "b", error=error, replicate=0, seed=0))
    for chosen in (samples, samples[:4]):
        assert streamed((), chosen, [0], 9).counts == sample_counts(chosen)


def test_replicates_that_answered_other_items_are_refused() -> None:
    samples = [Sample(key, "a", "a", replicate=0, seed=0) for key in "xy"]
    for answered in ("x", "xz", "xyz"):
        uneven = [*samples, *(Sample(key, "a", "a", replicate=1, seed=1) for key in answered)]
        with pytest.raises(MalformedError, match="other items"):
            streamed(METRICS[:1], uneven, [0, 1], 2)
    with pytest.raises(MalformedError, match="other items"):
        streamed(METRICS[:1], samples, [0, 1], 2)


def test_a_sample_of_another_seed_is_refused() -> None:
    with pytest.raises(MalformedError, match="is of replicate 0, seed 1"):
        streamed(METRICS[:1], [Sample("x", "a", "a", replicate=0, seed=1)], [0], 2)


def test_too_many_labels_are_refused_only_where_they_must_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_codes, "MAX_LABELS", 20)
    samples = [Sample(f"{n:03}", f"p{n}", f"p{n % 40}", replicate=0, seed=0) for n in range(100)]
    metrics = (METRICS[0], METRICS[3])
    assert streamed(metrics, samples, [0], 7) == Evaluated(
        evaluate(metrics, samples, [0]), sample_counts(samples), confusion(samples)
    )
    with pytest.raises(MalformedError, match="too many distinct labels"):
        streamed((METRICS[5],), samples, [0], 7)
