"""Launching a lock again: what is returned, what is run anew, and what is said about it."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher.errors import InfrastructureError
from launcher.trust.key_files import new_key
from tests.conftest import Evalctl
from tests.fakes.engine import KilledError
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld, answer, copy_world
from tests.trust.sealed_bundle import BOB


def launched(evalctl: Evalctl, world: SmallWorld, *more: str | Path) -> Any:
    return json.loads(evalctl("launch", world.file, "--json", *more).out)


def test_a_succeeded_run_is_returned_by_the_same_key(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    first = launched(evalctl, world)
    done = evalctl("launch", world.file)
    assert (done.code, done.out.splitlines()[-1]) == (0, first["bundle"])
    assert "`--rerun`" in done.err
    assert len(world.engine.tasks) == 1


def test_a_run_under_a_stronger_runtime_is_returned_and_said(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    first = launched(evalctl, world, "--runtime", "runsc")
    done = evalctl("launch", world.file)
    assert done.out.splitlines()[-1] == first["bundle"]
    assert "runsc" in done.err
    assert "ran under runsc, stronger than runc" in first["deviations"][0]


def test_a_stronger_runtime_is_a_new_run(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    first = launched(evalctl, world)
    second = launched(evalctl, world, "--runtime", "runsc")
    assert (second["attempt"], second["lock"]) == (2, first["lock"])
    assert [task.profile.runtime for task in world.engine.tasks] == ["runc", "runsc"]


def test_a_blueprint_that_asks_for_the_stronger_runtime_never_gets_the_weaker(world: SmallWorld) -> None:
    sections = {"sandbox": 'runtime = "runsc"'}
    world.launch(sections=sections, runtime="runc")
    assert world.engine.tasks[0].profile.runtime == "runsc"


def test_another_key_is_a_new_run(world: SmallWorld) -> None:
    first = world.launch()
    second = world.launch(signer=BOB)
    assert (second.reused, second.attempt, first.lock == second.lock) == (False, 2, True)
    assert world.launch(signer=BOB).bundle == second.bundle
    assert world.launch().bundle == first.bundle


def test_rerun_runs_again_and_the_first_success_stays_the_answer(world: SmallWorld) -> None:
    first = world.launch()
    second = world.launch(rerun=True)
    assert (second.reused, second.bundle != first.bundle) == (False, True)
    assert world.launch().bundle == first.bundle


def fail(_: Inside) -> int:
    return 3


def exhaust(_: Inside) -> int:
    raise MemoryError


def be_killed(_: Inside) -> int:
    raise KilledError(9)


@pytest.mark.parametrize(
    ("program", "failure"), [(fail, "candidate"), (be_killed, "candidate"), (exhaust, "out-of-memory")]
)
def test_a_candidates_failure_is_an_answer(
    world: SmallWorld, evalctl: Evalctl, program: Callable[[Inside], int], failure: str
) -> None:
    world.plays(program)
    world.write()
    first = launched(evalctl, world)
    assert first["failure"] == failure
    done = evalctl("launch", world.file)
    assert (done.code, done.out.splitlines()[-1]) == (1, first["bundle"])
    assert "`--rerun`" in done.err
    assert len(world.engine.tasks) == 1

    world.plays(answer)
    again = launched(evalctl, world, "--rerun")
    assert (again["status"], again["attempt"]) == ("succeeded", 2)


def test_a_timeout_is_an_answer(world: SmallWorld, evalctl: Evalctl) -> None:
    world.plays(lambda inside: 0 if inside.stopped.wait(30) else 9)
    world.write(run='command = ["answer"]\ntimeout = "1s"')
    first = launched(evalctl, world)
    assert (first["failure"], first["deviations"]) == ("timeout", ["it was still running after 1 s"])
    done = evalctl("launch", world.file)
    assert (done.code, done.out.splitlines()[-1]) == (1, first["bundle"])
    assert "`--rerun`" in done.err


def test_an_infrastructure_failure_is_tried_again(world: SmallWorld, evalctl: Evalctl) -> None:
    def broken(_: Inside) -> int:
        raise InfrastructureError("the disk of the engine is gone", code="engine-failed")

    world.plays(broken)
    world.write()
    assert [launched(evalctl, world)["attempt"] for _ in range(2)] == [1, 2]
    world.plays(answer)
    assert launched(evalctl, world)["attempt"] == 3


def test_a_failure_after_a_success_does_not_hide_it(world: SmallWorld) -> None:
    first = world.launch()
    world.plays(fail)
    world.launch(rerun=True)
    assert world.launch().bundle == first.bundle


def test_a_bundle_that_was_thrown_away_is_made_again(world: SmallWorld) -> None:
    first = world.launch()
    first.bundle.rename(world.root / "elsewhere")
    second = world.launch()
    assert (second.reused, second.attempt) == (False, 2)


def test_two_launches_of_a_lock_give_the_same_samples_and_metrics(
    world: SmallWorld, world_template: Path, tmp_path: Path
) -> None:
    sections = {"run": 'command = ["answer"]\nseeds = [5, 6, 7]'}
    other = copy_world(world_template, tmp_path / "other")
    first, second = world.launch(sections=sections), other.launch(sections=sections)
    again = world.launch(sections=sections, rerun=True)
    assert first.lock == second.lock == again.lock
    for name in ("samples.jsonl", "lock.json", "blueprint.toml", "sbom.cdx.json"):
        assert (first.bundle / name).read_bytes() == (second.bundle / name).read_bytes()
        assert (first.bundle / name).read_bytes() == (again.bundle / name).read_bytes()
    results = [json.loads((it.bundle / "result.json").read_text()) for it in (first, second, again)]
    assert results[0]["metrics"] == results[1]["metrics"] == results[2]["metrics"]
    assert results[0]["tables"] == results[1]["tables"] == results[2]["tables"]


def test_two_launchers_of_one_lock_run_it_once(world: SmallWorld) -> None:
    started, go = threading.Event(), threading.Event()

    def slow(inside: Inside) -> int:
        started.set()
        assert go.wait(30)
        return answer(inside)

    world.plays(slow)
    world.write()
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(world.launch())) for _ in range(2)]
    threads[0].start()
    assert started.wait(30)
    threads[1].start()
    while not any("waiting" in stage for stage in world.reporter.stages):
        threads[1].join(0.01)
    go.set()
    for thread in threads:
        thread.join(30)
    assert [it.reused for it in sorted(found, key=lambda it: it.reused)] == [False, True]
    assert found[0].bundle == found[1].bundle
    assert len(world.engine.tasks) == 1


def test_different_locks_run_at_once(world: SmallWorld) -> None:
    both = threading.Barrier(2, timeout=30)

    def meet(inside: Inside) -> int:
        both.wait()
        return answer(inside)

    world.plays(meet)
    blueprints = [world.blueprint(run=f'command = ["answer"]\nseeds = [{seed}]') for seed in (1, 2)]
    threads = [threading.Thread(target=world.launch_read, args=(blueprint,)) for blueprint in blueprints]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(list(world.home.bundles.iterdir())) == 2


def test_a_key_file_that_is_named_signs_and_is_asked_for_again(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    new_key(world.root / "team")
    first = launched(evalctl, world, "--key", world.root / "team")
    assert evalctl("verify", first["bundle"]).code == 3
    assert evalctl("verify", first["bundle"], "--key", world.root / "team.pub").code == 0
    assert launched(evalctl, world, "--key", world.root / "team")["bundle"] == first["bundle"]
    assert launched(evalctl, world)["bundle"] != first["bundle"]


def test_the_list_shows_every_attempt_and_how_it_ended(world: SmallWorld, evalctl: Evalctl) -> None:
    world.plays(fail)
    world.write()
    launched(evalctl, world)
    world.plays(answer)
    launched(evalctl, world, "--rerun")
    attempts = json.loads(evalctl("list", "--json").out)["attempts"]
    assert [(it["attempt"], it["outcome"], it["failure"]) for it in attempts] == [
        (1, "failed", "candidate"),
        (2, "succeeded", None),
    ]


def test_a_finished_bundle_that_was_damaged_in_the_store_is_not_returned(world: SmallWorld) -> None:
    first = world.launch()
    samples = first.bundle / "samples.jsonl"
    samples.chmod(0o644)
    samples.write_bytes(samples.read_bytes().replace(b'"id"', b'"iD"', 1))
    again = world.launch()
    assert not again.reused
    assert again.bundle != first.bundle
