"""A person inside the sandbox: the same request but for our first process, and bytes both ways."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from launcher.engines.docker_engine import DockerEngine
from launcher.engines.docker_request import container_request, session_request
from launcher.engines.engine import ContainerTask, Engine, Interaction
from tests.engines.real_engines import ENGINES
from tests.engines.tasks import LABELS, MakeTask
from tests.fakes.console import FakeConsole
from tests.fakes.engine import FakeEngine, Program, World


def _echo(world: World) -> int:
    world.stdout += world.stdin.upper()
    world.stderr += b"done"
    return 3


def _never(world: World) -> int:
    world.stopped.wait()
    return 0


SCRIPTS: dict[str, tuple[str, Program]] = {
    "echoes": ("tr a-z A-Z; printf done >&2; exit 3", _echo),
    "never-ends": ("trap '' TERM HUP INT; while :; do sleep 1; done", _never),
}


@dataclass(frozen=True)
class Rig:
    engine: Engine
    make: Callable[[str], ContainerTask]

    def start(
        self, script: str, console: FakeConsole, cancel: threading.Event | None = None
    ) -> Future[Interaction]:
        with ThreadPoolExecutor() as pool:
            return pool.submit(self.engine.interact, self.make(script), console, cancel or threading.Event())


@pytest.fixture(params=["fake", *(pytest.param(name, marks=pytest.mark.engine) for name in ENGINES)])
def rig(request: pytest.FixtureRequest, make_task: MakeTask) -> Iterator[Rig]:
    if request.param == "fake":
        engine = FakeEngine({name: program for name, (_, program) in SCRIPTS.items()})
        yield Rig(engine, lambda script: make_task("image", script))
        return
    real: Engine = request.getfixturevalue(f"{request.param}_engine")
    image, runtime = request.getfixturevalue("image_on")(real), ENGINES[request.param]
    yield Rig(real, lambda script: make_task(image, "sh", "-c", SCRIPTS[script][0], runtime=runtime))


def test_what_is_piped_in_comes_through_and_the_streams_stay_apart(rig: Rig) -> None:
    console = FakeConsole()
    console.type("hello\n")
    console.hang_up()
    outcome = rig.start("echoes", console).result(60)
    assert (bytes(console.out), bytes(console.err)) == (b"HELLO\n", b"done")
    assert (outcome.exit_code, outcome.cancelled, outcome.oom_killed) == (3, False, False)
    assert outcome.seconds > 0
    assert rig.engine.find(LABELS) == {}


def test_cancelling_ends_a_session(rig: Rig) -> None:
    console, cancel = FakeConsole(), threading.Event()
    console.hang_up()
    timer = threading.Timer(1.0, cancel.set)
    timer.start()
    assert rig.start("never-ends", console, cancel).result(60).cancelled is True
    assert rig.engine.find(LABELS) == {}


def test_a_command_that_is_not_there_ends_with_127(make_task: MakeTask) -> None:
    console = FakeConsole()
    console.hang_up()
    outcome = FakeEngine({}).interact(make_task("image", "nope"), console, threading.Event())
    assert outcome.exit_code == 127


def test_a_session_differs_from_a_run_in_our_first_process_alone(make_task: MakeTask) -> None:
    task = make_task("image", "answer", "x")
    run, session = container_request(task), session_request(task, terminal=True)
    assert {key for key in run if run[key] != session[key]} == {"Entrypoint", "Tty", "HostConfig"}
    before, after = run["HostConfig"], session["HostConfig"]
    assert {key for key in before if before[key] != after[key]} == {"Mounts"}
    moved = [new for old, new in zip(before["Mounts"], after["Mounts"], strict=True) if old != new]
    assert [mount["Target"] for mount in moved] == session["Entrypoint"] == [f"/.{task.name}/attend"]
    assert session["Cmd"] == run["Cmd"]


@dataclass(frozen=True)
class Room:
    """A real engine with a console that plays a terminal."""

    engine: DockerEngine
    task: Callable[[str], ContainerTask]
    console: FakeConsole

    def enter(self, script: str) -> Future[Interaction]:
        pool = ThreadPoolExecutor()
        future = pool.submit(self.engine.interact, self.task(script), self.console, threading.Event())
        pool.shutdown(wait=False)
        return future


@pytest.fixture
def room(docker_engine: DockerEngine, busybox_image: str, make_task: MakeTask) -> Room:
    return Room(
        docker_engine,
        lambda script: make_task(busybox_image, "sh", "-c", script),
        FakeConsole(is_terminal=True, size=(33, 101)),
    )


@pytest.mark.engine
def test_a_terminal_has_the_size_of_the_person_s_and_follows_it(room: Room) -> None:
    ending = room.enter("while read line; do stty size; done")
    time.sleep(1)
    room.console.type("\n")
    room.console.wait_for("33 101")
    room.console.size = (40, 120)
    time.sleep(1)
    room.console.type("\n")
    room.console.wait_for("40 120")
    room.console.type("\x04")
    assert ending.result(60).exit_code == 0


@pytest.mark.engine
def test_ctrl_c_ends_a_command_that_handles_no_signal(room: Room) -> None:
    ending = room.enter("echo ready; exec sleep 100")
    room.console.wait_for("ready")
    room.console.type("\x03")
    outcome = ending.result(60)
    assert (outcome.exit_code, outcome.cancelled) == (130, False)


@pytest.mark.engine
def test_a_shell_without_job_control_works_as_a_person_expects(room: Room) -> None:
    ending = room.enter("exec sh +m -i")
    room.console.wait_for("$ ")
    room.console.type("echo $((6 * 7))\n")
    room.console.wait_for("\n42")
    room.console.type("sleep 100\n")
    time.sleep(0.5)
    room.console.type("\x03")
    room.console.type("echo still $((6 * 8))\n")
    room.console.wait_for("still 48")
    room.console.type("exit 9\n")
    assert ending.result(60).exit_code == 9


@pytest.mark.engine
def test_a_terminal_that_hangs_up_ends_the_session(room: Room) -> None:
    ending = room.enter("trap '' HUP INT TERM; echo ready; while :; do sleep 1; done")
    room.console.wait_for("ready")
    room.console.hang_up()
    assert ending.result(60).cancelled is True
    assert room.engine.find(LABELS) == {}


@pytest.mark.engine
def test_output_that_nobody_reads_ends_the_session(room: Room) -> None:
    room.console.deaf = True
    assert room.enter("yes").result(60).cancelled is True


@pytest.mark.engine
def test_whatever_the_command_left_running_ends_with_it(room: Room) -> None:
    ending = room.enter("(trap '' HUP INT TERM; sleep 100) & echo ready; exit 5")
    assert ending.result(60).exit_code == 5


@pytest.mark.engine
def test_programs_that_cannot_be_started_are_told_apart(
    docker_engine: DockerEngine, busybox_image: str, make_task: MakeTask
) -> None:
    for program, code in (("no-such-program", 127), ("/etc/hosts", 126)):
        console = FakeConsole()
        console.hang_up()
        task = make_task(busybox_image, program)
        assert docker_engine.interact(task, console, threading.Event()).exit_code == code


@pytest.mark.engine
def test_the_first_program_of_the_search_path_is_found_in_an_image(
    docker_engine: DockerEngine, busybox_image: str
) -> None:
    find = docker_engine.default_command
    assert find(busybox_image, ("no-such", "sh", "ls"), LABELS) == ("/bin/sh",)
    assert find(busybox_image, ("etc", "no-such"), LABELS) == ()
    assert docker_engine.find(LABELS) == {}


@pytest.mark.engine
def test_a_flood_goes_through_whole_both_ways(
    docker_engine: DockerEngine, busybox_image: str, make_task: MakeTask
) -> None:
    console, data = FakeConsole(), "0123456789abcdef" * (1 << 16)
    typist = threading.Thread(target=lambda: (console.type(data), console.hang_up()))
    typist.start()
    outcome = docker_engine.interact(make_task(busybox_image, "cat"), console, threading.Event())
    typist.join(60)
    assert outcome.exit_code == 0
    assert bytes(console.out) == data.encode()
