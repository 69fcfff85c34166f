import json
import time
from pathlib import Path

import pytest

from launcher.errors import InfrastructureError, RequirementError
from tests.conftest import Evalctl
from tests.fakes.engine import World as Inside
from tests.fakes.world import ITEMS, WRONG, SmallWorld, answer, answering, leaving, write_lines


def result_of(bundle: Path) -> dict:
    return json.loads((bundle / "result.json").read_text())


def test_a_launch_ends_with_a_signed_bundle_that_verifies(world: SmallWorld) -> None:
    launched = world.launch()
    verification = world.verify(launched.bundle)
    assert (verification.verdict, verification.signers) == ("verified", (world.signer.public.fingerprint,))
    result = result_of(launched.bundle)
    assert (result["status"], result["failure"], result["attempt"]) == ("succeeded", None, 1)
    assert result["metrics"][0]["value"] == (ITEMS - WRONG) / ITEMS
    assert result["lock"] == launched.lock


def failed_as(evalctl: Evalctl, world: SmallWorld, failure: str, code: int = 1) -> str:
    """Launch, expect this failure in a signed bundle that verifies, and return the reason it gives."""
    if not world.file.exists():
        world.write()
    done = evalctl("launch", world.file, "--json")
    assert done.code == code, done.err
    launched = json.loads(done.out)
    assert (launched["status"], launched["failure"], launched["verdict"]) == ("failed", failure, "none")
    assert launched["metrics"] == []
    assert evalctl("verify", launched["bundle"]).code == 0
    assert (Path(launched["bundle"]) / "samples.jsonl").read_bytes() == b""
    return launched["deviations"][0]


@pytest.mark.parametrize("definition", ['mean@1"\nof = "scores.speed', "mae@1"])
def test_samples_that_a_metric_cannot_measure_are_the_candidates_failure(
    world: SmallWorld, evalctl: Evalctl, definition: str
) -> None:
    world.write(metric=f'name = "it"\ndefinition = "{definition}"')
    world.plays(answering(lambda _, sample: {**sample, "prediction": "three"}))
    assert "item-00" in failed_as(evalctl, world, "candidate")


def test_labels_that_are_no_labels_are_not_the_candidates_fault(world: SmallWorld, evalctl: Evalctl) -> None:
    digest = write_lines(world.folder / "labels.jsonl", [{"id": "item-00"}])
    world.write(labels=f'name = "labels"\nuri = "labels.jsonl"\nsha256 = "{digest}"\nrole = "held-out"')
    assert "labels" in failed_as(evalctl, world, "input", 4)


def test_a_reason_that_quotes_the_container_at_length_is_cut(world: SmallWorld, evalctl: Evalctl) -> None:
    key = b'"' + b"k" * 5000 + b'":1'
    world.plays(leaving(b"{" + key + b"," + key + b"}\n"))
    assert len(failed_as(evalctl, world, "candidate")) == 1000


def test_a_failed_run_says_how_its_sandbox_was_widened(world: SmallWorld) -> None:
    world.plays(lambda _: 3)
    launched = world.launch(sections={"sandbox": 'allow = ["exec-tmp"]'})
    assert result_of(launched.bundle)["deviations"] == ["it exited with code 3", "sandbox widened: exec-tmp"]


@pytest.mark.parametrize("name", ["con", "dot.", "a" * 201, "/".join(["a" * 190] * 3)])
def test_an_artifact_that_no_bundle_may_hold_is_refused(
    world: SmallWorld, evalctl: Evalctl, name: str
) -> None:
    world.plays(leaving(b"x", f"artifacts/{name}"))
    assert "may hold" in failed_as(evalctl, world, "candidate")


def test_a_replicate_that_needs_what_is_missing_stops_the_others(world: SmallWorld, evalctl: Evalctl) -> None:
    def program(inside: Inside) -> int:
        if inside.environment["EVALCTL_SEED"] == "1":
            raise RequirementError("no such runtime", code="requirement-unmet")
        return 0 if inside.stopped.wait(20) else 9

    world.plays(program)
    started = time.monotonic()
    done = evalctl("launch", world.write(run='command = ["answer"]\nseeds = [1, 2]'))
    assert (done.code, time.monotonic() - started < 10) == (6, True)
    assert not list(world.home.root.glob("bundles/*"))


def test_an_engine_that_dies_in_mid_run_is_told_from_the_candidate(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    def program(inside: Inside) -> int:
        world.engine.reachable = False
        raise InfrastructureError("the connection broke", code="engine-unreachable")

    world.plays(program)
    assert "the connection broke" in failed_as(evalctl, world, "engine", 4)

    world.engine.reachable = True
    world.plays(answer)
    again = json.loads(evalctl("launch", world.file, "--json").out)
    assert (again["status"], again["attempt"]) == ("succeeded", 2)


def test_a_note_is_signed_and_one_that_no_statement_holds_is_refused(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    world.write()
    done = evalctl("launch", world.file, "--note", "x" * 4001)
    assert (done.code, "too long" in done.err) == (2, True)
    launched = json.loads(evalctl("launch", world.file, "--note", "x" * 4000, "--json").out)
    assert evalctl("verify", launched["bundle"]).code == 0
