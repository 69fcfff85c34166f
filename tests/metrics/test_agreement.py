import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from launcher.metrics.agreement import Agreement, Evidence, compare_runs, compare_samples
from launcher.metrics.evaluation import evaluate
from launcher.spec.blueprint import Metric, Tolerance
from launcher.spec.sample import Sample

MEAN = Metric("mean", "mean@1", of="scores.s")
ACCURACY = Metric("accuracy", "accuracy@1")


def run(metric: Metric, *replicates: list[float]) -> Evidence:
    """Return a run whose samples predict "yes" where the score is positive."""
    samples = [
        Sample(str(i), "yes" if score > 0 else "no", "yes", {"s": score}, replicate=r, seed=r)
        for r, scores in enumerate(replicates)
        for i, score in enumerate(scores)
    ]
    return Evidence(samples, evaluate([metric], samples, range(len(replicates))))


def compared(metric: Metric, before: Evidence, after: Evidence, determinism: str = "metric") -> Agreement:
    return compare_runs(before, after, [metric], determinism)  # type: ignore[arg-type]


@pytest.mark.parametrize("determinism", ["bitwise", "sample", "metric"])
def test_equal_samples_are_identical(determinism):
    agreement = compared(MEAN, run(MEAN, [1, 2]), run(MEAN, [1, 2]), determinism)
    assert agreement.verdict == "identical"
    assert agreement.samples.as_json() == {"n": 2, "equal": 2, "agreeing": 2, "unpaired": 0}
    assert agreement.metrics[0].as_json() == {
        "name": "mean",
        "original": 1.5,
        "reproduced": 1.5,
        "verdict": "identical",
        "reason": "every sample and the result are equal",
    }


def test_bitwise_allows_no_difference_at_all():
    loose = replace(MEAN, reproduce=Tolerance(abs=10))
    assert compared(loose, run(MEAN, [1, 2]), run(MEAN, [1, 2.5]), "bitwise").verdict == "diverged"


def test_sample_determinism_asks_for_every_prediction():
    loose = replace(MEAN, reproduce=Tolerance(abs=10))
    before = run(MEAN, [1, 2, 3, 4])
    assert compared(loose, before, run(MEAN, [1, 2, 3, -4]), "sample").verdict == "diverged"
    assert compared(loose, before, run(MEAN, [1, 2, 3, 5]), "sample").verdict == "equivalent"
    agreeing = replace(MEAN, reproduce=Tolerance(abs=10, sample_agreement=0.75))
    assert compared(agreeing, before, run(MEAN, [1, 2, 3, -4]), "sample").verdict == "equivalent"
    assert compared(agreeing, before, run(MEAN, [1, 2, -3, -4]), "metric").verdict == "diverged"


@pytest.mark.parametrize(("tolerance", "verdict"), [(0.25, "equivalent"), (0.2, "diverged")])
def test_a_tolerance_decides_and_is_kept_when_met_exactly(tolerance, verdict):
    metric = replace(MEAN, reproduce=Tolerance(abs=tolerance))
    assert compared(metric, run(MEAN, [1, 2]), run(MEAN, [1, 2.5])).verdict == verdict


def test_without_tolerance_and_replicates_a_difference_is_inconclusive():
    agreement = compared(MEAN, run(MEAN, [1, 2]), run(MEAN, [1, 2.5]))
    assert agreement.verdict == "inconclusive"
    assert "no tolerance and no replicates" in agreement.metrics[0].reason


def test_equal_values_from_other_samples_are_equivalent():
    assert compared(ACCURACY, run(ACCURACY, [1, 2]), run(ACCURACY, [1, 3])).verdict == "equivalent"


def test_the_seeds_own_noise_is_the_tolerance_where_none_is_declared():
    before = run(MEAN, [1.0, 1.0], [1.2, 1.2], [0.8, 0.8])
    near, far = run(MEAN, [1.1, 1.1], [1.3, 1.3], [0.9, 0.9]), run(MEAN, [5, 5], [5.2, 5.2], [4.8, 4.8])
    assert compared(MEAN, before, near).verdict == "equivalent"
    assert compared(MEAN, before, far).verdict == "diverged"
    steady = run(MEAN, [1, 2], [1, 2])
    assert compared(MEAN, steady, run(MEAN, [1, 2.5], [1, 2.5])).verdict == "diverged"


def test_runs_over_other_items_diverge():
    assert compared(ACCURACY, run(ACCURACY, [1, 2]), run(ACCURACY, [1, 2, -3])).verdict == "diverged"


def test_no_samples_and_no_value_are_inconclusive():
    nothing = run(MEAN)
    assert compared(
        MEAN, Evidence([], evaluate([MEAN], [], [0])), Evidence([], evaluate([MEAN], [], [0]))
    ).verdict == ("inconclusive")
    assert nothing.samples == []
    filtered = replace(ACCURACY, where={"model": "lda"})
    assert compared(filtered, run(filtered, [1, 2]), run(filtered, [1, 3])).verdict == "inconclusive"


def test_predictions_agree_as_labels_and_failures_agree_with_failures():
    def evidence(*samples: Sample) -> Evidence:
        samples = tuple(replace(sample, target=1, replicate=0, seed=0) for sample in samples)
        return Evidence(samples, evaluate([ACCURACY], samples, [0]))

    before = evidence(Sample("a", 1), Sample("b", 1), Sample("c", error="x"), Sample("d", 1), Sample("e"))
    after = evidence(
        Sample("a", 1.0), Sample("b", True), Sample("c", error="y"), Sample("d", 1, error="z"), Sample("e")
    )
    samples = compared(ACCURACY, before, after).samples
    assert (samples.n, samples.equal, samples.agreeing) == (5, 2, 3)


def test_the_whole_is_as_bad_as_its_worst_metric():
    metrics = [ACCURACY, replace(MEAN, name="strict", reproduce=Tolerance(abs=0.1)), MEAN]

    def evidence(*scores: float) -> Evidence:
        samples = run(MEAN, list(scores)).samples
        return Evidence(samples, evaluate(metrics, samples, [0]))

    agreement = compare_runs(evidence(1, 2), evidence(1, 3), metrics, "metric")
    assert [metric.verdict for metric in agreement.metrics] == ["equivalent", "diverged", "inconclusive"]
    assert agreement.verdict == "diverged"


def test_a_class_may_be_predicted_more_often_within_the_tolerance():
    metric = Metric("p", "precision@1", parameters={"class": "yes"}, reproduce=Tolerance(abs=0.1))
    before, after = run(metric, [1, 2, -3]), run(metric, [1, 2, 3])
    assert before.metrics[0].n != after.metrics[0].n
    assert compared(metric, before, after).verdict == "equivalent"


def test_a_share_of_agreeing_samples_met_exactly_is_enough():
    metric = replace(ACCURACY, reproduce=Tolerance(abs=1, sample_agreement=0.56))
    before, after = run(metric, [1.0] * 100), run(metric, [1.0] * 56 + [-1.0] * 44)
    assert compared(metric, before, after).verdict == "equivalent"


PLACES = st.dictionaries(
    st.tuples(st.integers(0, 2), st.sampled_from("abc")), st.sampled_from([1, 1.0, True, 2])
)


@given(PLACES, PLACES, st.integers(0, 3))
def test_two_runs_are_merged_as_if_they_were_held_whole(before, after, withheld):
    def samples(found) -> Iterator[Sample]:
        return (Sample(id, label, replicate=replicate) for (replicate, id), label in sorted(found.items()))

    both, lost, gained = (
        before.keys() & after.keys(),
        before.keys() - after.keys(),
        after.keys() - before.keys(),
    )
    unpaired = len(lost) if len(gained) == len(lost) + withheld else len(lost) + len(gained)
    # 1 and 1.0 are the same JSON; True is another value.
    equal = sum((before[at], before[at] is True) == (after[at], after[at] is True) for at in both)
    agreement = compare_samples(samples(before), samples(after), withheld)
    assert (agreement.n, agreement.equal, agreement.unpaired) == (len(both) + unpaired, equal, unpaired)


def test_two_runs_of_many_samples_are_compared_in_little_memory():
    def samples() -> Iterator[Sample]:
        return (Sample(f"{item:06}", "a", "b", replicate=0, seed=1) for item in range(30_000))

    tracemalloc.start()
    assert compare_samples(samples(), samples()).equal == 30_000
    assert tracemalloc.get_traced_memory()[1] < 1 << 18
    tracemalloc.stop()
