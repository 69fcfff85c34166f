"""A real engine and a tiny image for it, made from this machine's static busybox."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from launcher.engines.docker_engine import DockerEngine
from launcher.engines.engine import ContainerOutcome, ContainerTask, Engine, Mount
from launcher.spec.blueprint import MIB, Resources, Sandbox
from launcher.spec.sandbox import profile_for
from tests.engines.busybox import is_static_busybox, load_busybox, write_busybox_layout
from tests.engines.tasks import LABELS, MakeTask, Shell, Watcher


@pytest.fixture(scope="session")
def busybox_layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an image layout that holds busybox and nothing else."""
    if not is_static_busybox():
        pytest.skip("no static /bin/busybox: apt-get install busybox-static")
    return write_busybox_layout(tmp_path_factory.mktemp("busybox"), Labels={"evalctl.test": uuid4().hex})


@pytest.fixture(scope="session")
def busybox_image(docker_engine: DockerEngine, busybox_layout: Path) -> Iterator[str]:
    """Return the machine's engine's id of an image that holds busybox and nothing else."""
    yield from _loaded(docker_engine, busybox_layout)


@pytest.fixture(scope="session")
def volume_layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the layout of an image that declares a volume."""
    return write_busybox_layout(tmp_path_factory.mktemp("volume"), Volumes={"/data": {}})


@pytest.fixture(scope="session")
def volume_image(docker_engine: DockerEngine, volume_layout: Path) -> Iterator[str]:
    """Return the machine's engine's id of an image that declares a volume."""
    yield from _loaded(docker_engine, volume_layout)


def _loaded(engine: DockerEngine, layout: Path) -> Iterator[str]:
    from docker import APIClient

    image = load_busybox(engine, layout)
    yield image
    engine.remove(engine.find({"evalctl.home": LABELS["evalctl.home"]}))
    client = APIClient(timeout=60)
    client.remove_image(image, force=True)
    client.close()


@pytest.fixture(scope="session")
def own_layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the layout for engines of the tests' own: the same each time, so that they hold it once."""
    if not is_static_busybox():
        pytest.skip("no static /bin/busybox: apt-get install busybox-static")
    return write_busybox_layout(tmp_path_factory.mktemp("own"))


@pytest.fixture
def image_on(request: pytest.FixtureRequest) -> Callable[[Engine], str]:
    """Return a function that has busybox in an engine and returns its id there."""

    def have(engine: Engine) -> str:
        if isinstance(engine, DockerEngine) and engine._clients.address is None:
            return str(request.getfixturevalue("busybox_image"))
        return load_busybox(engine, request.getfixturevalue("own_layout"))

    return have


@pytest.fixture
def make_task(tmp_path: Path) -> MakeTask:
    """Return a function that makes a task with fresh folders; resources and sandbox by keyword."""

    def make(image: str, *command: str, timeout: float = 30, **changes: Any) -> ContainerTask:
        folder = tmp_path / uuid4().hex
        for name in ("outputs", "logs"):
            (folder / name).mkdir(parents=True)
        resources = {"memory": 128 * MIB, "tmp": 8 * MIB, "output": 8 * MIB, "shm": 8 * MIB, "pids": 128}
        own = {name: changes.pop(name) for name in list(changes) if name in Resources.__slots__}
        environment = changes.pop("environment", {})
        mounts: tuple[Mount, ...] = changes.pop("mounts", ())
        secrets, masked = changes.pop("secrets", {}), changes.pop("masked", {})
        log_limit = changes.pop("log_limit", 1 * MIB)
        return ContainerTask(
            name=f"evalctl-test-{folder.name}",
            image=image,
            command=command,
            environment=environment,
            working_directory="/",
            mounts=mounts,
            profile=profile_for(Resources(**{**resources, **own}), Sandbox(**changes)),
            labels=LABELS,
            timeout=timeout,
            outputs=folder / "outputs",
            logs=folder / "logs",
            log_limit=log_limit,
            secrets=secrets,
            masked=masked,
        )

    return make


@pytest.fixture
def shell(docker_engine: DockerEngine, busybox_image: str, make_task: MakeTask) -> Shell:
    """Return a function that runs a shell script in the sandbox."""

    def run(script: str, **changes: Any) -> tuple[ContainerOutcome, ContainerTask]:
        task = make_task(busybox_image, "sh", "-c", script, **changes)
        return docker_engine.run(task, Watcher(), threading.Event()), task

    return run
