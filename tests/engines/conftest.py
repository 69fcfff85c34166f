"""A real engine and a tiny image for it, made from this machine's static busybox."""

import io
import json
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from launcher.engines.docker_engine import DockerEngine
from launcher.engines.engine import ContainerOutcome, ContainerTask, Mount
from launcher.errors import EvalctlError
from launcher.spec.blueprint import MIB, Resources, Sandbox
from launcher.spec.sandbox import profile_for
from tests.engines.tasks import LABELS, MakeTask, Shell, Watcher

BUSYBOX = Path("/bin/busybox")


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[DockerEngine]:
    engine = DockerEngine()
    try:
        engine.describe()
    except EvalctlError as error:
        pytest.skip(f"no Docker Engine to test with: {error.context}")
    yield engine
    engine.remove(engine.find({"evalctl.home": LABELS["evalctl.home"]}))
    engine.close()


@pytest.fixture(scope="session")
def busybox_image(docker_engine: DockerEngine) -> Iterator[str]:
    """Return the engine's id of an image that holds busybox and nothing else."""
    from docker import APIClient

    if not BUSYBOX.is_file() or b"statically" not in _described(BUSYBOX):
        pytest.skip("no static /bin/busybox: apt-get install busybox-static")
    client = APIClient(timeout=60)
    answer = client.import_image_from_data(_root_file_system(), repository=f"evalctl-test-{uuid4().hex}")
    image = str(json.loads(answer.splitlines()[-1])["status"])
    yield image
    client.remove_image(image, force=True)
    client.close()


@pytest.fixture(scope="session")
def volume_image(busybox_image: str) -> Iterator[str]:
    """Return the engine's id of an image that declares a volume."""
    from docker import APIClient

    client = APIClient(timeout=60)
    recipe = f"FROM {busybox_image}\nVOLUME /data\n".encode()
    messages = list(client.build(fileobj=io.BytesIO(recipe), rm=True, decode=True))
    image = next(message["aux"]["ID"] for message in messages if "aux" in message)
    yield image
    client.remove_image(image, force=True)
    client.close()


def _described(program: Path) -> bytes:
    """Say `statically` of an ELF file that names no interpreter."""
    return b"" if b"ld-linux" in program.read_bytes()[:4096] else b"statically"


def _root_file_system() -> bytes:
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(BUSYBOX, "bin/busybox")
        for applet in applets:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "/bin/busybox"
            if applet != "busybox":
                archive.addfile(link)
        for folder in ("tmp", "etc", "eval"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
    return buffer.getvalue()


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
        secrets = changes.pop("secrets", {})
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
        )

    return make


@pytest.fixture
def shell(docker_engine: DockerEngine, busybox_image: str, make_task: MakeTask) -> Shell:
    """Return a function that runs a shell script in the sandbox."""

    def run(script: str, **changes: Any) -> tuple[ContainerOutcome, ContainerTask]:
        task = make_task(busybox_image, "sh", "-c", script, **changes)
        return docker_engine.run(task, Watcher(), threading.Event()), task

    return run
