"""`/eval/state` goes from attempt to attempt of one lock, watched, until the lock has its answer."""

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from launcher.errors import InfrastructureError, RequirementError
from launcher.runs import resuming
from launcher.spec.result import Result
from launcher.spec.sandbox import State
from launcher.store.measure import MAX_DEPTH, measure
from tests.conftest import Evalctl
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld, answer

RUN = 'command = ["answer"]\nresumable = true'


def state_of(inside: Inside) -> Path:
    return inside.mounts["/eval/state"]


class Counting:
    """Counts in its state how often it was begun; its engine dies until it was begun often enough."""

    def __init__(self, enough: int) -> None:
        self.enough = enough

    def __call__(self, inside: Inside) -> int:
        place = state_of(inside) / "count"
        count = 1 + (int(place.read_text()) if place.exists() else 0)
        place.write_text(str(count))
        if count < self.enough:
            raise InfrastructureError("the engine was restarted", code="engine-unreachable")
        return answer(inside)


def result_of(bundle: Path) -> Result:
    return Result.from_json(json.loads((bundle / "result.json").read_text()))


def facts_of(bundle: Path) -> dict[str, Any]:
    facts = json.loads((bundle / "environment.json").read_text())["facts"]
    return {fact["name"]: fact["value"] for fact in facts}


def launch(world: SmallWorld, run: str = RUN, **request: Any) -> Path:
    return world.launch(sections={"run": run, **request.pop("sections", {})}, **request).bundle


def states(world: SmallWorld) -> list[Path]:
    return sorted(world.home.runs.glob("*/state/*/data"))


def test_an_attempt_goes_on_with_the_state_of_those_before(world: SmallWorld) -> None:
    world.plays(Counting(3))
    assert [result_of(launch(world)).failure for _ in range(2)] == ["engine", "engine"]
    bundle = launch(world)
    result = result_of(bundle)
    assert (result.attempt, result.status) == (3, "succeeded")
    assert "replicate 0: resumed, attempts 1-3 fed `/eval/state`" in result.deviations
    assert facts_of(bundle)["state.bound"] == "watched"
    assert facts_of(bundle)["state.attempts"] == {"0": [1, 2, 3]}
    assert world.verify(bundle).verdict == "verified"
    assert not any("state" in path.name for path in bundle.rglob("*"))


def test_it_is_gone_once_the_lock_has_its_answer(world: SmallWorld) -> None:
    world.plays(Counting(2))
    launch(world)
    assert len(states(world)) == 1
    launch(world)
    assert states(world) == []
    assert [path.name for path in world.home.runs.glob("*/*/*")] == ["state.json", "state.json"]


def test_a_first_attempt_that_succeeds_is_not_called_resumed(world: SmallWorld) -> None:
    world.plays(Counting(1))
    assert not any("resumed" in text for text in result_of(launch(world)).deviations)


def test_what_this_user_may_not_empty_is_emptied_by_the_containers(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def program(inside: Inside) -> int:
        (state_of(inside) / "theirs").write_text("x")
        return answer(inside)

    def sweep(inside: Inside) -> int:
        assert set(inside.mounts) == {"/eval/state"}
        (state_of(inside) / "theirs").unlink()
        return 0

    def remove_if_empty(folder: Path) -> bool:
        return not any(folder.iterdir())

    monkeypatch.setattr(resuming, "remove_tree", remove_if_empty)
    world.plays(program)
    world.plays(sweep, "/bin/sh")
    bundle = launch(world)
    assert [task.command[0] for task in world.engine.tasks] == ["answer", "/bin/sh"]
    assert states(world) == []
    assert world.verify(bundle).verdict == "verified"


def test_no_other_lock_and_no_run_from_nothing_sees_it(world: SmallWorld) -> None:
    seen: list[list[str]] = []

    def program(inside: Inside) -> int:
        seen.append(sorted(path.name for path in state_of(inside).iterdir()))
        (state_of(inside) / "mine").write_text("x")
        raise InfrastructureError("the engine was restarted", code="engine-unreachable")

    world.plays(program)
    launch(world)
    launch(world, sections={"config": "temperature = 0.7"})
    launch(world, rerun=True)
    launch(world)
    assert seen == [[], [], [], ["mine"]]


def test_each_replicate_has_its_own(world: SmallWorld) -> None:
    world.plays(Counting(1))
    launch(world, RUN + "\nseeds = [1, 2, 3]")
    assert {task.state.parent.name for task in world.engine.tasks if task.state} == {"0", "1", "2"}


def test_the_container_that_scores_sees_no_state(world: SmallWorld) -> None:
    world.plays(Counting(1))
    world.plays(lambda inside: int("/eval/state" in inside.mounts) or answer(inside), "score")
    bundle = launch(world, sections={"score": 'command = ["score"]', "labels": None})
    assert [task.state is None for task in world.engine.tasks] == [False, True]
    assert bundle.is_dir()


def test_resumable_is_in_the_identity_of_the_sandbox(world: SmallWorld) -> None:
    lock = world.resolve(run=RUN).lock
    assert lock.identity["sandbox"]["state"]["path"] == "/eval/state"
    assert "state" not in world.resolve().lock.identity["sandbox"]


def wait_until_stopped(inside: Inside) -> int:
    inside.stopped.wait(30)
    return 0


def fill_bytes(inside: Inside) -> int:
    with (state_of(inside) / "sparse").open("wb") as stream:
        stream.truncate(17 << 20)
    return wait_until_stopped(inside)


def fill_inodes(inside: Inside) -> int:
    for number in range(5000):
        (state_of(inside) / f"{number}").touch()
    return wait_until_stopped(inside)


def nest(inside: Inside) -> int:
    place = state_of(inside)
    for _ in range(MAX_DEPTH + 2):
        place = place / "d"
        place.mkdir()
    return wait_until_stopped(inside)


@pytest.mark.parametrize(
    ("program", "said"),
    [(fill_bytes, "grew beyond"), (fill_inodes, "files and folders"), (nest, "nested more than")],
)
def test_a_state_that_outgrows_its_bound_stops_the_run(world: SmallWorld, program: Any, said: str) -> None:
    world.plays(program)
    result = result_of(launch(world))
    assert (result.failure, said in result.deviations[0]) == ("disk", True)
    assert states(world) == []


def test_one_that_outgrew_it_at_the_very_end_is_found_too(world: SmallWorld) -> None:
    def program(inside: Inside) -> int:
        (state_of(inside) / "large").write_bytes(bytes(17 << 20))
        return answer(inside)

    world.plays(program)
    assert result_of(launch(world)).failure == "disk"


def test_a_nearly_full_disk_stops_the_run_and_keeps_its_state(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def program(inside: Inside) -> int:
        (state_of(inside) / "mine").write_text("x")
        monkeypatch.setattr(resuming, "LEAST_FREE", 1 << 62)
        return wait_until_stopped(inside)

    world.plays(program)
    result = result_of(launch(world))
    assert (result.failure, "bytes left" in result.deviations[0]) == ("engine", True)
    assert [path.name for folder in states(world) for path in folder.iterdir()] == ["mine"]


def test_a_disk_without_room_is_a_requirement_unmet(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "LEAST_FREE", 1 << 62)
    with pytest.raises(RequirementError) as caught:
        launch(world)
    assert caught.value.code == "disk-too-small"
    assert list(world.home.runs.glob("*/[0-9]*")) == []


def test_plan_shows_it_and_shell_gets_one_of_its_own(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write(run=RUN)
    planned = json.loads(evalctl("plan", world.file, "--json").out)["disk"]["attempt"]
    assert "/eval/state (kept, watched)" in " ".join(evalctl("plan", world.file).out.split())
    world.write()
    assert planned - json.loads(evalctl("plan", world.file, "--json").out)["disk"]["attempt"] == 16 << 20
    world.write(run=RUN)
    world.plays(Counting(2))
    launch(world)
    seen: list[int] = []
    world.plays(lambda inside: seen.append(len(list(state_of(inside).iterdir()))) or 0, "look")
    assert evalctl("shell", world.file, "--", "look").code == 0
    assert seen == [0]
    assert not list((world.home.root / "sessions").iterdir())


def test_a_measure_counts_what_lies_below_and_follows_nothing(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(bytes(1 << 20))
    folder = tmp_path / "state"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "link").symlink_to(tmp_path)
    (folder / "file").write_bytes(b"x" * 10)
    (folder / os.fsdecode(b"\xff\n")).write_bytes(b"")
    found = measure(folder, 100)
    assert (found.entries, found.hidden) == (4, "")
    assert found.bytes < 1 << 16


def test_a_measure_of_a_folder_that_changes_under_it_does_not_fail(tmp_path: Path) -> None:
    over = threading.Event()

    def change() -> None:
        while not over.is_set():
            (tmp_path / "d" / "e").mkdir(parents=True, exist_ok=True)
            (tmp_path / "d" / "f").write_bytes(b"x")
            (tmp_path / "d" / "f").unlink()
            (tmp_path / "d" / "e").rmdir()

    thread = threading.Thread(target=change)
    thread.start()
    try:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            assert measure(tmp_path, 100).hidden == ""
    finally:
        over.set()
        thread.join()


def test_a_state_within_its_bounds_breaches_nothing(tmp_path: Path) -> None:
    for number in range(4000):
        (tmp_path / str(number)).touch()
    watch = resuming.StateWatch(tmp_path, State("/eval/state", 1 << 30, 1 << 16), threading.Event())
    watch.look()
    assert watch.judge(None, "") == (None, "")
    assert watch.judge("timeout", "why") == ("timeout", "why")
