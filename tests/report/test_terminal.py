"""A result in a terminal: n and an interval beside every number, 80 columns, nothing raw from the bundle."""

import base64
import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from launcher.errors import EvalctlError
from launcher.metrics.agreement import Agreement, MetricAgreement, SampleAgreement
from launcher.report.findings import agreement
from launcher.report.reading import BundleView, Confusion, read_view
from launcher.report.terminal import full, summary
from launcher.spec.blueprint import Published, Threshold
from launcher.spec.predicates import Suite
from launcher.spec.result import ConfidenceInterval, MetricResult, ReplicateOutcome, Result
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld, answering

DIGEST = "sha256:" + "0" * 64
INTERVAL = ConfidenceInterval(0.81234, 0.91234, "wilson", 0.95)


def metric(**changes: Any) -> MetricResult:
    values = {"name": "accuracy", "definition": "accuracy@1", "value": 0.875, "ci": INTERVAL, "n": 40}
    return MetricResult(**{**values, "verdict": "none", **changes})


def view(*metrics: MetricResult, seeds: int = 1, **changes: Any) -> BundleView:
    replicates = tuple(ReplicateOutcome(number, 10 + number, "succeeded", None, 0) for number in range(seeds))
    result = Result(
        lock=DIGEST,
        attempt=1,
        invocation_id="x",
        blueprint=Suite("acme/thirds", "1.0.0"),
        status="succeeded",
        failure=None,
        verdict="none",
        metrics=metrics,
        replicates=replicates,
    )
    return BundleView(DIGEST, result, "SHA256:nobody", (("image", DIGEST),), **changes)


def test_what_deviates_is_not_given_as_a_reason_of_the_failure() -> None:
    failed = replace(
        view().result,
        status="failed",
        failure="candidate",
        deviations=("it exited with code 1", "draft: ran with changes"),
        marks=("draft",),
    )
    shown = summary(replace(view(), result=failed))
    assert "failure    candidate: it exited with code 1\ndeviation  draft: ran with changes" in shown


def test_a_primary_metric_shows_its_interval_n_threshold_and_published_figure() -> None:
    shown = summary(
        view(
            metric(
                primary=True,
                errors=2,
                threshold=Threshold(min=0.8, on="ci-lower"),
                verdict="pass",
                published=Published(0.9, 2, "doi:x"),
                published_met=False,
            )
        )
    )
    assert "0.8750, 95% interval 0.8123..0.9123 (wilson), n 40 (2 samples failed)" in shown
    assert "threshold  ci-lower >= 0.8: pass" in shown
    assert "published  0.90: NOT met" in shown


def test_a_missing_interval_or_value_says_why() -> None:
    bare = metric(ci=None, reason="one sample has no spread")
    assert "0.8750, no interval (one sample has no spread), n 40" in summary(
        view(metric(primary=True, ci=None, reason="one sample has no spread"))
    )
    assert "accuracy: one sample has no spread" in full(view(bare))
    assert "none" in full(view(metric(value=None, ci=None, reason="no sample has a target")))


def test_intervals_of_different_levels_name_their_own() -> None:
    wide = ConfidenceInterval(0.7, 0.95, "student", 0.999)
    shown = full(view(metric(), metric(name="other", ci=wide)))
    assert "0.8123..0.9123 95%" in shown
    assert "0.7000..0.9500 99.9%" in shown


def test_every_seed_is_shown_with_its_value_and_many_are_counted() -> None:
    several = metric(primary=True, per_replicate=(0.8, 0.9, 0.925), spread=0.0661)
    shown = full(view(several, seeds=3))
    assert "spread     0.0661 (standard deviation over 3 seeds)" in shown
    assert "seed     12: succeeded, accuracy 0.9250" in shown
    many = metric(primary=True, per_replicate=(0.9,) * 30, spread=0.0)
    assert "+ 18 more seeds, none of them failed" in full(view(many, seeds=30))


def test_the_confusion_shows_samples_without_a_prediction_and_cuts_long_labels() -> None:
    labels = ("a-label-of-some-length", "another-label-of-some-length")
    shown = full(view(metric(), confusion=Confusion(labels, ((3, 1), (0, 4)), (2, 0))))
    lines = shown.splitlines()
    start = lines.index("confusion (rows: target, columns: prediction)")
    header, first, second = lines[start + 1 : start + 4]
    assert "none" in header
    assert first.split()[-3:] == ["3", "1", "2"]
    assert second.split()[-3:] == [".", "4", "."]
    assert "confusion of 13 labels" in full(
        view(confusion=Confusion(("x",) * 13, ((0,) * 13,) * 13, (0,) * 13))
    )


def test_a_confusion_of_more_than_the_primary_metric_is_over_says_so() -> None:
    counts = Confusion(("a", "b"), ((3, 1), (0, 4)), (2, 0))
    primary = metric(primary=True, n=5)
    assert "columns: prediction, over 2 seeds)" in full(view(primary, seeds=2, confusion=counts))
    assert "columns: prediction, all 10 samples)" in full(view(primary, confusion=counts))


names = st.text(max_size=120)


@given(st.lists(names, max_size=4), names, st.integers(1, 20))
def test_everything_shown_fits_and_is_safe(metrics: list[str], word: str, seeds: int) -> None:
    threshold = Threshold(min=0.123456, max=0.987654, on="ci-upper")
    shown = view(
        *(metric(name=name, threshold=threshold, verdict="fail", reason=word) for name in metrics),
        seeds=seeds,
        confusion=Confusion((word, "b"), ((1, 2), (3, 4)), (0, 1)),
    )
    for line in f"{summary(shown)}\n{full(shown)}".split("\n"):
        assert len(line) <= 80
        assert line.isprintable() or any(letter.isspace() for letter in line)


BAD = (None, 1, -1, 1.5, "x", "\x1b[2J", [], {}, True, [[]], {"a": 1}, 10**30)


def spoil(value: Any, random: Random) -> None:
    """Replace or remove something inside `value`."""
    while isinstance(value, dict | list) and value:
        key = random.choice(sorted(value) if isinstance(value, dict) else range(len(value)))
        inside = value[key]
        if not isinstance(inside, dict | list) or not inside or random.random() < 0.3:
            if isinstance(value, dict) and random.random() < 0.3:
                del value[key]
            else:
                value[key] = random.choice(BAD)
            return
        value = inside


@pytest.fixture
def bundle(evalctl: Evalctl, world: SmallWorld) -> Path:
    return Path(json.loads(evalctl("launch", world.file, "--json").out)["bundle"])


FILES = ("result.json", "lock.json", "environment.json", "provenance", "result")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.sampled_from(FILES))
def test_a_bundle_with_anything_in_its_records_is_shown_or_refused(
    bundle: Path, seed: int, name: str
) -> None:
    broken = bundle.parent / "broken"
    shutil.rmtree(broken, ignore_errors=True)
    shutil.copytree(bundle, broken)
    path = broken / (name if "." in name else f"attestations/{name}.sigstore.json")
    value = json.loads(path.read_bytes())
    if "." in name:
        spoil(value, Random(seed))
    else:
        payload = json.loads(base64.b64decode(value["dsseEnvelope"]["payload"]))
        spoil(payload, Random(seed))
        value["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    path.write_text(json.dumps(value, separators=(",", ":"), sort_keys=True) + "\n" * (name != "lock.json"))
    try:
        shown = full(read_view(broken))
    except EvalctlError:
        return
    assert all(line.isprintable() and len(line) <= 80 for line in shown.split("\n"))


def test_a_metric_over_some_of_the_samples_says_over_which(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write(
        tail='[[metric]]\nname = "warm"\ndefinition = "accuracy@1"\nwhere = { heat = 0.5, kind = "a" }\n'
    )
    world.plays(answering(lambda number, sample: {**sample, "groups": {"heat": 0.5, "kind": "a"}}))
    assert "warm: accuracy@1 of prediction where heat = 0.5 and kind = a" in evalctl("plan", world.file).out
    bundle = Path(evalctl("launch", world.file).out.splitlines()[-1])
    assert "\nwarm: where heat = 0.5 and kind = a\n" in full(read_view(bundle))
    assert "| `warm` `where heat = 0.5 and kind = a` |" in evalctl("report", bundle, "--format=markdown").out
    assert "accuracy@1, where heat = 0.5 and kind = a, higher is better" in evalctl("report", bundle).out


def test_a_model_that_was_put_into_a_slot_is_told_from_the_blueprints_own(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    pins = json.loads((world.folder / "pins.json").read_text())
    model = (
        f'[[model]]\nname = "weights"\nslot = "candidate"\nuri = "items.jsonl"\nsha256 = "{pins["items"]}"\n'
    )
    world.write(tail=model)
    own = Path(evalctl("launch", world.file).out.splitlines()[-1])
    labels = world.folder / "labels.jsonl"
    other = Path(evalctl("launch", world.file, "--model", f"candidate={labels}").out.splitlines()[-1])
    assert "slot" not in full(read_view(own))
    assert "put into the slot candidate" in full(read_view(other))


def test_the_list_tells_attempts_apart_by_time_verdict_and_marks(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    evalctl("launch", world.file)
    evalctl("launch", world.file, "--limit", "3")
    header, whole, partial = evalctl("list").out.splitlines()
    assert header.split() == ["bundle", "began", "(UTC)", "outcome", "attempt", "name"]
    assert "succeeded, partial" in partial
    assert "partial" not in whole
    first, second = json.loads(evalctl("list", "--json").out)["attempts"]
    assert first["began"] <= second["began"]
    assert second["marks"] == ["partial"]


def test_the_list_cuts_long_names_and_never_a_digest(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write(blueprint=f'name = "acme/{"long" * 20}"\nversion = "1.0.0"')
    evalctl("launch", world.file)
    _, row = evalctl("list").out.splitlines()
    assert len(row) == 80
    assert len(row.split()[0]) == 12


def test_a_confusion_says_what_it_adds_up_beyond_the_primary_metric() -> None:
    found = Confusion(("a", "b"), ((3, 1), (0, 4)), (0, 0))
    metric = MetricResult("m", "accuracy@1", 0.5, None, n=4, verdict="none", primary=True)
    result = Result("sha256:" + "0" * 64, 1, "i", Suite("a/b", "1.0.0"), "succeeded", None, "none", (metric,))
    one, two = ReplicateOutcome(0, 0, "succeeded"), ReplicateOutcome(1, 1, "succeeded")
    assert found.scope(replace(result, replicates=(one,))) == ", all 8 samples"
    assert found.scope(replace(result, replicates=(one, two))) == ", over 2 seeds"


def test_show_says_that_the_sandbox_was_probed(world: SmallWorld, evalctl: Evalctl) -> None:
    shown = evalctl("show", world.launch(sections={"run": 'command = ["answer"]\nseeds = [1, 2]'}).bundle).out
    assert "runc, network none, probed from inside in 2 containers" in shown


def test_metrics_that_one_reason_keeps_open_are_told_once() -> None:
    metrics = tuple(MetricAgreement(f"m{at}", 0.5, 0.5, "inconclusive", "it is withheld") for at in range(12))
    text = agreement(Agreement("inconclusive", metrics, SampleAgreement(3, 3, 3)))
    assert text.count("it is withheld") == 1
    assert "m0 and 11 more: it is withheld" in text
