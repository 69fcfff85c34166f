import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from docker import APIClient

from launcher.engines.docker_engine import DockerEngine
from launcher.engines.reaper import reap

pytestmark = pytest.mark.engine


@pytest.fixture
def client() -> Iterator[APIClient]:
    client = APIClient(timeout=30)
    yield client
    client.close()


def states(client: APIClient, home: str) -> list[str]:
    return [item["State"] for item in client.containers(all=True, filters={"label": f"evalctl.home={home}"})]


def wait_for(client: APIClient, home: str, state: str) -> None:
    deadline = time.monotonic() + 60
    while states(client, home) != [state]:
        assert time.monotonic() < deadline, states(client, home)
        time.sleep(0.05)


def test_a_container_ends_by_itself_when_its_launcher_is_killed_and_is_then_reaped(
    docker_engine: DockerEngine, busybox_image: str, client: APIClient, tmp_path: Path
) -> None:
    home = f"test-{uuid4().hex}"
    program = [sys.executable, "-m", "tests.engines.crash_launcher"]
    launcher = subprocess.Popen(
        [*program, busybox_image, home, str(tmp_path / uuid4().hex)], cwd=Path(__file__).parents[2]
    )
    try:
        wait_for(client, home, "running")
        assert reap(docker_engine, home, lambda attempt: attempt == "crashed") == ()
        launcher.kill()
        launcher.wait(timeout=10)
        wait_for(client, home, "exited")
        assert reap(docker_engine, home, lambda attempt: False) == ("crashed",)
        assert states(client, home) == []
    finally:
        launcher.kill()
        launcher.wait(timeout=10)
        docker_engine.remove(docker_engine.find({"evalctl.home": home}))


def test_removing_a_container_that_is_gone_is_no_fault(docker_engine: DockerEngine) -> None:
    docker_engine.remove(["0" * 64])
