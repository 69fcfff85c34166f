import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.canonical import canonical_bytes, parse_json
from launcher.errors import CheckFailedError
from launcher.metrics.confusion import confusion
from launcher.metrics.evaluation import evaluate, sample_counts
from launcher.metrics.judgement import combine_verdicts
from launcher.spec.blueprint import Interval, Metric, Published, Threshold
from launcher.spec.predicates import Suite
from launcher.spec.result import ReplicateOutcome, Result, decimal_string, round12
from launcher.spec.sample import Sample

SAMPLES = [Sample(str(n), n % 3 > 0, True, replicate=0, seed=7) for n in range(9)]
METRICS = [
    Metric(
        "accuracy", "accuracy@1", threshold=Threshold(min=0.5, on="ci-lower"), published=Published(0.67, 2)
    ),
    Metric(
        "recall", "recall@1", parameters={"class": False}, ci=Interval("bootstrap", 0.9), direction="lower"
    ),
]


def result(**changes: Any) -> Result:
    metrics = evaluate(METRICS, SAMPLES, [7])
    fields: dict[str, Any] = {
        "lock": "sha256:" + "0" * 64,
        "attempt": 1,
        "invocation_id": "run-1",
        "blueprint": Suite("acme/a", "1.0.0"),
        "status": "succeeded",
        "failure": None,
        "verdict": combine_verdicts(metrics),
        "metrics": metrics,
        "tables": {"confusion": confusion(SAMPLES)},
        "samples": sample_counts(SAMPLES),
        "replicates": (ReplicateOutcome(0, 7, "succeeded", exit_code=0),),
        "deviations": ("ran with another engine",),
    }
    return Result(**(fields | changes))


def test_a_result_reads_back_from_its_canonical_bytes():
    made = result()
    assert Result.from_json(parse_json(canonical_bytes(made.as_json()))) == made


def test_a_failed_result_has_no_metrics_and_reads_back():
    made = result(status="failed", failure="timeout", verdict="none", metrics=(), tables={})
    assert Result.from_json(parse_json(canonical_bytes(made.as_json()))) == made


def test_a_metric_has_the_shape_that_other_programs_read():
    item = evaluate(METRICS, SAMPLES, [7])[0].as_json()
    assert item["name"] == "accuracy" and item["value"] == 6 / 9 and item["n"] == 9
    assert [round(end, 3) for end in item["ci"]] == [0.354, 0.879]
    assert item["threshold"] == {"min": 0.5, "on": "ci-lower"} and item["verdict"] == "fail"
    assert item["published"] == {"value": 0.67, "decimals": 2, "source": ""} and item["published_met"] is True


def paths(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(path for key, item in items for path in paths(item, (*at, key)))]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


WHOLE = json.loads(canonical_bytes(result().as_json()))
FREE = {"tables"}


@given(
    st.sampled_from([path for path in paths(WHOLE) if not FREE & set(path[:1])]),
    st.sampled_from([None, True, -1, 1.5, "x", "", [], {}, [None], {"x": 1}]),
)
def test_a_changed_result_is_refused_or_writes_the_same_again(path, new):
    changed = put(WHOLE, path, new)
    try:
        read = Result.from_json(changed)
    except CheckFailedError as error:
        assert error.code == "bad-result"
        return
    assert canonical_bytes(read.as_json()) == canonical_bytes(changed)


def test_a_result_without_marks_is_of_a_whole_run():
    assert Result.from_json({key: WHOLE[key] for key in WHOLE if key != "marks"}).marks == ()


@pytest.mark.parametrize("name", sorted(WHOLE.keys() - {"marks"}))
def test_a_result_with_a_field_missing_or_added_is_refused(name):
    for changed in ({key: WHOLE[key] for key in WHOLE if key != name}, WHOLE | {name + "x": WHOLE[name]}):
        with pytest.raises(CheckFailedError):
            Result.from_json(changed)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (871 / 899, "0.968854282536"),
        (0.1 + 0.2, "0.3"),
        (1.0, "1"),
        (-0.0, "0"),
        (-1e-20, "-1e-20"),
        (123456789012.5, "123456789012"),
        (123456789013.5, "123456789014"),
        (1e21, "1e+21"),
        (2 / 3, "0.666666666667"),
    ],
)
def test_signed_numbers_have_twelve_digits_rounded_half_even(value, text):
    assert decimal_string(value) == text
    assert round12(round12(value)) == round12(value)
