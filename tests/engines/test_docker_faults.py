"""What a person is told when the engine is not there, or says no."""

import errno
import os
import threading
from pathlib import Path

import pytest
from msgspec.structs import replace

from launcher.engines.attachment import FrameReader
from launcher.engines.docker_client import engine_faults
from launcher.engines.docker_engine import DockerEngine
from launcher.engines.engine import Mount
from launcher.engines.requirements import refuse_shut_files
from launcher.errors import InfrastructureError, RequirementError
from tests.engines.tasks import LABELS, MakeTask, Watcher


def test_an_engine_that_is_not_there_is_an_infrastructure_failure_with_advice(tmp_path: Path) -> None:
    engine = DockerEngine(f"unix://{tmp_path}/no.sock")
    with pytest.raises(InfrastructureError) as caught:
        engine.describe()
    assert caught.value.code == "engine-unreachable"
    assert caught.value.hint is not None
    assert "dockerd" in caught.value.hint


def test_what_does_not_answer_is_named_by_its_own_address_and_started_by_its_own_command(
    tmp_path: Path,
) -> None:
    address = f"unix://{tmp_path}/podman/podman.sock"
    with pytest.raises(InfrastructureError) as caught:
        DockerEngine(address).describe()
    assert address in str(caught.value.context)
    assert "podman system service" in str(caught.value.hint)


def test_an_engine_that_this_user_may_not_ask_is_no_reason_to_start_one() -> None:
    with pytest.raises(InfrastructureError) as caught, engine_faults("describe itself"):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    assert "docker $USER" in str(caught.value.hint)
    assert "Permission denied" in str(caught.value.context)


def test_an_engine_on_another_machine_is_refused() -> None:
    with pytest.raises(RequirementError, match="not on this machine"):
        DockerEngine("tcp://127.0.0.1:2375").describe()


@pytest.mark.engine
def test_an_image_that_is_gone_is_said_to_be(docker_engine: DockerEngine, make_task: MakeTask) -> None:
    with pytest.raises(InfrastructureError) as caught:
        docker_engine.run(make_task("sha256:" + "0" * 64, "true"), Watcher(), threading.Event())
    assert caught.value.code == "image-gone"


@pytest.mark.engine
def test_a_mount_that_the_engine_does_not_see_is_said_to_be(
    docker_engine: DockerEngine, busybox_image: str, make_task: MakeTask, tmp_path: Path
) -> None:
    task = make_task(busybox_image, "true", mounts=(Mount(tmp_path / "missing", "/eval/code"),))
    with pytest.raises(InfrastructureError) as caught:
        docker_engine.run(task, Watcher(), threading.Event())
    assert caught.value.code == "mount-not-visible"
    assert not (tmp_path / "missing").exists()


@pytest.mark.engine
def test_a_runtime_that_is_missing_is_a_requirement(
    docker_engine: DockerEngine, busybox_image: str, make_task: MakeTask
) -> None:
    task = make_task(busybox_image, "true")
    profile = replace(task.profile, runtime="no-such-runtime")  # type: ignore[arg-type]
    with pytest.raises(RequirementError) as caught:
        docker_engine.run(replace(task, profile=profile), Watcher(), threading.Event())
    assert caught.value.code == "runtime-missing"


@pytest.mark.engine
def test_a_working_directory_that_is_missing_leaves_no_container(
    docker_engine: DockerEngine, busybox_image: str, make_task: MakeTask, tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    task = make_task(busybox_image, "true", mounts=(Mount(tmp_path / "code", "/eval/code"),))
    with pytest.raises(InfrastructureError):
        docker_engine.run(replace(task, working_directory="/eval/code/missing"), Watcher(), threading.Event())
    assert docker_engine.find(LABELS) == {}


@pytest.mark.engine
def test_an_image_with_a_volume_is_refused(
    docker_engine: DockerEngine, volume_image: str, make_task: MakeTask
) -> None:
    with pytest.raises(RequirementError, match="`/data`"):
        docker_engine.run(make_task(volume_image, "true"), Watcher(), threading.Event())


def test_files_that_a_strict_umask_has_shut_are_opened(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.touch(mode=0o700)
    refuse_shut_files({program: 0o555})
    assert program.stat().st_mode & 0o777 == 0o755


def test_frames_are_read_however_they_are_cut() -> None:
    data = b"\1\0\0\0\0\0\0\3abc" + b"\2\0\0\0\0\0\0\0" + b"\2\0\0\0\0\0\0\2de"
    for size in (1, 2, 7, 100):
        reader = FrameReader()
        pieces = [piece for at in range(0, len(data), size) for piece in reader.feed(data[at : at + size])]
        assert b"".join(text for stream, text in pieces if stream == 1) == b"abc"
        assert b"".join(text for stream, text in pieces if stream == 2) == b"de"


def test_a_stream_that_is_not_framed_is_refused() -> None:
    with pytest.raises(InfrastructureError, match="malformed"):
        list(FrameReader().feed(b"HTTP/1.1 500 oh no"))
