"""The sandbox in Podman's words: all of it is said, or the launch is refused."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from launcher.engines.docker_client import DockerClients
from launcher.engines.docker_request import container_request
from launcher.engines.engine import Engine
from launcher.engines.podman_facts import is_podman, with_true_limits
from launcher.engines.podman_request import Beside, filter_of, scratch_volumes, specification
from launcher.errors import RequirementError
from launcher.spec.sandbox import MASKED_PATHS
from scripts.test_engines import OwnEngine
from tests.engines.tasks import LABELS, MakeTask, Watcher


@pytest.fixture
def body(make_task: MakeTask) -> dict[str, Any]:
    return container_request(make_task("sha256:0", "true", memory=64 << 20, pids=77))


def test_every_bound_and_wall_of_the_profile_is_said(body: dict[str, Any]) -> None:
    said = specification("name", body, Beside("/filter.json", {"/tmp": "one", "/eval/out": "other"}))
    assert said["oci_runtime"] == "runc"
    assert said["netns"] == {"nsmode": "none"}
    assert (said["read_only_filesystem"], said["no_new_privileges"], said["privileged"]) == (
        True,
        True,
        False,
    )
    assert (said["cap_drop"], said["user"], said["hostname"]) == (["ALL"], "65532:65532", "sandbox")
    assert set(MASKED_PATHS) <= set(said["mask"])
    assert said["seccomp_profile_path"] == "/filter.json"
    assert said["resource_limits"]["memory"] == {"limit": 64 << 20, "swap": 64 << 20}
    assert said["resource_limits"]["pids"] == {"limit": 77}
    assert said["resource_limits"]["cpu"] == {"period": 100_000, "quota": 100_000}
    assert {limit["type"] for limit in said["r_limits"]} >= {"CORE", "FSIZE", "MEMLOCK", "NOFILE", "NPROC"}
    assert said["log_configuration"] == {"driver": "none"}
    assert [volume["Dest"] for volume in said["volumes"]] == ["/tmp", "/eval/out"]
    assert all("nosuid" in volume["Options"] for volume in said["volumes"])
    assert all("ro" in mount["options"] for mount in said["mounts"])
    assert str(filter_of(body)).startswith("{")


def test_a_scratch_folders_owner_bytes_and_files_are_those_of_a_volume(body: dict[str, Any]) -> None:
    options = scratch_volumes(body)["/eval/out"]["Options"]["o"].split(",")
    assert {"uid=65532", "gid=65532", "nr_inodes=2001", "nr_blocks=2048"} <= set(options)
    assert scratch_volumes(body)["/eval/out"]["Label"] == LABELS


@pytest.mark.parametrize(
    "change",
    [
        {"CapAdd": ["SYS_ADMIN"]},
        {"NetworkMode": "bridge"},
        {"ReadonlyPaths": ["/proc/tty"]},
        {"SecurityOpt": ["apparmor=unconfined"]},
        {"IpcMode": "host"},
        {"Privileged": True},
        {"DeviceRequests": [{"Driver": "amd", "DeviceIDs": ["0"]}]},
        {"Mounts": [{"Type": "volume", "Source": "x", "Target": "/x", "ReadOnly": False}]},
    ],
)
def test_what_podman_has_no_words_for_is_refused_not_left_out(
    body: dict[str, Any], change: dict[str, Any]
) -> None:
    with pytest.raises(RequirementError, match="Podman cannot be told"):
        specification(None, {**body, "HostConfig": {**body["HostConfig"], **change}}, Beside())


def test_an_unknown_key_of_the_request_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(RequirementError, match="`MacAddress`"):
        specification(None, {**body, "MacAddress": "00:00:00:00:00:01"}, Beside())


def test_gpus_go_by_the_names_of_the_container_device_interface(body: dict[str, Any]) -> None:
    asked = {"DeviceRequests": [{"Driver": "nvidia", "DeviceIDs": ["GPU-1"]}]}
    said = specification(None, {**body, "HostConfig": {**body["HostConfig"], **asked}}, Beside())
    assert said["devices"] == [{"path": "nvidia.com/gpu=GPU-1"}]


def test_podman_is_told_by_its_component() -> None:
    assert is_podman({"Components": [{"Name": "Podman Engine", "Version": "5.0.0"}]})
    assert not is_podman({"Components": [{"Name": "Engine", "Version": "28.0.0"}]})
    assert not is_podman({})


@pytest.mark.engine
def test_a_runtime_that_podman_would_replace_is_refused(
    podman_engine: Engine, image_on: Callable[[Engine], str], make_task: MakeTask
) -> None:
    task = make_task(image_on(podman_engine), "true")
    stronger = replace(task, profile=replace(task.profile, runtime="runsc"))
    with pytest.raises(RequirementError, match="cannot give the sandbox runtime"):
        podman_engine.require(stronger.profile)
    with pytest.raises(RequirementError) as caught:
        podman_engine.run(stronger, Watcher(), threading.Event())
    assert caught.value.code == "runtime-missing"
    assert podman_engine.find(LABELS) == {}
    assert podman_engine.find(LABELS, "volume") == {}


@pytest.mark.engine
def test_nothing_of_a_run_stays_in_podman(
    podman_engine: Engine, own_podman: OwnEngine, image_on: Callable[[Engine], str], make_task: MakeTask
) -> None:
    podman_engine.run(make_task(image_on(podman_engine), "true"), Watcher(), threading.Event())
    assert podman_engine.find(LABELS) == {}
    assert podman_engine.find(LABELS, "volume") == {}
    clients = DockerClients(own_podman.address)
    with clients.lent() as client:
        assert [each["Name"] for each in client.volumes()["Volumes"] or ()] == []
    clients.close()


@pytest.mark.engine
def test_an_image_that_declares_a_volume_is_refused(
    podman_engine: Engine, volume_layout: Any, make_task: MakeTask
) -> None:
    from tests.engines.busybox import load_busybox

    task = make_task(load_busybox(podman_engine, volume_layout), "true")
    with pytest.raises(RequirementError) as caught:
        podman_engine.run(task, Watcher(), threading.Event())
    assert caught.value.code == "image-volumes"
    assert podman_engine.find(LABELS, "volume") == {}


def test_without_root_only_the_bounds_of_given_control_groups_count() -> None:
    said = {"MemoryLimit": True, "SwapLimit": True, "CpuCfsQuota": True, "PidsLimit": True}
    none = with_true_limits({**said, "SecurityOptions": ["name=seccomp"]}, [])
    assert not any(none[key] for key in said)
    assert none["SecurityOptions"] == ["name=seccomp", "name=rootless"]
    some = with_true_limits(said, ["cpu", "memory", "pids"])
    assert all(some[key] for key in said)
