"""A state folder under every engine, and things with labels that every engine finds and removes."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from docker import APIClient
from msgspec.structs import replace

from launcher.engines.engine import ContainerTask, Engine
from launcher.engines.reaper import reap
from launcher.runs.resuming import SWEEP
from launcher.spec.sandbox import STATE, State
from tests.engines.tasks import LABELS, MakeTask, Watcher

SCRIPT = "cat /eval/state/n; echo $(($(cat /eval/state/n 2>/dev/null || echo 0) + 1)) > /eval/state/n"


def with_state(task: ContainerTask, state: Path) -> ContainerTask:
    return replace(task, state=state, profile=replace(task.profile, state=State(STATE, 1 << 20, 4096)))


def test_what_is_written_to_the_state_is_there_in_the_next_container(
    any_engine: Engine,
    engine_runtime: str,
    image_on: Callable[[Engine], str],
    make_task: MakeTask,
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    for _ in range(2):
        task = with_state(make_task(image_on(any_engine), "sh", "-c", SCRIPT, runtime=engine_runtime), state)
        assert any_engine.run(task, Watcher(), threading.Event()).exit_code == 0
    assert (state / "n").read_text() == "2\n"
    assert (state / "n").stat().st_uid == 65532
    assert (task.logs / "stdout").read_text() == "1\n"


HOSTILE = (
    "cd /eval/state; mkdir -p shut/below .hidden ..odd; touch shut/below/f -- -rf; ln -s /etc l; chmod 0 shut"
)


@pytest.mark.engine
def test_a_state_is_emptied_by_the_containers_own_user(
    docker_engine: Engine, image_on: Callable[[Engine], str], make_task: MakeTask, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o777)
    for script, left in ((HOSTILE, 5), (SWEEP, 0)):
        task = with_state(make_task(image_on(docker_engine), "sh", "-c", script), state)
        docker_engine.run(task, Watcher(), threading.Event())
        assert len(list(state.iterdir())) == left


@pytest.mark.engine
def test_networks_and_volumes_of_the_dead_are_found_by_their_labels_and_removed(
    docker_engine: Engine,
) -> None:
    client = APIClient(timeout=30)
    volume = client.create_volume(labels=LABELS)["Name"]
    try:
        assert list(docker_engine.find(LABELS, "volume")) == [volume]
        assert docker_engine.find(LABELS, "network") == {}
        assert reap(docker_engine, LABELS["evalctl.home"], lambda _: True) == ()
        assert reap(docker_engine, LABELS["evalctl.home"], lambda _: False) == ("test",)
        assert docker_engine.find(LABELS, "volume") == {}
        docker_engine.remove([volume], "volume")
        docker_engine.remove(["0" * 64], "network")
    finally:
        client.close()
