"""`evalctl shell`: the sandbox of a launch, and nothing left of it."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from launcher.engines.docker_request import container_request
from launcher.store.attempts import begin_session
from launcher.store.closing import close_dead_attempts
from launcher.store.liveness import forget_attempt
from tests.conftest import Evalctl
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld


def look(inside: Inside) -> int:
    """Say what is seen inside."""
    config = json.loads(inside.mounts["/eval/config.json"].read_text())
    inside.stdout += f"seed {inside.environment['EVALCTL_SEED']} replicate {config['replicate']}\n".encode()
    inside.stderr += b"to stderr\n"
    (inside.outputs / "samples.jsonl").write_text("not kept")
    return len(inside.arguments) - 1


@pytest.fixture(autouse=True)
def program(world: SmallWorld) -> None:
    world.write(run='command = ["answer"]\nseeds = [5, 6]')
    world.plays(look, "look")


def test_a_command_runs_and_its_streams_come_through(world: SmallWorld, evalctl: Evalctl) -> None:
    done = evalctl("shell", world.file, "--", "look")
    assert (done.code, done.out) == (0, "seed 5 replicate 0\n")
    assert "to stderr" in done.err
    assert "look ended with exit code 0; /eval/out was in the container's memory" in done.err


def test_a_command_that_fails_exits_one(world: SmallWorld, evalctl: Evalctl) -> None:
    done = evalctl("shell", world.file, "--", "look", "--json")
    assert (done.code, done.out) == (1, "seed 5 replicate 0\n")
    assert "exit code 1" in done.err


def test_the_sandbox_is_that_of_a_launch(world: SmallWorld, evalctl: Evalctl) -> None:
    assert evalctl("shell", world.file, "--replicate", "1", "--", "look").code == 0
    world.launch_read(world.read())
    session, _, run = (world.engine.tasks[0], *sorted(world.engine.tasks[1:], key=lambda task: task.name))
    same = {"name": run.name, "command": run.command, "labels": run.labels, "mounts": run.mounts}
    assert container_request(replace(session, **same)) == container_request(run)
    own = {mount.target: mount.source for mount in session.mounts if mount.target != "/eval/config.json"}
    assert own == {mount.target: mount.source for mount in run.mounts if mount.target != "/eval/config.json"}


def test_nothing_is_kept_and_no_attempt_is_begun(world: SmallWorld, evalctl: Evalctl) -> None:
    bundles = world.home.bundles.exists()
    assert evalctl("shell", world.file, "--", "look").code == 0
    assert world.home.bundles.exists() == bundles
    assert not world.home.runs.exists()
    assert [list((world.home.root / name).iterdir()) for name in ("sessions", "live", "unborn")] == [
        [],
        [],
        [],
    ]
    assert world.engine.containers == {}
    assert json.loads(evalctl("list", "--json").out) == {"attempts": []}


def test_the_first_shell_of_the_image_is_taken(world: SmallWorld, evalctl: Evalctl) -> None:
    for name, arguments in (("python3", 2), ("sh", 1), ("bash", 2)):
        world.plays(look, name)
        done = evalctl("shell", world.file)
        assert (done.code, f"{name} ended with exit code {arguments};" in done.err) == (0, True)


def test_an_image_without_a_shell_gives_its_own_command_or_says_so(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    done = evalctl("shell", world.file)
    assert done.code == 2
    assert "`evalctl shell FILE -- PROGRAM`" in done.err
    world.engine.own_command = ("look", "x")
    assert "look ended with exit code 1" in evalctl("shell", world.file).err


def test_json_is_one_object_on_stdout(world: SmallWorld, evalctl: Evalctl) -> None:
    done = evalctl("shell", world.file, "--json", "--", "look", "x")
    found = json.loads(done.out)
    assert (done.code, found["exit_code"], found["command"]) == (1, 1, ["look", "x"])
    assert found["lock"] == world.resolve_file().lock.digest
    assert "seed 5" in done.err


def test_a_program_that_is_not_there_is_said_to_be_missing(world: SmallWorld, evalctl: Evalctl) -> None:
    done = evalctl("shell", world.file, "--", "nope")
    assert done.code == 1
    assert "nope could not be started: it is not there" in done.err


def test_a_program_beyond_its_memory_is_said_to_be(world: SmallWorld, evalctl: Evalctl) -> None:
    def exhaust(_: Inside) -> int:
        raise MemoryError

    world.plays(exhaust, "exhaust")
    assert "memory was used up" in evalctl("shell", world.file, "--", "exhaust").err


def test_a_replicate_that_is_not_there_is_refused(world: SmallWorld, evalctl: Evalctl) -> None:
    done = evalctl("shell", world.file, "--replicate", "2", "--", "look")
    assert (done.code, "has 2, from 0" in done.err) == (2, True)


def test_what_a_launch_refuses_a_shell_refuses(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write(resources="cpus = 4000")
    assert evalctl("shell", world.file, "--", "look").code == 6
    world.engine.reachable = False
    assert evalctl("shell", world.file, "--", "look").code == 4


def test_a_lock_opens_the_same_sandbox(world: SmallWorld, evalctl: Evalctl) -> None:
    assert evalctl("resolve", world.file).code == 0
    assert evalctl("shell", world.file.with_name("blueprint.lock.json"), "--", "look").code == 0


def test_a_dead_session_s_folder_is_removed_with_it(world: SmallWorld) -> None:
    with begin_session(world.home, "sha256:x") as session:
        assert close_dead_attempts(world.home) == []
        mark = (world.home.root / "live" / session.invocation_id).read_bytes()
    folder = world.home.root / "sessions" / "dead"
    (folder / "work").mkdir(parents=True)
    (world.home.root / "live" / "dead").write_bytes(mark.rpartition(b"/")[0] + b"/dead")
    assert close_dead_attempts(world.home) == ["dead"]
    assert not folder.exists()
    forget_attempt(world.home, "dead")
    assert close_dead_attempts(world.home) == []


def test_a_mark_that_leads_elsewhere_removes_nothing(world: SmallWorld, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (world.home.root / "live").mkdir(exist_ok=True)
    marks = (str(precious), "sessions/../../precious", "sessions", "sessions/..", "", "sessions/a/b")
    for number, mark in enumerate(marks):
        (world.home.root / "live" / f"dead-{number}").write_text(mark)
    (world.home.root / "sessions" / "a" / "b").mkdir(parents=True)
    close_dead_attempts(world.home)
    assert precious.is_dir()
    assert (world.home.root / "sessions" / "a" / "b").is_dir()
    assert world.home.default_key.is_file()
