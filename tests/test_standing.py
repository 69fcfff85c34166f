"""`status`, `logs`, `cancel`: what runs is shown and followed; only its own launcher is asked to stop."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from launcher.cli.logs import _Shown
from launcher.runs.request import Launched
from launcher.runs.tail import Piece
from launcher.store.naming import attempt_called
from launcher.store.processes import interrupt, own_process
from tests.conftest import Evalctl
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld, answer


@contextmanager
def running(world: SmallWorld) -> Iterator[tuple[threading.Event, "Future[Launched]"]]:
    """Run an evaluation that has said `so far` and goes on until the event is set."""
    goes_on, began = threading.Event(), threading.Event()

    def program(inside: Inside) -> int:
        began.set()
        goes_on.wait(30)
        inside.stdout += b"all"
        return answer(inside)

    world.plays(program)
    with ThreadPoolExecutor() as pool:
        launched = pool.submit(world.launch)
        try:
            assert began.wait(30)
            yield goes_on, launched
        finally:
            goes_on.set()


def attempts(evalctl: Evalctl) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(evalctl("status", "--json").out)["attempts"]
    return rows


def test_nothing_runs_in_a_new_home(evalctl: Evalctl) -> None:
    done = evalctl("status")
    assert (done.code, done.out) == (0, "")
    assert "nothing runs" in done.err
    assert attempts(evalctl) == []


def test_what_runs_is_shown_with_its_step_and_replicates(world: SmallWorld, evalctl: Evalctl) -> None:
    with running(world) as (goes_on, launched):
        (row,) = attempts(evalctl)
        assert (row["outcome"], row["step"], row["done"], row["running"]) == ("running", "run", 0, 1)
        assert (row["engine"], row["runtime"]) == ("fake 1.0", "runc")
        assert row["elapsed"] >= 0
        shown = evalctl("status")
        header, line = shown.out.splitlines()
        assert header.split() == ["id", "attempt", "state", "ended", "samples", "elapsed", "engine", "name"]
        assert line.split()[:6] == [row["id"][:8], "1", "of", "1", "run", "0/1"]
        assert line.split()[-2:] == ["fake/runc", row["name"]]
        assert all(len(each) <= 80 for each in shown.out.splitlines())
        goes_on.set()
        launched.result(30)
    assert attempts(evalctl) == []


def test_an_attempt_that_was_cut_off_is_shown_as_interrupted(world: SmallWorld, evalctl: Evalctl) -> None:
    launched = world.launch()
    (folder,) = world.home.runs.glob("*/1")
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "outcome": "interrupted", "bundle": None}))
    (row,) = attempts(evalctl)
    assert (row["outcome"], row["elapsed"]) == ("interrupted", None)
    assert launched.bundle.is_dir()


def test_logs_of_an_attempt_that_ended_come_from_its_bundle(world: SmallWorld, evalctl: Evalctl) -> None:
    world.plays(_talks)
    launched = world.launch()
    for name in (launched.lock, launched.bundle, launched.bundle.name[:8], f"{launched.lock}/1"):
        done = evalctl("logs", name)
        assert (done.code, done.out, done.err) == (0, "hello\x1b[2J", "oops")
    assert evalctl("logs", launched.lock, "--stream", "stderr").out == ""
    found = json.loads(evalctl("logs", launched.lock, "--json").out)
    assert found["files"][0] == {"phase": "run", "stream": "stdout", "bytes": 9, "text": "hello\x1b[2J"}


def test_a_replicate_that_there_is_not_is_refused(world: SmallWorld, evalctl: Evalctl) -> None:
    launched = world.launch()
    for name in (launched.lock, launched.bundle):
        done = evalctl("logs", name, "--replicate", "7")
        assert (done.code, "has no replicate 7" in done.err, "it has 1" in done.err) == (2, True, True)


def test_what_runs_is_found_by_its_name_and_listed_as_running(world: SmallWorld, evalctl: Evalctl) -> None:
    with running(world) as (goes_on, launched):
        (row,) = attempts(evalctl)
        assert evalctl("logs", row["name"]).code == 0
        assert "running" in evalctl("list").out
        (listed,) = json.loads(evalctl("list", "--json").out)["attempts"]
        assert (listed["running"], listed["outcome"]) == (True, "unfinished")
        goes_on.set()
        launched.result(30)
    assert evalctl("logs", row["name"]).code == 2
    assert "running" not in evalctl("list").out


def _talks(inside: Inside) -> int:
    inside.stdout += b"hello\x1b[2J"
    inside.stderr += b"oops"
    return answer(inside)


def test_following_goes_on_until_the_attempt_has_ended(world: SmallWorld, evalctl: Evalctl) -> None:
    with running(world) as (goes_on, _):
        threading.Timer(0.3, goes_on.set).start()
        (folder,) = world.home.runs.iterdir()
        done = evalctl("logs", "--follow", folder.name[:8])
    assert (done.code, done.out) == (0, "all")


def test_a_terminal_never_gets_a_control_character(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    shown = _Shown()
    for data in (b"a\x1b[2J\xc3", b"\xa9\tb\r\n\xff"):
        shown.write(Piece("run", "stdout", data))
    assert terminal.getvalue() == "a\\x1b[2J\xe9\tb\\r\n\\xff"


@pytest.mark.parametrize("arguments", [("logs", "no-such"), ("cancel", "no-such"), ("logs", "abc")])
def test_a_name_that_fits_nothing_is_refused(evalctl: Evalctl, arguments: tuple[str, str]) -> None:
    done = evalctl(*arguments)
    assert (done.code, "there is no attempt" in done.err) == (2, True)


def test_a_digest_that_fits_several_locks_is_refused(world: SmallWorld, evalctl: Evalctl) -> None:
    world.launch()
    for name in ("abcdef01", "abcdef02"):
        (world.home.runs / name / "1").mkdir(parents=True)
    done = evalctl("logs", "abcdef")
    assert (done.code, "may be any of 2 attempts" in done.err) == (2, True)


def test_what_has_ended_cannot_be_cancelled(world: SmallWorld, evalctl: Evalctl) -> None:
    launched = world.launch()
    done = evalctl("cancel", launched.lock)
    assert (done.code, "does not run" in done.err) == (1, True)


def test_another_process_that_got_the_number_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            asked = {**own_process(), "pid": other.pid}
            assert not interrupt(asked)
            assert not interrupt({"pid": other.pid})
            assert not interrupt({**own_process(), "boot": "another"})
            assert not interrupt({**own_process(), "pid": 1})
            time.sleep(0.1)
            assert other.poll() is None
        finally:
            other.kill()


@pytest.mark.parametrize(("at_birth", "sent"), [("SIG_DFL", signal.SIGINT), ("SIG_IGN", signal.SIGTERM)])
def test_the_process_that_is_described_is_interrupted(at_birth: str, sent: int) -> None:
    program = (
        "import json, signal, sys, time\n"
        "from launcher.store.processes import own_process\n"
        f"signal.signal(signal.SIGINT, signal.{at_birth})\n"
        "print(json.dumps(own_process()), flush=True)\ntime.sleep(60)"
    )
    root = Path(__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=root
    ) as process:
        assert process.stdout is not None
        asked = json.loads(process.stdout.readline())
        assert interrupt(asked)
        assert process.wait(30) == -sent
    assert not interrupt(asked)
    assert os.getpid() != asked["pid"]


def test_a_launcher_in_another_terminal_is_stopped_and_signs_what_was(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    root = Path(__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-m", "tests.runs.slow_launcher", world.root],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=root,
        text=True,
    ) as launcher:
        assert launcher.stdout is not None
        assert launcher.stdout.readline() == "began\n"
        (row,) = attempts(evalctl)
        done = evalctl("cancel", row["id"][:8], "--json")
        assert launcher.wait(30) == 0
        assert launcher.stdout.read() == "ended\n"
    assert done.code == 0, done.err
    said = json.loads(done.out)
    assert (said["invocation_id"], said["outcome"]) == (row["id"], "failed")
    bundle = world.home.bundle(said["bundle"])
    assert json.loads((bundle / "result.json").read_text())["failure"] == "interrupted"
    assert evalctl("verify", bundle).code == 0
    assert attempts(evalctl) == []


def test_an_attempt_is_found_by_the_start_of_its_id(world: SmallWorld) -> None:
    world.launch()
    (folder,) = world.home.runs.glob("*/1")
    state = json.loads((folder / "state.json").read_text())
    assert attempt_called(world.home, state["invocation_id"][:6]).folder == folder
