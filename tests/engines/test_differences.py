"""Where engines differ, as the table of docs/engines.md has it: seen on each of them."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from docker import APIClient

from launcher.engines.engine import ContainerOutcome, ContainerTask, Engine
from tests.engines.busybox import load_busybox, write_busybox_layout
from tests.engines.tasks import MakeTask, Watcher

Seen = Callable[..., tuple[ContainerOutcome, str]]


@pytest.fixture
def kind(request: pytest.FixtureRequest, any_engine: Engine) -> str:
    return str(request.node.callspec.params["any_engine"])


@pytest.fixture
def seen(
    any_engine: Engine, engine_runtime: str, image_on: Callable[[Engine], str], make_task: MakeTask
) -> Seen:
    """Return a function that runs a script and returns the outcome and what it said."""

    def run(script: str, image: str = "", **changes: object) -> tuple[ContainerOutcome, str]:
        task: ContainerTask = make_task(
            image or image_on(any_engine), "sh", "-c", script, runtime=engine_runtime, **changes
        )
        outcome = any_engine.run(task, Watcher(), threading.Event())
        return outcome, (task.logs / "stdout").read_text()

    return run


def test_only_gvisor_on_docker_bounds_outputs_by_their_size_alone(kind: str, seen: Seen) -> None:
    script = "i=0; while [ $i -lt 2500 ] && true > /eval/out/f$i; do i=$((i+1)); done; echo $i"
    _, said = seen(script, timeout=60)
    made = int(said)
    assert made == 2500 if kind == "runsc" else 0 < made <= 2001


def test_podman_copies_what_an_image_has_below_tmp_and_docker_hides_it(
    kind: str, seen: Seen, any_engine: Engine, tmp_path: Path
) -> None:
    layout = write_busybox_layout(tmp_path / "layout", files=("tmp/own",))
    image = load_busybox(any_engine, layout)
    _, said = seen("ls /tmp", image)
    if kind == "docker":
        client = APIClient(timeout=60)
        client.remove_image(image, force=True)
        client.close()
    assert said == ("own\n" if kind.startswith("podman") else "")


def test_each_engine_mounts_the_files_that_the_table_names(kind: str, seen: Seen) -> None:
    _, said = seen("cut -d ' ' -f 5 /proc/self/mountinfo")
    places = {place for place in said.split() if place.startswith(("/etc/", "/run/"))}
    own = {"/etc/hosts", "/etc/hostname"}
    if kind.startswith("podman"):
        assert places == own | {"/etc/passwd", "/etc/group", "/run/.containerenv"}
    else:
        assert places <= own | {"/etc/resolv.conf"}


def test_gvisor_shows_nothing_of_this_machines_kernel(kind: str, seen: Seen) -> None:
    _, said = seen("cat /proc/version")
    assert (said == Path("/proc/version").read_text()) is not kind.endswith("runsc")
