import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from launcher.errors import MalformedError
from launcher.metrics.confusion import confusion
from launcher.metrics.definitions import definitions, problems
from launcher.metrics.evaluation import evaluate, sample_counts
from launcher.metrics.judgement import combine_verdicts
from launcher.spec.blueprint import Interval, Metric, Published, Threshold
from launcher.spec.result import MetricResult
from launcher.spec.sample import Sample

# Rows are the targets of https://scikit-learn.org/stable/auto_examples/classification/plot_digits_classification.html
DIGITS = [
    [87, 0, 0, 0, 1, 0, 0, 0, 0, 0],
    [0, 88, 1, 0, 0, 0, 0, 0, 1, 1],
    [0, 0, 85, 1, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 79, 0, 3, 0, 4, 5, 0],
    [0, 0, 0, 0, 88, 0, 0, 0, 0, 4],
    [0, 0, 0, 0, 0, 88, 1, 0, 0, 2],
    [0, 1, 0, 0, 0, 0, 90, 0, 0, 0],
    [0, 0, 0, 0, 0, 1, 0, 88, 0, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 88, 0],
    [0, 0, 0, 1, 0, 1, 0, 0, 0, 90],
]
REPORT = {
    "precision": [1.00, 0.99, 0.99, 0.98, 0.99, 0.95, 0.99, 0.96, 0.94, 0.93],
    "recall": [0.99, 0.97, 0.99, 0.87, 0.96, 0.97, 0.99, 0.99, 1.00, 0.98],
    "f1": [0.99, 0.98, 0.99, 0.92, 0.97, 0.96, 0.99, 0.97, 0.97, 0.95],
}


def digits() -> list[Sample]:
    pairs = [(t, p) for t, row in enumerate(DIGITS) for p, count in enumerate(row) for _ in range(count)]
    return [Sample(str(i), p, t, replicate=0, seed=0) for i, (t, p) in enumerate(pairs)]


def labelled(*pairs: tuple[object, object], **fields: object) -> list[Sample]:
    return [
        Sample(str(i), p, t, replicate=0, seed=0, **fields)  # type: ignore[arg-type]
        for i, (t, p) in enumerate(pairs)
    ]


def scored(*values: float) -> list[Sample]:
    return [Sample(str(i), scores={"s": v}, replicate=0, seed=0) for i, v in enumerate(values)]


def one(metric: Metric, samples: list[Sample], seeds: tuple[int, ...] = (0,)) -> MetricResult:
    return evaluate([metric], samples, seeds)[0]


def accuracy(**changes: object) -> Metric:
    return Metric("accuracy", "accuracy@1", **changes)  # type: ignore[arg-type]


def test_digits_come_out_at_871_of_899_with_wilsons_interval():
    result = one(accuracy(published=Published(0.97, 2)), digits())
    assert (result.value, result.n, result.published_met) == (871 / 899, 899, True)
    assert result.ci is not None and result.ci.method == "wilson"
    assert [round(end, 4) for end in (result.ci.lower, result.ci.upper)] == [0.9554, 0.9784]


@pytest.mark.parametrize("score", REPORT)
@pytest.mark.parametrize("label", range(10))
def test_every_cell_of_the_published_digits_report_is_met(score, label):
    metric = Metric(
        "cell", f"{score}@1", parameters={"class": label}, published=Published(REPORT[score][label], 2)
    )
    result = one(metric, digits())
    assert result.published_met is True
    assert result.ci is not None and result.ci.lower <= result.value <= result.ci.upper
    if score == "recall":
        assert result.n == sum(DIGITS[label])


def test_the_digits_table_is_the_published_one():
    assert confusion(digits()) == {"labels": list(range(10)), "counts": DIGITS, "failed": [0] * 10}


# Reference values: scikit-learn 1.9.1 with zero_division=0.
@pytest.mark.parametrize(
    ("definition", "average", "expected"),
    [
        ("precision@1", "macro", 0.38888888888888884),
        ("precision@1", "micro", 0.6),
        ("precision@1", "weighted", 0.4666666666666666),
        ("recall@1", "macro", 0.5),
        ("recall@1", "micro", 0.6),
        ("recall@1", "weighted", 0.6),
        ("f1@1", "macro", 0.43333333333333335),
        ("f1@1", "micro", 0.6),
        ("f1@1", "weighted", 0.52),
    ],
)
def test_averages_are_scikit_learns(definition, average, expected):
    samples = labelled(("a", "a"), ("a", "a"), ("b", "a"), ("b", "b"), ("c", "b"))
    result = one(Metric("m", definition, parameters={"average": average}), samples)
    assert result.value == pytest.approx(expected, abs=1e-15)


def test_labels_are_compared_as_json_values():
    samples = labelled(
        (1, 1.0), (1, "1"), (1, True), ("1", "1"), ([1, "a"], [1.0, "a"]), (0.5, 0.5), (0, False)
    )
    result = one(accuracy(), samples)
    assert result.value == 4 / 7


def test_a_sample_with_an_error_or_without_prediction_is_wrong_and_counted():
    samples = [*labelled(("a", "a"), ("a", None)), Sample("x", "a", "a", error="boom", replicate=0, seed=0)]
    result = one(accuracy(), samples)
    assert (result.value, result.n, result.errors) == (1 / 3, 3, 2)
    recall = one(Metric("r", "recall@1", parameters={"class": "a"}), samples)
    precision = one(Metric("p", "precision@1", parameters={"class": "a"}), samples)
    assert (recall.value, precision.value) == (1 / 3, 1.0)
    assert confusion(samples) == {"labels": ["a"], "counts": [[1]], "failed": [2]}
    assert sample_counts(samples).errors == 2


@pytest.mark.parametrize(
    ("metric", "sample"),
    [
        (accuracy(), Sample("x", "a", replicate=0, seed=0)),
        (Metric("m", "mean@1", of="scores.s"), Sample("x", scores={"t": 1.0}, replicate=0, seed=0)),
        (Metric("m", "mean@1", of="scores.s"), Sample("x", error="boom", replicate=0, seed=0)),
        (Metric("m", "rmse@1"), Sample("x", "1", 1, replicate=0, seed=0)),
        (Metric("m", "mae@1"), Sample("x", 1, "1", replicate=0, seed=0)),
        (Metric("m", "mae@1"), Sample("x", 1, 1, error="boom", replicate=0, seed=0)),
        (Metric("m", "rmse@1"), Sample("x", 1e308, -1e308, replicate=0, seed=0)),
        (accuracy(), Sample("x", "a", "a", replicate=1, seed=0)),
        (accuracy(), Sample("x", "a", "a", replicate=0, seed=7)),
    ],
)
def test_a_sample_that_cannot_be_measured_is_refused_never_left_out(metric, sample):
    with pytest.raises(MalformedError) as caught:
        evaluate([metric], [sample], [0])
    assert caught.value.code == "bad-samples"


@pytest.mark.parametrize("large", [1e200, 1.7e308])
def test_ends_and_spreads_that_no_double_holds_are_not_said(large):
    metric = Metric("m", "mean@1", of="scores.s", ci=Interval("student", 0.9))
    result = one(metric, scored(large, -large, large))
    assert (result.ci, result.reason) == (None, "its ends are beyond what a double holds")
    samples = [
        Sample(name, replicate=replicate, seed=replicate, scores={"s": (-1) ** replicate * large / 2})
        for replicate in (0, 1)
        for name in "ab"
    ]
    assert one(metric, samples, (0, 1)).spread is None


def test_replicates_whose_mean_no_double_holds_are_refused():
    samples = [
        Sample(id=name, replicate=replicate, seed=replicate, scores={"s": 1.7e308})
        for replicate in (0, 1)
        for name in "ab"
    ]
    with pytest.raises(MalformedError, match="no double holds"):
        one(Metric(name="mean", definition="mean@1", of="scores.s"), samples, (0, 1))


def test_a_metric_that_matches_no_sample_has_no_value_and_is_inconclusive():
    result = one(accuracy(where={"model": "lda"}), digits())
    assert (result.value, result.ci, result.n, result.verdict) == (None, None, 0, "inconclusive")
    assert result.reason == "no sample matches"


def test_where_keeps_the_samples_whose_groups_match():
    samples = [
        Sample("a", 1, 1, groups={"model": "lda", "fold": 1}, replicate=0, seed=0),
        Sample("b", 0, 1, groups={"model": "lda", "fold": 2}, replicate=0, seed=0),
        Sample("c", 0, 1, groups={"model": "qda", "fold": 1}, replicate=0, seed=0),
        Sample("d", 0, 1, replicate=0, seed=0),
    ]
    assert one(accuracy(where={"model": "lda"}), samples).value == 0.5
    assert one(accuracy(where={"model": "lda", "fold": 1.0}), samples).n == 1


def test_a_class_that_never_occurs_scores_zero_without_interval():
    result = one(Metric("p", "precision@1", parameters={"class": "z"}), labelled(("a", "a")))
    assert (result.value, result.n, result.ci) == (0.0, 0, None)
    assert result.reason == "0/0 counts as 0: no sample is a trial"


def test_the_headline_is_the_mean_over_replicates_and_n_counts_items():
    right = {0: "aa", 1: "ab", 2: "bb"}
    samples = [
        Sample(str(i), p, "a", replicate=r, seed=10 + r) for r, ps in right.items() for i, p in enumerate(ps)
    ]
    result = one(accuracy(), samples, (10, 11, 12))
    assert (result.value, result.per_replicate, result.n) == (0.5, (1.0, 0.5, 0.0), 2)
    assert result.spread == 0.5
    assert one(accuracy(), [s for s in samples if s.replicate == 0], (10, 11, 12)).value is None


def test_measuring_an_item_again_does_not_narrow_the_interval():
    once = labelled(("a", "a"), ("a", "b"), ("a", "a"), ("b", "b"))
    again = [
        Sample(s.id, s.prediction, s.target, epoch=e, replicate=r, seed=r)
        for s in once
        for e in (0, 1)
        for r in (0, 1)
    ]
    for metric in (
        accuracy(),
        accuracy(ci=Interval("bootstrap")),
        Metric("f", "f1@1", parameters={"class": "a"}),
    ):
        first, second = one(metric, once), one(metric, again, (0, 1))
        assert (first.value, first.ci, first.n) == (second.value, second.ci, second.n)
    means = [one(Metric("m", "mean@1", of="scores.s"), s) for s in (scored(1.0, 2.0, 4.0),)]
    twice = [
        Sample(s.id, scores=s.scores, epoch=e, replicate=0, seed=0)
        for s in scored(1.0, 2.0, 4.0)
        for e in (0, 1)
    ]
    assert one(Metric("m", "mean@1", of="scores.s"), twice).ci == means[0].ci


def test_weights_count_and_widen_the_interval():
    samples = [
        Sample("a", 1, 1, weight=0.5, replicate=0, seed=0),
        Sample("b", 0, 1, weight=1.5, replicate=0, seed=0),
    ]
    result, plain = one(accuracy(), samples), one(accuracy(), labelled((1, 1), (1, 0)))
    assert result.value == 0.25
    assert result.ci.upper - result.ci.lower > 0.9 * (plain.ci.upper - plain.ci.lower)
    scale = [Sample(s.id, s.prediction, s.target, weight=s.weight * 3, replicate=0, seed=0) for s in samples]
    assert one(accuracy(), scale) == result


def test_mean_mae_and_rmse_with_their_intervals():
    mean = one(Metric("m", "mean@1", of="scores.s"), scored(1, 2, 3, 4))
    assert (mean.value, mean.ci.method) == (2.5, "student")
    # scipy 1.17.1: stats.t.interval(0.95, 3, 2.5, stats.sem([1, 2, 3, 4]))
    assert (mean.ci.lower, mean.ci.upper) == pytest.approx(
        (0.44573974323947924, 4.554260256760521), abs=1e-11
    )
    pairs = labelled((0, 3), (0, -4.0), (1, 1))
    assert one(Metric("m", "mae@1"), pairs).value == 7 / 3
    assert one(Metric("m", "rmse@1"), pairs).value == (25 / 3) ** 0.5


@pytest.mark.parametrize(
    ("values", "reason"),
    [((1.5,), "one item gives no interval"), ((1.5, 1.5, 1.5), "every item has the same value")],
)
def test_a_mean_without_interval_says_why(values, reason):
    metric = Metric("m", "mean@1", of="scores.s", threshold=Threshold(min=1, on="ci-lower"))
    result = one(metric, scored(*values))
    assert (result.value, result.ci, result.verdict, result.reason) == (1.5, None, "inconclusive", reason)


def test_sums_do_not_lose_small_numbers():
    assert one(Metric("m", "mean@1", of="scores.s"), scored(1e16, 1.0, -1e16, 1.0)).value == 0.5
    assert one(Metric("m", "mean@1", of="scores.s"), scored(5e-324, 1e308, -1e308)).value == 0.0


def test_extreme_weights_do_not_overflow():
    samples = [
        Sample(str(w), "a", t, weight=w, replicate=0, seed=0)
        for w, t in ((5e-324, "b"), (1e308, "a"), (2, "a"))
    ]
    for result in evaluate(SUITE, samples, [0]):
        assert 0 <= result.value <= 1


PAIRS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["a", "b", "c", None])), min_size=2, max_size=20
)
SUITE = [
    accuracy(),
    accuracy(ci=Interval("bootstrap", 0.9)),
    Metric("p", "precision@1", parameters={"class": "a"}),
    Metric("f", "f1@1", parameters={"average": "macro", "resamples": 100}),
    Metric("w", "recall@1", parameters={"average": "weighted", "resamples": 100}),
]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 10)), min_size=1, max_size=10))
@example([("a", 5.102), ("b", 5.931), ("a", 0.442)])
def test_a_perfect_weighted_average_is_exactly_one(rows):
    samples = [
        Sample(str(i), label, label, weight=w, replicate=0, seed=0) for i, (label, w) in enumerate(rows)
    ]
    for score in ("precision@1", "recall@1", "f1@1"):
        metric = Metric("m", score, parameters={"average": "weighted", "resamples": 100})
        (result,) = evaluate([metric], samples, [0])
        assert result.value == 1.0


@given(PAIRS, st.lists(st.floats(0.1, 10), min_size=20, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_samples_changes_no_bit_of_any_result(pairs, weights, random):
    samples = [
        Sample(str(i), p, t, weight=w, replicate=0, seed=0)
        for i, ((t, p), w) in enumerate(zip(pairs, weights, strict=False))
    ]
    results = evaluate(SUITE, samples, [0])
    random.shuffle(samples)
    assert evaluate(SUITE, samples, [0]) == results
    for result in results:
        assert 0 <= result.value <= 1
        assert result.ci is None or 0 <= result.ci.lower <= result.ci.upper <= 1


@given(st.lists(st.floats(-1e12, 1e12), min_size=2, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_numbers_changes_no_bit_of_a_mean(values, random):
    metrics = [
        Metric("m", "mean@1", of="scores.s"),
        Metric("b", "mean@1", of="scores.s", ci=Interval("bootstrap")),
    ]
    samples = scored(*values)
    results = evaluate(metrics, samples, [0])
    random.shuffle(samples)
    assert evaluate(metrics, samples, [0]) == results


@pytest.mark.parametrize(
    "metric",
    [
        Metric("m", "acuracy@1"),
        Metric("m", "code:metric.py"),
        Metric("m", "accuracy@1", of="scores.s"),
        Metric("m", "mean@1"),
        Metric("m", "mean@1", of="scores."),
        Metric("m", "f1@1"),
        Metric("m", "f1@1", parameters={"average": "mean"}),
        Metric("m", "f1@1", parameters={"average": "macro", "class": "a"}),
        Metric("m", "f1@1", parameters={"class": ["a"]}),
        Metric("m", "f1@1", parameters={"average": "macro"}, ci=Interval("wilson")),
        Metric("m", "accuracy@1", parameters={"average": "macro"}),
        Metric("m", "accuracy@1", parameters={"resamples": 1000}),
        Metric("m", "accuracy@1", parameters={"resamples": 10}, ci=Interval("bootstrap")),
        Metric("m", "accuracy@1", ci=Interval("student")),
        Metric("m", "accuracy@1", ci=Interval(None, 1.0)),
        Metric("m", "accuracy@1", where={"model": ["a"]}),
    ],
)
def test_a_definition_that_is_misused_is_refused(metric):
    assert len(problems(metric)) == 1
    with pytest.raises(MalformedError) as caught:
        evaluate([metric], [], [0])
    assert caught.value.code == "bad-metric"


def test_an_unknown_definition_comes_with_advice():
    assert problems(Metric("m", "acuracy@1")) == (
        "the definition `acuracy@1` is unknown; did you mean `accuracy@1`?",
    )


def test_definitions_are_listed_with_their_intervals():
    listed = {definition.name: definition.as_json() for definition in definitions()}
    assert listed["accuracy@1"]["ci_methods"] == ["wilson", "bootstrap"]
    assert set(listed["f1@1"]["parameters"]) == {"class", "average", "resamples"}
    assert all(name.endswith("@1") for name in listed)


@pytest.mark.parametrize(
    ("threshold", "verdict"),
    [
        (None, "none"),
        (Threshold(min=0.96), "pass"),
        (Threshold(min=0.96, on="ci-lower"), "fail"),
        (Threshold(max=0.98, on="ci-upper"), "pass"),
        (Threshold(min=0.9, max=0.95), "fail"),
    ],
)
def test_thresholds_are_kept_on_the_value_or_an_end_of_its_interval(threshold, verdict):
    assert one(accuracy(threshold=threshold), digits()).verdict == verdict


def test_a_threshold_met_exactly_is_kept_whatever_the_last_bit():
    metric = Metric("m", "mean@1", of="scores.s", threshold=Threshold(min=0.3, max=0.3))
    result = one(metric, scored(0.1 + 0.2))
    assert result.value != 0.3 and result.verdict == "pass"


@pytest.mark.parametrize(
    ("published", "met"),
    [
        (Published(0.97, 2), True),
        (Published(0.969, 3), True),
        (Published(0.9689, 4), True),
        (Published(0.9688, 4), False),
        (Published(0.96, 2), False),
        (Published(1, 0), True),
    ],
)
def test_published_figures_are_compared_at_their_own_precision(published, met):
    assert one(accuracy(published=published), digits()).published_met is met


def test_a_value_half_way_between_two_printed_figures_agrees_with_both():
    for printed in (0.12, 0.13):
        assert (
            one(accuracy(published=Published(printed, 2)), labelled((1, 1), *[(1, 0)] * 7)).published_met
            is True
        )


def test_the_primary_metric_decides_and_the_others_never_override_it():
    kept, missed = Threshold(min=0.1), Threshold(min=0.99)
    samples = digits()

    def overall(*metrics: Metric) -> str:
        return combine_verdicts(evaluate(metrics, samples, [0]))

    assert overall(accuracy(threshold=kept, primary=True), accuracy(threshold=missed)) == "pass"
    assert overall(accuracy(threshold=kept), accuracy(threshold=missed)) == "pass"
    assert overall(accuracy(threshold=kept), accuracy(threshold=missed, primary=True)) == "fail"
    assert overall(accuracy(), accuracy(threshold=missed), accuracy(threshold=kept)) == "fail"
    assert overall(accuracy(), accuracy(where={"x": 1}, threshold=kept)) == "inconclusive"
    assert overall(accuracy(where={"x": 1}), accuracy(threshold=kept)) == "inconclusive"
    assert overall(accuracy(), accuracy()) == "none"


def test_the_confusion_table_is_left_out_where_values_are_not_few_categories():
    assert confusion([]) is None
    assert confusion(labelled((0.5, 1))) is None
    assert confusion(labelled((1, [1]))) is None
    assert confusion([Sample("a", 1)]) is None
    assert confusion(labelled(*((n, n) for n in range(51)))) is None
    assert len(confusion(labelled(*((n, n) for n in range(50))))["labels"]) == 50


def test_labels_of_the_confusion_table_stand_in_their_natural_order():
    table = confusion(labelled((10, 2), ("b", "a"), (2.0, -1), (True, False)))
    assert table["labels"] == [-1, 2, 10, "a", "b", False, True]
