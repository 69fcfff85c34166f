"""Replicates that ended well are not run again after their attempt was cut off, and every view says so."""

import json
from pathlib import Path
from typing import Any

import pytest

from launcher.errors import InfrastructureError
from launcher.spec.result import Result
from tests.conftest import Evalctl
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld, answer, leaving, read_lines
from tests.trust.sealed_bundle import BOB

SEEDS = 'command = ["answer"]\nseeds = [5, 6, 7]'


class Failing:
    """Answers, and lets the engine fail in the runs of some seeds; remembers which seeds were run."""

    def __init__(self, *seeds: int) -> None:
        self.failing = set(seeds)
        self.ran: list[int] = []

    def __call__(self, inside: Inside) -> int:
        seed = int(inside.environment["EVALCTL_SEED"])
        self.ran.append(seed)
        if seed in self.failing:
            raise InfrastructureError("the engine was restarted", code="engine-unreachable")
        (inside.outputs / "artifacts").mkdir()
        (inside.outputs / "artifacts" / "note").write_text(f"of seed {seed}")
        inside.stdout.extend(b"answered\n")
        return answer(inside)


@pytest.fixture
def cut_off(world: SmallWorld) -> Failing:
    """Launch once; the third replicate's engine fails, so that two are kept."""
    program = Failing(7)
    world.plays(program)
    world.engine.facts = world.engine.facts.__class__(**{**fields(world.engine.facts), "cpus": 1})
    launched = world.launch(sections={"run": SEEDS})
    assert result_of(launched.bundle).failure == "engine"
    program.failing.clear()
    program.ran.clear()
    return program


def fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__struct_fields__}


def result_of(bundle: Path) -> Result:
    return Result.from_json(json.loads((bundle / "result.json").read_text()))


def facts_of(bundle: Path) -> dict[str, Any]:
    facts = json.loads((bundle / "environment.json").read_text())["facts"]
    return {fact["name"]: fact["value"] for fact in facts}


def left(world: SmallWorld) -> list[str]:
    return sorted(path.relative_to(world.home.runs).parts[1] for path in world.home.runs.glob("*/*/*"))


def again(world: SmallWorld, **request: Any) -> Path:
    return world.launch(sections={"run": SEEDS}, **request).bundle


def test_only_what_had_not_ended_is_run_again(world: SmallWorld, cut_off: Failing, evalctl: Evalctl) -> None:
    bundle = again(world)
    result = result_of(bundle)
    assert cut_off.ran == [7]
    assert [run.attempt for run in result.replicates] == [1, 1, None]
    assert (result.attempt, result.status) == (2, "succeeded")
    assert "replicates 0-1 from attempt 1, which was cut off" in result.deviations
    assert world.verify(bundle).verdict == "verified"
    assert (bundle / "artifacts" / "1" / "note").read_text() == "of seed 6"
    assert (bundle / "logs" / "run-0.stdout").read_text() == "answered\n"
    kept = "attempt 2 of 2, 2 at this lock; replicates 0-1 from attempt 1 at it"
    assert kept in " ".join(evalctl("show", bundle).out.split())
    for form in ("html", "md"):
        page = world.root / f"report.{form}"
        assert evalctl("report", bundle, "--out", page).code == 0
        assert kept in " ".join(page.read_text().split())


def test_the_bundle_lists_attempts_and_machines(world: SmallWorld, cut_off: Failing) -> None:
    first, second = facts_of(again(world))["launch.attempts"]
    assert (first["attempt"], first["outcome"], first["failure"]) == (1, "failed", "engine")
    assert [one["replicate"] for one in first["replicates"]] == [0, 1]
    assert (second["attempt"], second["outcome"]) == (2, None)
    assert [one["replicate"] for one in second["replicates"]] == [2]
    assert first["machine"] == second["machine"]
    assert set(first["machine"]) == {"processor", "kernel", "engine", "runtime"}


def test_once_the_lock_has_its_answer_nothing_is_kept(world: SmallWorld, cut_off: Failing) -> None:
    assert "work" in {path.name for path in world.home.runs.glob("*/1/*")}
    again(world)
    assert [path.name for path in world.home.runs.glob("*/*/*")] == ["state.json", "state.json"]


def test_a_replicate_outlives_several_attempts(world: SmallWorld, cut_off: Failing) -> None:
    cut_off.failing.add(7)
    again(world)
    assert cut_off.ran == [7]
    cut_off.failing.clear()
    bundle = again(world)
    assert [run.attempt for run in result_of(bundle).replicates] == [1, 1, None]
    assert [one["attempt"] for one in facts_of(bundle)["launch.attempts"]] == [1, 2, 3]


@pytest.mark.parametrize(
    "damage",
    [
        lambda place: (place / "run" / "out" / "samples.jsonl").write_text(""),
        lambda place: (place / "run" / "out" / "samples.jsonl").unlink(),
        lambda place: (place / "run" / "out" / "extra").write_text("x"),
        lambda place: (place / "record.json").write_bytes(b""),
        lambda place: (place / "record.json").write_bytes(b"\xff" * 200),
        lambda place: (place / "record.json").write_bytes((place / "record.json").read_bytes()[:-9]),
        lambda place: (place / "record.json").unlink(),
    ],
)
def test_a_damaged_replicate_is_run_again(world: SmallWorld, cut_off: Failing, damage: Any) -> None:
    (place,) = world.home.runs.glob("*/1/work/0")
    damage(place)
    assert result_of(again(world)).status == "succeeded"
    assert cut_off.ran == [5, 7]


def test_a_run_from_nothing_takes_nothing(world: SmallWorld, cut_off: Failing) -> None:
    bundle = again(world, rerun=True)
    assert cut_off.ran == [5, 6, 7]
    assert [run.attempt for run in result_of(bundle).replicates] == [None] * 3


def test_what_another_key_signed_or_a_weaker_runtime_ran_is_not_taken(
    world: SmallWorld, cut_off: Failing
) -> None:
    again(world, signer=BOB)
    assert cut_off.ran == [5, 6, 7]


def test_a_stronger_runtime_runs_everything_again(world: SmallWorld, cut_off: Failing) -> None:
    again(world, runtime="runsc")
    assert cut_off.ran == [5, 6, 7]


def test_what_a_candidate_failed_is_final(world: SmallWorld) -> None:
    world.plays(leaving(b"not json"))
    world.launch(sections={"run": SEEDS})
    assert [path.name for path in world.home.runs.glob("*/*/*")] == ["state.json"]


def test_samples_of_a_taken_replicate_are_those_that_it_left(world: SmallWorld, cut_off: Failing) -> None:
    samples = read_lines(again(world) / "samples.jsonl")
    assert sorted({sample["seed"] for sample in samples}) == [5, 6, 7]
