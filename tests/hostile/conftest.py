"""The hostile evaluation as a repository of its own, and a host full of canaries around it."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hostile.host import Host
from tests.hostile.launching import LAYOUT, Hostile, make_code

# The fixture that lends each engine, and the variable that leads to it.
ENGINES = {
    "docker-runc": ("docker_engine", ""),
    "docker-runsc": ("own_docker", "DOCKER_HOST"),
    "podman-runc": ("own_podman", "CONTAINER_HOST"),
}


@pytest.fixture(scope="session")
def hostile_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a git repository of the attacking code, the static attacker compiled into it."""
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to build the attacker: apt-get install gcc libc6-dev")
    folder = tmp_path_factory.mktemp("hostile") / "code"
    make_code(folder)
    return folder


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with Host(tmp_path_factory.mktemp("host")) as host:
        yield host


@pytest.fixture(scope="session", params=list(ENGINES))
def hostile(
    request: pytest.FixtureRequest, hostile_code: Path, host: Host, tmp_path_factory: pytest.TempPathFactory
) -> Hostile:
    """Return what launches the hostile evaluation, on each engine and under each runtime in turn."""
    return _make(request, request.param, hostile_code, host, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def hostile_once(
    request: pytest.FixtureRequest, hostile_code: Path, host: Host, tmp_path_factory: pytest.TempPathFactory
) -> Hostile:
    """Return what launches the hostile evaluation on the machine's engine."""
    return _make(request, "docker-runc", hostile_code, host, tmp_path_factory.mktemp("once"))


def _make(request: pytest.FixtureRequest, place: str, code: Path, host: Host, folder: Path) -> Hostile:
    if not LAYOUT.is_dir():
        pytest.skip("images/eval-python is not built: make setup")
    lender, variable = ENGINES[place]
    own = request.getfixturevalue(lender)
    environment = {variable: own.address} if variable else {}
    return Hostile(code, host, folder, place.split("-")[1], environment)
