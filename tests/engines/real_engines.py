"""Fixtures that lend engines of the tests' own: a Docker Engine that has gVisor's runsc, and Podman.

Each is started where a test first asks for it and stopped at the end of the session.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.engines.docker_engine import DockerEngine
from launcher.engines.engine import Engine
from launcher.errors import EvalctlError
from scripts.console import SetupError
from scripts.test_engines import Kind, OwnEngine, lent, missing_programs

ROOT = Path(__file__).resolve().parents[2]
# The engines that a test of `any_engine` runs on: the runtime that its tasks must name beside each.
ENGINES = {"docker": "runc", "runsc": "runsc", "podman": "runc", "podman_runsc": "runsc"}


def _lent(kind: Kind, purpose: str = "tests") -> Iterator[OwnEngine]:
    if missing := missing_programs(kind):
        pytest.skip(f"{', '.join(missing)} not here to start an engine with: type `make engines`")
    if os.geteuid() != 0:
        pytest.skip("only root can start a container engine of its own")
    try:
        with lent(ROOT, kind, purpose) as engine:
            yield engine
    except SetupError as error:
        pytest.fail(str(error))


@pytest.fixture(scope="session")
def own_docker() -> Iterator[OwnEngine]:
    """Return a running Docker Engine of the tests' own, which has runc and runsc."""
    yield from _lent("runsc")


@pytest.fixture(scope="session")
def own_podman() -> Iterator[OwnEngine]:
    """Return a running Podman service of the tests' own, whose runtime is runc."""
    yield from _lent("podman")


@pytest.fixture(scope="session")
def own_podman_runsc() -> Iterator[OwnEngine]:
    """Return a running Podman service of the tests' own, whose runtime is runsc."""
    yield from _lent("podman-runsc")


@pytest.fixture
def restartable_engine() -> Iterator[OwnEngine]:
    """Return a running Docker Engine that the test may `kill`, `start_daemon` and `stop`."""
    yield from _lent("runsc", "restart")


@pytest.fixture(scope="session")
def docker_engine() -> Iterator[Engine]:
    """Return the machine's Docker Engine."""
    engine = DockerEngine()
    try:
        engine.describe()
    except EvalctlError as error:
        pytest.skip(f"no Docker Engine to test with: {error.context}")
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def runsc_engine(own_docker: OwnEngine) -> Iterator[Engine]:
    """Return a Docker Engine on which tasks whose profile's runtime is runsc run."""
    engine = DockerEngine(own_docker.address)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def podman_engine(own_podman: OwnEngine) -> Iterator[Engine]:
    """Return a Podman engine that runs tasks under runc."""
    engine = DockerEngine(own_podman.address)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def podman_runsc_engine(own_podman_runsc: OwnEngine) -> Iterator[Engine]:
    """Return a Podman engine that runs tasks under runsc."""
    engine = DockerEngine(own_podman_runsc.address)
    yield engine
    engine.close()


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.engine) for name in ENGINES])
def any_engine(request: pytest.FixtureRequest) -> Engine:
    """Return each real engine in turn; `engine_runtime` is what its tasks must name."""
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine


@pytest.fixture
def engine_runtime(request: pytest.FixtureRequest, any_engine: Engine) -> str:
    """Return the runtime under which `any_engine` is tested."""
    return ENGINES[request.node.callspec.params["any_engine"]]
