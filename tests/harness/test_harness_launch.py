"""A blueprint whose container leaves the logs of lm-eval or Inspect, launched and verified."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher.errors import MalformedError
from launcher.resolve import Choices
from launcher.verify import Verification
from tests.fakes.engine import Program
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld

LOGS = Path(__file__).parent / "logs"
NO_LABELS: dict[str, str | None] = {"score": None, "labels": None}


def mean_of(*scores: str, where: str = "") -> str:
    tables = [
        f'name = "m{index}"\ndefinition = "mean@1"\nof = "scores.{score}"\n{where}'
        for index, score in enumerate(scores)
    ]
    return "\n\n[[metric]]\n".join(tables)


def leaves(case: str, change: Callable[[Path], None] | None = None) -> Program:
    """Return a program that leaves the logs of `case` under `artifacts`, and a stray file."""

    def program(inside: Inside) -> int:
        for path in (LOGS / case).rglob("*.*"):
            if path.is_file():
                target = inside.outputs / "artifacts" / "logs" / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
        if change is not None:
            change(inside.outputs)
        return 0

    return program


def launched(world: SmallWorld, form: str, program: Program, metric: str) -> tuple[Any, Path]:
    world.plays(program)
    sections = {**NO_LABELS, "run": f'command = ["answer"]\nformat = "{form}"', "metric": metric}
    bundle = world.launch(sections=sections).bundle
    return json.loads((bundle / "result.json").read_text()), bundle


def verified(world: SmallWorld, bundle: Path) -> Verification:
    verification = world.verify(bundle)
    assert verification.verdict == "verified"
    return verification


def test_logs_of_lm_eval_become_samples_and_metrics_that_verify(world: SmallWorld) -> None:
    where = 'where = { task = "colours" }'
    result, bundle = launched(world, "lm-eval", leaves("lm-eval"), mean_of("acc", "acc_norm", where=where))
    assert [(metric["value"], metric["n"]) for metric in result["metrics"]] == [(0.4, 5), (0.4, 5)]
    assert (result["discrepancies"], result["deviations"], result["marks"]) == ([], [], [])
    verified(world, bundle)
    assert len((bundle / "samples.jsonl").read_bytes().splitlines()) == 20
    assert (bundle / "artifacts/0/logs").is_dir()
    steps = [json.loads(line) for line in (bundle / "events.jsonl").read_bytes().splitlines()]
    (told,) = [step for step in steps if step["step"] == "lm-eval"]
    assert told["detail"]["tasks"]["colours"]["lm_eval_version"] == "0.4.13"


def test_logs_of_inspect_become_samples_and_metrics_that_verify(world: SmallWorld) -> None:
    metric = mean_of("includes", "shape.length", "usage.total_tokens")
    result, bundle = launched(world, "inspect", leaves("inspect-eval"), metric)
    assert [(metric["value"], metric["n"]) for metric in result["metrics"]] == [
        (0.5, 4),
        (10.75, 4),
        (13.75, 4),
    ]
    assert (result["discrepancies"], result["deviations"]) == ([], [])
    verified(world, bundle)


def test_a_partial_run_says_so_in_the_result(world: SmallWorld) -> None:
    result, bundle = launched(world, "lm-eval", leaves("lm-eval-limited"), mean_of("acc"))
    assert result["deviations"] == [
        "replicate 0: partial: lm-eval ran with `limit` 3.0: 3 of 5 documents of `colours`"
    ]
    assert result["marks"] == ["partial"]
    verified(world, bundle)


def test_a_claim_that_the_samples_do_not_bear_out_is_a_discrepancy(world: SmallWorld) -> None:
    def lie(outputs: Path) -> None:
        path = next(outputs.rglob("results_*.json"))
        path.write_text(path.read_text().replace('"acc,none": 0.4,', '"acc,none": 0.9,'))

    where = 'where = { task = "colours" }'
    result, bundle = launched(world, "lm-eval", leaves("lm-eval", lie), mean_of("acc", where=where))
    assert result["metrics"][0]["value"] == 0.4
    assert result["discrepancies"] == [
        "replicate 0: lm-eval says acc,none = 0.9 for `colours`, its samples give m0 = 0.4"
    ]
    verified(world, bundle)


def test_failed_samples_leave_a_mean_without_a_value_unless_the_blueprint_says_where(
    world: SmallWorld,
) -> None:
    result, _ = launched(world, "inspect", leaves("inspect-errors"), mean_of("includes"))
    assert (result["failure"], result["metrics"]) == ("candidate", [])
    assert "has no `scores.includes`" in result["deviations"][0]
    where = "where = { completed = true }"
    result, bundle = launched(world, "inspect", leaves("inspect-errors"), mean_of("includes", where=where))
    assert (result["metrics"][0]["n"], result["samples"]) == (3, {"n": 4, "errors": 1})
    assert result["deviations"] == ["replicate 0: partial: 1 of 4 samples of `words` ended with an error"]
    assert result["discrepancies"] == []
    verified(world, bundle)


@pytest.mark.parametrize(
    ("case", "status"), [("inspect-failed", "error"), ("inspect-cancelled", "cancelled")]
)
def test_a_run_that_inspect_calls_unsuccessful_is_the_candidates_failure(
    world: SmallWorld, case: str, status: str
) -> None:
    result, bundle = launched(world, "inspect", leaves(case), mean_of("includes"))
    assert (result["status"], result["failure"], result["metrics"]) == ("failed", "candidate", [])
    assert f"with the status `{status}`" in result["deviations"][0]
    verified(world, bundle)


def test_a_launch_with_a_limit_keeps_the_first_items_of_a_harness(world: SmallWorld) -> None:
    world.plays(leaves("inspect-eval"))
    sections = {**NO_LABELS, "run": 'command = ["answer"]\nformat = "inspect"', "metric": mean_of("includes")}
    bundle = world.launch(sections=sections, choices=Choices(limit=2)).bundle
    result = json.loads((bundle / "result.json").read_text())
    assert (result["samples"]["n"], result["metrics"][0]["value"], result["discrepancies"]) == (2, 1, [])
    assert result["marks"] == ["partial"]
    verified(world, bundle)


def test_samples_jsonl_beside_a_harness_is_not_read(world: SmallWorld) -> None:
    def add(outputs: Path) -> None:
        (outputs / "samples.jsonl").write_text('{"id":"x","scores":{"acc":1}}\n')

    result, _ = launched(world, "lm-eval", leaves("lm-eval-limited", add), mean_of("acc"))
    assert result["metrics"][0]["n"] == 3


def refused(world: SmallWorld, **sections: str | None) -> list[str]:
    with pytest.raises(MalformedError) as caught:
        world.blueprint(**{"labels": None, "score": None, "metric": mean_of("acc"), **sections})
    return [problem.message for problem in caught.value.problems]


def test_labels_beside_a_harness_are_refused(world: SmallWorld) -> None:
    labels = 'name = "labels"\nuri = "labels.jsonl"\nsha256 = "{labels}"\nrole = "held-out"'
    run = 'command = ["lm_eval"]\nformat = "lm-eval"'
    problems = refused(world, run=run, score='labels = "labels"', labels=labels)
    assert problems == ['`format = "lm-eval"` brings targets and scores: leave out `[score]`']


@pytest.mark.parametrize(
    "run",
    [
        'command = ["inspect", "eval", "t.py", "--sandbox", "docker"]',
        'command = ["inspect", "eval", "t.py", "--sandbox=docker:compose.yaml"]',
        'command = ["inspect", "eval", "t.py", "-T", "sandbox=docker"]',
        'command = ["sh", "-c", "inspect eval t.py --sandbox docker"]',
        'command = ["inspect", "eval", "t.py"]\nenv = { INSPECT_EVAL_SANDBOX = "docker" }',
    ],
)
def test_a_docker_sandbox_of_inspect_is_refused_with_the_reason(world: SmallWorld, run: str) -> None:
    (problem,) = refused(world, run=f'{run}\nformat = "inspect"')
    assert "sandbox `docker` needs an engine" in problem or 'sandbox "docker" needs an engine' in problem
    assert world.blueprint(**NO_LABELS, run=run, metric=mean_of("acc"))


def test_inspects_local_sandbox_is_accepted(world: SmallWorld) -> None:
    run = 'command = ["inspect", "eval", "t.py", "--sandbox", "local"]\nformat = "inspect"'
    assert world.blueprint(**NO_LABELS, run=run, metric=mean_of("acc")).run.format == "inspect"
