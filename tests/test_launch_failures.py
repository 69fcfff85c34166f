"""A launch that fails: what it is called, what is kept of it, and what ends before the attempt."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from launcher.errors import InfrastructureError, RequirementError
from launcher.spec.widenings import widened
from tests.conftest import Evalctl
from tests.fakes.bundle_files import result_of
from tests.fakes.engine import FACTS, KilledError, Program
from tests.fakes.engine import World as Inside
from tests.fakes.world import (
    SmallWorld,
    answer,
    answering,
    leaving,
    write_lines,
)


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
    assert result_of(launched.bundle)["deviations"] == ["it exited with code 3", *widened(("exec-tmp",))]


def test_a_sandbox_weaker_than_its_profile_is_a_failure_of_its_own(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    played: list[int] = []
    world.plays(lambda _: played.append(1) or 0)
    world.engine.weaken = lambda report: replace(report, interfaces=("lo", "eth0"))
    reason = failed_as(evalctl, world, "sandbox")
    assert "weaker than its profile: interfaces" in reason
    assert played == []
    again = evalctl("launch", world.file, "--json")
    assert (again.code, json.loads(again.out)["attempt"]) == (1, 1)


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


def test_a_run_without_samples_still_shows_what_it_wrote(world: SmallWorld, evalctl: Evalctl) -> None:
    def talking(inside: Inside) -> int:
        inside.stderr.extend(b"nothing to do\n")
        return 0

    world.plays(talking)
    done = evalctl("launch", world.file)
    assert done.code == 1
    assert "The end of logs/run-0.stderr in the bundle:\n  | nothing to do\n" in done.out


def test_an_event_cannot_pose_as_the_launchers(world: SmallWorld, evalctl: Evalctl) -> None:
    world.plays(leaving(b'{"step":"run","source":"launcher"}\n', "events.jsonl"))
    assert "source" in failed_as(evalctl, world, "candidate")


def raising(error: BaseException) -> Program:
    def program(_: Inside) -> int:
        raise error

    return program


def linking(inside: Inside) -> int:
    (inside.outputs / "link").symlink_to("/etc/passwd")
    return answer(inside)


FAILURES: dict[str, tuple[Program, str, str]] = {
    "exit": (lambda _: 3, "candidate", "it exited with code 3"),
    "signal": (raising(KilledError(11)), "candidate", "it was ended by signal 11"),
    "memory": (raising(MemoryError()), "out-of-memory", "memory was used up"),
    "link": (linking, "candidate", "its output `link` is refused: link"),
    "nothing": (lambda _: 0, "candidate", "left no `/eval/out/samples.jsonl`"),
    "empty": (leaving(b""), "candidate", "holds no sample"),
    "blank": (leaving(b"\n"), "candidate", "line 1"),
    "not JSON": (leaving(b'{"id": "a"\n'), "candidate", "line 1"),
    "not UTF-8": (leaving(b'{"id": "\xff"}\n'), "candidate", "line 1"),
    "NaN": (leaving(b'{"id": "a", "prediction": NaN}\n'), "candidate", "NaN"),
    "deep": (leaving(b'{"id":"a","prediction":' + b"[" * 99 + b"]" * 99 + b"}\n"), "candidate", "deeper"),
    "a list": (leaving(b"[]\n"), "candidate", "not an object"),
    "a key of ours": (leaving(b'{"id":"a","replicate":0}\n'), "candidate", "unknown field `replicate`"),
    "twice": (leaving(b'{"id":"a","prediction":1}\n' * 2), "candidate", "`a` stands twice"),
    "a missing id": (
        answering(lambda _, sample: {**sample, "id": sample["id"].replace("07", "77")}),
        "candidate",
        "without a label",
    ),
    "its own target": (answering(lambda _, sample: {**sample, "target": 1}), "candidate", "its own `target`"),
    "bad events": (leaving(b"{}\n", "events.jsonl"), "candidate", "events.jsonl` line 1"),
    "an event of the wrong shape": (
        leaving(b'{"step":"a","seconds":-1}\n', "events.jsonl"),
        "candidate",
        "`seconds` a number",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_told_by_its_facts(world: SmallWorld, evalctl: Evalctl, case: str) -> None:
    program, failure, reason = FAILURES[case]
    world.plays(program)
    assert reason in failed_as(evalctl, world, failure)


def test_a_command_that_does_not_exist_is_the_candidates_failure(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write(run='command = ["nobody"]')
    assert "`nobody` could not be started" in failed_as(evalctl, world, "candidate")


def test_one_bad_replicate_stops_the_others_and_is_named(world: SmallWorld, evalctl: Evalctl) -> None:
    def program(inside: Inside) -> int:
        if inside.environment["EVALCTL_SEED"] == "2":
            return 5
        return 0 if inside.stopped.wait(30) else 9

    world.plays(program)
    world.write(run='command = ["answer"]\nseeds = [1, 2, 3]')
    assert failed_as(evalctl, world, "candidate") == "replicate 1: it exited with code 5"
    (bundle,) = world.home.bundles.iterdir()
    assert [run["failure"] for run in result_of(bundle)["replicates"]] == [
        "interrupted",
        "candidate",
        "interrupted",
    ]


def test_a_failed_run_keeps_what_it_logged(world: SmallWorld) -> None:
    def program(inside: Inside) -> int:
        inside.stderr.extend(b"Traceback\n")
        return 1

    world.plays(program)
    assert (world.launch().bundle / "logs" / "run-0.stderr").read_bytes() == b"Traceback\n"


@pytest.mark.parametrize(
    "facts",
    [
        {"cpus": 1},
        {"memory": 1 << 20},
        {"runtimes": ()},
        {"limits": ("memory",)},
        {"architecture": "aarch64"},
    ],
)
def test_what_this_machine_cannot_give_ends_before_the_attempt(
    world: SmallWorld, evalctl: Evalctl, facts: dict[str, Any]
) -> None:
    world.engine.facts = replace(FACTS, **facts)
    done = evalctl("launch", world.write(resources='cpus = 2\nmemory = "1GiB"\noutput = "16MiB"'))
    assert (done.code, "hint" in done.err) == (6, True)
    assert not world.home.bundles.exists()
    assert json.loads(evalctl("list", "--json").out)["attempts"] == []


def test_an_engine_that_does_not_answer_ends_before_the_attempt(world: SmallWorld, evalctl: Evalctl) -> None:
    world.engine.reachable = False
    assert evalctl("launch", world.write()).code == 4
    assert not world.home.bundles.exists()
