"""The engines of the tests' own: each runs a task, and what a killed session left of one is no hindrance."""

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from launcher.engines.docker_engine import DockerEngine
from launcher.engines.engine import ContainerTask, Engine
from launcher.errors import EvalctlError
from scripts.daemons import end_all, processes_below, until
from scripts.test_engines import OwnEngine, place
from tests.engines.tasks import MakeTask, Watcher


def test_a_task_runs_on_every_engine(
    any_engine: Engine, engine_runtime: str, image_on: Callable[[Engine], str], make_task: MakeTask
) -> None:
    task = make_task(image_on(any_engine), "sh", "-c", "exit 3", runtime=engine_runtime)
    assert any_engine.run(task, Watcher(), threading.Event()).exit_code == 3


@pytest.mark.engine
def test_an_engine_that_was_killed_starts_again_at_its_address(restartable_engine: OwnEngine) -> None:
    restartable_engine.kill()
    restartable_engine.start_daemon()
    assert DockerEngine(restartable_engine.address).describe().name == "docker"


@pytest.mark.engine
def test_what_a_killed_session_left_is_ended_by_the_next(
    restartable_engine: OwnEngine, image_on: Callable[[Engine], str], make_task: MakeTask
) -> None:
    engine = DockerEngine(restartable_engine.address)
    task = make_task(image_on(engine), "sleep", "61.25")
    thread = threading.Thread(target=_run_to_any_end, args=(engine, task))
    thread.start()
    until(lambda: bool(_called("sleep\0" + "61.25")))
    assert _called("sleep\0" + "61.25")
    end_all(restartable_engine.folder)
    assert processes_below(restartable_engine.folder) == []
    assert _called("sleep\0" + "61.25") == []
    thread.join(timeout=30)
    restartable_engine.start()
    assert DockerEngine(restartable_engine.address).describe().name == "docker"


def _run_to_any_end(engine: Engine, task: ContainerTask) -> None:
    with suppress(EvalctlError):
        engine.run(task, Watcher(), threading.Event())


def _called(words: str) -> list[str]:
    """Return the processes with `words` on their command line."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found += [entry.name] if words in (entry / "cmdline").read_text(errors="replace") else []
    return found


def test_a_checkout_that_lies_deep_gets_a_folder_short_enough_for_sockets(tmp_path: Path) -> None:
    assert len(str(place(tmp_path / ("deep" * 30), "podman-tests-0") / "engine.sock")) <= 107


def test_a_wrong_word_is_answered_with_the_usage() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scripts.test_engines", "begin", "podman"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "start|stop" in done.stderr) == (2, True)
