"""Fixtures for the tests of the verbs: a small world of one's own, and the command line run inside it."""

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.cli.app import run
from tests.engines import real_engines
from tests.fakes.finished import Finished
from tests.fakes.nvml import build_nvml
from tests.fakes.real_world import RealWorld, make_real_world
from tests.fakes.world import SmallWorld, copy_world, make_template

own_docker, own_podman = real_engines.own_docker, real_engines.own_podman
own_podman_runsc, podman_runsc_engine = real_engines.own_podman_runsc, real_engines.podman_runsc_engine
docker_engine, runsc_engine = real_engines.docker_engine, real_engines.runsc_engine
podman_engine, restartable_engine = real_engines.podman_engine, real_engines.restartable_engine
any_engine, engine_runtime = real_engines.any_engine, real_engines.engine_runtime


Evalctl = Callable[..., Finished]
GpusHere = Callable[..., None]


def pytest_configure() -> None:
    """Undo `nohup` for the programs that tests start: to ignore is inherited, to handle is not."""
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(scope="session")
def world_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template") / "world"
    make_template(root)
    return root


@pytest.fixture
def world(world_template: Path, tmp_path: Path) -> SmallWorld:
    """Return a fresh world whose engine plays `answer`."""
    return copy_world(world_template, tmp_path / "world")


@pytest.fixture
def real(world: SmallWorld) -> Iterator[RealWorld]:
    """Return a world whose launches are processes that talk to the engine of this machine."""
    yield from make_real_world(world)


@pytest.fixture
def evalctl(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Evalctl:
    """Return a function that runs one command line in `world`."""
    monkeypatch.setenv("EVALCTL_HOME", str(world.home.root))
    commands = "launch reproduce list plan doctor shell status logs cancel gc"
    for command in commands.split():
        monkeypatch.setattr(f"launcher.cli.{command}.connect", lambda *_: world.engine)

    def call(*arguments: str | Path) -> Finished:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "bug in evalctl" not in said.err, said.err
        return Finished(code, said.out, said.err)

    return call


@pytest.fixture(scope="session")
def nvml_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_nvml(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def gpus_here(nvml_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GpusHere:
    """Return a function that gives this machine the GPUs of a text from `tests.fakes.nvml`."""
    for name in ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS"):
        monkeypatch.delenv(name, raising=False)

    def place(text: str, library: Path = nvml_library) -> None:
        (tmp_path / "gpus.ini").write_text(text)
        monkeypatch.setenv("FAKE_NVML", str(tmp_path / "gpus.ini"))
        monkeypatch.setenv("LD_LIBRARY_PATH", str(library))

    return place


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], None]]:
    """Return a function that mounts a folder read-only over itself, which binds root as well."""
    folders: list[Path] = []

    def mount(folder: Path) -> None:
        if shutil.which("mount") is None:
            pytest.skip("`mount` is not here to make a folder read-only with")
        for options in (["--bind"], ["-o", "remount,bind,ro"]):
            done = subprocess.run(["mount", *options, folder, folder], capture_output=True, check=False)
            if done.returncode:
                pytest.skip(f"this machine lets nobody mount a read-only folder: {done.stderr.decode()}")
            folders.append(folder)

    yield mount
    for folder in dict.fromkeys(folders):
        subprocess.run(["umount", folder], check=True)
