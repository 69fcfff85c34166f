"""GPUs and processors in what the Docker Engine is asked, and what it answers where it has no GPU."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from launcher.engines.docker_gpus import (
    gpu_driver,
    nvproxy,
    refuse_without_its_gpus,
    refuse_without_nvproxy,
)
from launcher.engines.docker_request import container_request, session_request
from launcher.engines.engine import Engine
from launcher.environment.processors import cpu_list, own_processors
from launcher.errors import RequirementError
from launcher.runs.shares import Share
from launcher.spec.gpus import GpuDevice, GpuInventory, MigInstance, units
from tests.engines.tasks import LABELS, MakeTask, Watcher
from tests.fakes.engine import FACTS

GPUS = units(
    GpuInventory(
        (
            GpuDevice(0, "GPU-0", "NVIDIA A100", 40 << 30, (8, 0)),
            GpuDevice(1, "GPU-1", "NVIDIA A100", 40 << 30, (8, 0)),
            GpuDevice(
                2,
                "GPU-2",
                "NVIDIA A100",
                40 << 30,
                (8, 0),
                mig=True,
                instances=(MigInstance(0, "MIG-2", "3g.20gb", 20 << 30),),
            ),
        )
    )
)


def host_of(request: dict[str, Any]) -> dict[str, Any]:
    host: dict[str, Any] = request["HostConfig"]
    return host


def test_gpus_are_asked_for_by_uuid(make_task: MakeTask) -> None:
    task = Share((0, 1, 2), exclusive=True, gpus=GPUS[:2]).given_to(make_task("image", "true"))
    for request in (container_request(task), session_request(task, terminal=False)):
        assert host_of(request)["CpusetCpus"] == "0-2"
        assert host_of(request)["DeviceRequests"] == [
            {
                "Driver": "nvidia",
                "DeviceIDs": ["GPU-0", "GPU-1"],
                "Capabilities": [["gpu", "compute", "utility"]],
            }
        ]
        assert "CUDA_VISIBLE_DEVICES=0,1" in request["Env"]
        assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in request["Env"]


def test_specifications_name_them_by_kind(make_task: MakeTask) -> None:
    task = Share(gpus=GPUS[:2]).given_to(make_task("image", "true"), "cdi")
    assert host_of(container_request(task))["DeviceRequests"] == [
        {"Driver": "cdi", "DeviceIDs": ["nvidia.com/gpu=GPU-0", "nvidia.com/gpu=GPU-1"]}
    ]


def test_a_slice_is_found_by_cuda_itself(make_task: MakeTask) -> None:
    task = Share(gpus=GPUS[2:]).given_to(make_task("image", "true"))
    assert task.gpus == ("MIG-2",)
    assert "CUDA_VISIBLE_DEVICES" not in task.environment


def test_a_task_without_a_share_asks_for_nothing(make_task: MakeTask) -> None:
    assert {"CpusetCpus", "DeviceRequests"}.isdisjoint(host_of(container_request(make_task("image", "true"))))


def test_an_engine_that_drops_gpus_is_found_out(make_task: MakeTask) -> None:
    body = container_request(Share(gpus=GPUS[:1]).given_to(make_task("image", "true")))
    refuse_without_its_gpus(body, {"HostConfig": {"DeviceRequests": host_of(body)["DeviceRequests"]}})
    for silent in ({}, {"HostConfig": {"DeviceRequests": None}}, {"HostConfig": {"DeviceRequests": []}}):
        with pytest.raises(RequirementError) as caught:
            refuse_without_its_gpus(body, silent)
        assert caught.value.code == "gpu-not-passed"


@pytest.mark.parametrize(
    ("info", "name", "driver"),
    [
        ({}, "docker", "nvidia"),
        ({"CDISpecDirs": None}, "docker", "nvidia"),
        ({"CDISpecDirs": ["/absent"]}, "docker", "nvidia"),
        ({"DiscoveredDevices": []}, "docker", "nvidia"),
        ({"DiscoveredDevices": [{"Source": "cdi", "ID": "other.org/x=0"}]}, "docker", "nvidia"),
        ({"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=GPU-0"}]}, "docker", "cdi"),
        ({}, "podman", "cdi"),
    ],
)
def test_specifications_are_used_where_the_engine_has_them(
    info: dict[str, Any], name: str, driver: str
) -> None:
    assert gpu_driver(info, name) == driver


def test_specifications_are_looked_for_in_the_engines_folders(tmp_path: Path) -> None:
    info = {"CDISpecDirs": [str(tmp_path)]}
    (tmp_path / "nvidia.yaml").write_text("kind: nvidia.com/gpu\ndevices:\n- name: '0'\n")
    assert gpu_driver(info, "docker") == "nvidia"
    (tmp_path / "nvidia.yaml").write_text("kind: nvidia.com/gpu\ndevices:\n- name: GPU-0\n")
    assert gpu_driver(info, "docker") == "cdi"


@pytest.mark.parametrize(
    ("arguments", "known"),
    [
        (None, False),
        ([], False),
        (["--nvproxy"], True),
        (["--nvproxy=true"], True),
        (["--nvproxy=false"], False),
    ],
)
def test_runsc_without_its_proxy_gets_no_gpu(arguments: list[str] | None, *, known: bool) -> None:
    info = {"Runtimes": {"runsc": {"path": "runsc", "runtimeArgs": arguments}}}
    assert nvproxy(info) is known
    facts = replace(FACTS, nvproxy=known)
    refuse_without_nvproxy(facts, "runc")
    if known:
        refuse_without_nvproxy(facts, "runsc")
    else:
        with pytest.raises(RequirementError) as caught:
            refuse_without_nvproxy(facts, "runsc")
        assert caught.value.code == "gpu-runtime"


def test_a_real_engine_without_gpus_is_a_clear_refusal(
    any_engine: Engine, engine_runtime: str, image_on: Callable[[Engine], str], make_task: MakeTask
) -> None:
    if any(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("this machine has a GPU")
    task = make_task(image_on(any_engine), "true", runtime=engine_runtime)
    task = Share(gpus=GPUS[:1]).given_to(task, any_engine.describe().gpu_driver)
    with pytest.raises(RequirementError) as caught:
        any_engine.run(task, Watcher(), threading.Event())
    assert caught.value.code == "gpu-not-passed"


@pytest.fixture
def specified_device() -> Iterator[str]:
    """Specify a device that stands for a GPU (https://github.com/cncf-tags/container-device-interface)."""
    name = f"GPU-{uuid4()}"
    edits = {"env": [f"SEEN={name}"], "deviceNodes": [{"path": "/dev/fake-gpu", "hostPath": "/dev/zero"}]}
    device = {"name": name, "containerEdits": edits}
    folder = Path("/var/run/cdi")
    if not os.access(folder if folder.exists() else folder.parent, os.W_OK):
        pytest.skip(f"{folder} cannot be written here")
    folder.mkdir(exist_ok=True)
    place = folder / f"{name}.json"
    place.write_text(json.dumps({"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [device]}))
    yield name
    place.unlink()


@pytest.mark.engine
def test_podman_passes_on_what_is_specified_and_refuses_what_is_not(
    podman_engine: Engine, image_on: Callable[[Engine], str], make_task: MakeTask, specified_device: str
) -> None:
    script = "echo $SEEN; test -c /dev/fake-gpu && head -c 1 /dev/fake-gpu | wc -c"
    task = make_task(image_on(podman_engine), "sh", "-c", script)
    task = replace(task, gpus=(specified_device,), gpu_driver="cdi")
    assert podman_engine.run(task, Watcher(), threading.Event()).exit_code == 0
    assert (task.logs / "stdout").read_text().split() == [specified_device, "1"]
    absent = make_task(image_on(podman_engine), "true")
    absent = replace(absent, gpus=("GPU-00000000-absent",), gpu_driver="cdi")
    with pytest.raises(RequirementError) as caught:
        podman_engine.run(absent, Watcher(), threading.Event())
    assert caught.value.code == "gpu-not-passed"
    assert podman_engine.find({"evalctl.home": LABELS["evalctl.home"]}) == {}


def test_a_real_engine_keeps_a_container_to_its_processors(
    any_engine: Engine, engine_runtime: str, image_on: Callable[[Engine], str], make_task: MakeTask
) -> None:
    if "cpuset" not in any_engine.describe().limits:
        pytest.skip("this engine cannot keep containers to processors")
    last = own_processors()[-1].number
    script = "grep Cpus_allowed_list /proc/self/status || true"
    task = make_task(image_on(any_engine), "sh", "-c", script, runtime=engine_runtime)
    outcome = any_engine.run(Share((last,), exclusive=True).given_to(task), Watcher(), threading.Event())
    assert outcome.exit_code == 0
    if engine_runtime == "runc":
        # Under gVisor the guest's kernel answers, and knows of no host's processors.
        assert (task.logs / "stdout").read_text().split() == ["Cpus_allowed_list:", cpu_list([last])]
