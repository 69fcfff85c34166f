"""lm-eval and Inspect run in the sandbox, and evalctl's numbers are theirs."""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from launcher.metrics.intervals import student_quantile
from scripts.layouts import LARGE, held_digests, pinned_layouts
from tests.cli.documents import compare, exchanges
from tests.cli.transcripts import CHECKOUT, Exchange, replay

pytestmark = [
    pytest.mark.harness,
    pytest.mark.engine,
    pytest.mark.image,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

INSPECT_READS = """
import json, sys
from pathlib import Path
from inspect_ai.log import read_eval_log
(path,) = Path("/log").rglob("*.eval")
log = read_eval_log(str(path))
(score,) = log.results.scores
values = {sample.id: sample.scores["match"].value for sample in log.samples}
print(json.dumps({"status": log.status, "completed": log.results.completed_samples, "right": values,
                  "metrics": {name: metric.value for name, metric in score.metrics.items()}}))
"""


@dataclass(frozen=True)
class Ran:
    """What the page of a blueprint showed, what came when it was typed, and the bundle of its launch."""

    shown: list[Exchange]
    got: list[Exchange]
    bundle: Path

    def metric(self, name: str) -> Mapping[str, Any]:
        (found,) = (metric for metric in self.result["metrics"] if metric["name"] == name)
        return found

    @property
    def result(self) -> Any:
        return json.loads((self.bundle / "result.json").read_bytes())

    @property
    def samples(self) -> list[Any]:
        return [json.loads(line) for line in (self.bundle / "samples.jsonl").read_bytes().splitlines()]


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Ran]:
    """Return a function that types what the page of one blueprint shows, once."""
    for layout, (digest, _) in pinned_layouts(CHECKOUT).items():
        if layout.parent.name in LARGE and digest not in held_digests(layout):
            pytest.skip(f"{layout.parent.relative_to(CHECKOUT)} is not built: make harness")
    done: dict[str, Ran] = {}

    def run(name: str) -> Ran:
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            shown = exchanges((CHECKOUT / "blueprints" / f"{name}-local" / "README.md").read_text())
            got = list(replay(shown, folder))
            done[name] = Ran(shown, got, folder / "work" / "build" / name)
        return done[name]

    return run


@pytest.mark.parametrize("name", ["lm-eval", "inspect"])
def test_launch_verify_and_reproduce_come_out_as_the_page_shows(
    name: str, typed: Callable[[str], Ran]
) -> None:
    ran = typed(name)
    compare(ran.shown, ran.got)


@pytest.mark.parametrize("name", ["lm-eval", "inspect"])
def test_nothing_is_partial_and_no_claim_differs(name: str, typed: Callable[[str], Ran]) -> None:
    result = typed(name).result
    assert (result["deviations"], result["discrepancies"], result["marks"]) == ([], [], [])
    assert result["samples"] == {"n": 400, "errors": 0}


def test_the_figures_are_those_in_the_results_of_lm_eval(typed: Callable[[str], Ran]) -> None:
    ran = typed("lm-eval")
    (path,) = (ran.bundle / "artifacts").rglob("results_*.json")
    theirs = json.loads(path.read_bytes())
    figures = theirs["results"]["debian_sections"]
    assert theirs["lm_eval_version"] == "0.4.13"
    assert theirs["n-samples"]["debian_sections"] == {"original": 400, "effective": 400}
    for ours, name in (("accuracy", "acc"), ("accuracy-by-length", "acc_norm")):
        metric = ran.metric(ours)
        assert metric["value"] == pytest.approx(figures[f"{name},none"], rel=1e-11)
        assert standard_error(metric) == pytest.approx(figures[f"{name}_stderr,none"], rel=1e-9)


def test_the_figures_are_those_that_inspect_reads_in_its_own_log(typed: Callable[[str], Ran]) -> None:
    ran = typed("inspect")
    theirs = inside(ran.bundle / "artifacts", INSPECT_READS)
    assert (theirs["status"], theirs["completed"]) == ("success", 400)
    metric = ran.metric("accuracy")
    assert metric["value"] == pytest.approx(theirs["metrics"]["accuracy"], rel=1e-11)
    assert standard_error(metric) == pytest.approx(theirs["metrics"]["stderr"], rel=1e-9)
    assert {sample["id"]: "CI"[sample["scores"]["match"] == 0] for sample in ran.samples} == theirs["right"]


def test_both_harnesses_hear_the_same_answers_of_the_model(typed: Callable[[str], Ran]) -> None:
    packages = [json.loads(line)["id"] for line in packages_tested()]
    by_choice = {packages[int(sample["id"])]: sample["prediction"] for sample in typed("lm-eval").samples}
    assert by_choice == {sample["id"]: sample["prediction"] for sample in typed("inspect").samples}


@pytest.mark.parametrize(("name", "whose"), [("lm-eval", "lm-eval ran with `limit`"), ("inspect", "Inspect")])
def test_a_limit_reaches_the_harness_and_is_told(
    name: str, whose: str, typed: Callable[[str], Ran], tmp_path: Path
) -> None:
    typed(name)
    command = f"evalctl launch blueprints/{name}-local/blueprint.toml --limit 8 --out build/few --json"
    list(replay([Exchange("", command, "")], tmp_path))
    result = json.loads((tmp_path / "work" / "build" / "few" / "result.json").read_bytes())
    assert result["samples"]["n"] == 8
    assert any(whose in deviation for deviation in result["deviations"])


def standard_error(metric: Mapping[str, Any]) -> float:
    """Return the standard error that Student's interval of the metric is made of."""
    assert (metric["ci_method"], metric["ci_level"]) == ("student", 0.95)
    low, high = metric["ci"]
    return (high - low) / 2 / student_quantile(0.95, metric["n"] - 1)


def packages_tested() -> list[str]:
    return (CHECKOUT / "blueprints" / "lm-eval-local" / "test.jsonl").read_text().splitlines()


def inside(folder: Path, script: str) -> Any:
    """Run `script` in the image with `folder` at /log; return the JSON it printed."""
    loaded = subprocess.run(
        [f"{Path(sys.executable).parent}/evalctl", "image", "load", "images/eval-harness/layout", "--json"],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        timeout=300,
        check=True,
    )
    client = docker.from_env(timeout=180)
    try:
        said = client.containers.run(
            json.loads(loaded.stdout)["id"],
            ["python3.11", "-c", script],
            environment={"HOME": "/tmp"},
            network_mode="none",
            read_only=True,
            remove=True,
            tmpfs={"/tmp": ""},
            user="0",
            volumes={str(folder): {"bind": "/log", "mode": "ro"}},
        )
    finally:
        client.close()
    return json.loads(said)
