"""The stand-alone verifier computes every number as `verify` does, and writes them as the standard says."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from launcher.exports import evalctl_verify as one
from launcher.metrics.evaluation import evaluate
from launcher.metrics.intervals import normal_quantile, student_quantile
from launcher.metrics.reference import references
from launcher.spec.image import ImagePins
from launcher.spec.lock import CodePins, InputPin, Pins, make_lock
from launcher.spec.reading import read_blueprint
from launcher.spec.sample import Sample, bundle_samples

METRICS = """
[[metric]]
name = "accuracy"
definition = "accuracy@1"
ci = { level = 0.9 }
threshold = { max = 0.9, on = "ci-upper" }
[[metric]]
name = "precision"
definition = "precision@1"
parameters = { class = 1 }
[[metric]]
name = "f1-of-one"
definition = "f1@1"
parameters = { class = "a" }
[[metric]]
name = "macro"
definition = "f1@1"
parameters = { average = "macro" }
[[metric]]
name = "micro"
definition = "precision@1"
parameters = { average = "micro" }
[[metric]]
name = "weighted"
definition = "recall@1"
parameters = { average = "weighted" }
where = { half = "left" }
[[metric]]
name = "mean"
definition = "mean@1"
of = "scores.x"
primary = true
published = { value = 0.25, decimals = 2, source = "print" }
[[metric]]
name = "left"
definition = "mean@1"
of = "scores.x"
where = { half = "left", ok = true }
[[metric]]
name = "mae"
definition = "mae@1"
[[metric]]
name = "rmse"
definition = "rmse@1"
[[metric]]
name = "digits"
definition = "lre@1"
parameters = { digits = 9 }
"""
BLUEPRINT = (
    'schema = "evalctl/blueprint/v1"\n[blueprint]\nname = "a/b"\nversion = "1.0.0"\n'
    f'[image]\nref = "oci:image@sha256:{"1" * 64}"\n[code]\ngit = "x"\ncommit = "{"2" * 40}"\n'
    '[run]\ncommand = ["x"]\nseeds = [5, 6]\n'
)
LABELS, NUMBERS = (
    {"accuracy", "precision", "f1-of-one", "macro", "micro", "weighted"},
    {"mae", "rmse", "digits"},
)
finite = st.floats(-1e9, 1e9) | st.integers(-5, 5)


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[list[Sample]], bool]:
    """Return what two replicates answered, and whether the answers are numbers."""
    numbers = draw(st.booleans())
    values = finite if numbers else st.sampled_from([0, 1, "a", "b", True, None, 0.5])
    keys = draw(
        st.lists(st.tuples(st.text("xy", max_size=2), st.integers(0, 4)), min_size=1, unique=True, max_size=9)
    )
    weighted = draw(st.booleans())
    replicates = []
    for _ in range(2):
        samples = []
        for name, epoch in keys:
            prediction = draw(values)
            samples.append(
                Sample(
                    f"id{name}",
                    prediction=1 if prediction is None and numbers else prediction,
                    target=draw(values.filter(lambda value: value is not None)),
                    scores={"x": draw(finite)},
                    groups={"half": draw(st.sampled_from(["left", "right"])), "ok": draw(st.booleans())},
                    weight=draw(st.floats(1e-3, 1e3)) if weighted else None,
                    epoch=epoch,
                )
            )
        replicates.append(samples)
    return replicates, numbers


@settings(max_examples=50, deadline=None)
@given(answers())
def test_both_compute_the_same_metrics(sealed_folder: Path, drawn: tuple[list[list[Sample]], bool]) -> None:
    replicates, numbers = drawn
    blueprint = read_blueprint((BLUEPRINT + METRICS).encode(), file="it", definitions=references())
    image = ImagePins(None, "sha256:" + "1" * 64, "sha256:" + "3" * 64, (), "linux/amd64")
    lock = make_lock(blueprint, Pins(image, CodePins("4" * 40, "5" * 64, {}), dict[str, InputPin]()))
    chosen = [
        index
        for index, metric in enumerate(blueprint.metrics)
        if metric.name not in (LABELS if numbers else NUMBERS)
    ]
    samples = bundle_samples(replicates, (5, 6))
    wanted = evaluate([blueprint.metrics[index] for index in chosen], samples.samples, (5, 6))
    specs = json.loads(lock.data)["identity"]["metrics"]
    metrics = [one.Metric(specs[index], 2, primary=specs[index]["primary"]) for index in chosen]
    path = sealed_folder.parent / "samples.jsonl"
    path.write_bytes(samples.data)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        read = one.Samples(descriptor, len(samples.data))
        one.count_samples(read, metrics, [5, 6])
        one.count_items(read, metrics)
    finally:
        os.close(descriptor)
    for metric, result in zip(metrics, wanted, strict=True):
        claimed = json.loads(json.dumps(result.as_json()))
        found = metric.expected(claimed, claimed["published"], [])
        leeway = 1e-11 * abs(claimed["ci"][1] - claimed["ci"][0]) if claimed["ci"] else 0.0
        for name, value in found.items():
            assert name == "primary" or one.is_same(value, claimed[name], leeway), (
                metric.kind,
                name,
                value,
                claimed,
            )


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e21)
@example(-5e-324)
@example(123456789012345680000.0)
def test_doubles_are_written_as_the_standard_says(value: float) -> None:
    assert one.double(value).encode() == rfc8785.dumps(value)


@given(
    st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.integers(-9, 9) | st.none() | st.booleans())
)
def test_objects_are_written_as_the_standard_says(value: dict[str, Any]) -> None:
    try:
        wanted = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        return
    assert one.canonical(value).encode() == wanted


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.999999])
def test_quantiles_agree_to_the_digits_that_are_used(level: float) -> None:
    assert one.normal_quantile(level) == normal_quantile(level)
    for degrees in (1, 2, 3, 4, 5, 10, 39, 100, 999, 1000, 1001, 50_000):
        ours, theirs = one.student_quantile(level, degrees), student_quantile(level, degrees)
        assert abs(ours - theirs) <= one.quantile_leeway(level) * theirs, degrees
