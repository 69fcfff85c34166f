"""Which engine a command takes: by name, by what the environment says, by the sockets that are there."""

from pathlib import Path

import pytest

from launcher.cli.connect import address, connect
from launcher.engines.choice import open_engine
from launcher.errors import MalformedError, RequirementError
from scripts.test_engines import OwnEngine
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld

DOCKER, PODMAN = "unix:///docker.sock", "unix:///podman.sock"


def test_what_the_environment_names_is_taken() -> None:
    assert address(None, {"DOCKER_HOST": DOCKER, "CONTAINER_HOST": PODMAN}) == DOCKER
    assert address(None, {"CONTAINER_HOST": PODMAN}) == PODMAN
    assert address("podman", {"DOCKER_HOST": DOCKER, "CONTAINER_HOST": PODMAN}) == PODMAN
    assert address("podman", {"DOCKER_HOST": PODMAN}) == PODMAN
    assert address("docker", {"CONTAINER_HOST": PODMAN}) != PODMAN


def test_a_users_own_podman_is_looked_for_where_its_service_is(tmp_path: Path) -> None:
    found = address("podman", {"XDG_RUNTIME_DIR": str(tmp_path)})
    assert found.endswith("/podman/podman.sock")


def test_an_engine_that_nobody_knows_is_refused() -> None:
    with pytest.raises(MalformedError, match="there is no engine `lxc`"):
        connect("lxc")


def test_a_launch_that_would_ask_no_engine_refuses_the_name_of_none_too(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    assert evalctl("launch", world.file).code == 0
    done = evalctl("launch", world.file, "--engine", "lxc")
    assert (done.code, "expected docker or podman" in done.err) == (2, True)


@pytest.mark.engine
def test_what_answers_is_asked_what_it_is(own_podman: OwnEngine, own_docker: OwnEngine) -> None:
    for engine, name, other in ((own_podman, "podman", "docker"), (own_docker, "docker", "podman")):
        opened = open_engine(engine.address, name)  # type: ignore[arg-type]
        assert opened.describe().name == name
        assert opened.describe().gpu_driver == {"podman": "cdi", "docker": "nvidia"}[name]
        opened.close()
        with pytest.raises(RequirementError, match=f"what answers is {name}, not {other}"):
            open_engine(engine.address, other)  # type: ignore[arg-type]
