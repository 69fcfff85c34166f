"""GPUs through the Docker Engine's interface: by UUID, through NVIDIA's hook or a device specification (CDI).

https://docs.docker.com/reference/api/engine/version/v1.41/ (DeviceRequests), https://github.com/cncf-tags/container-device-interface
"""

from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from launcher.engines.engine import ContainerTask, EngineFacts, GpuDriver
from launcher.errors import RequirementError
from launcher.spec.site import EngineName

_KIND = "nvidia.com/gpu"
_CAPABILITIES = ("gpu", "compute", "utility")
_MOST_SPECIFICATIONS, _MOST_BYTES = 50, 4 << 20


def gpu_devices(task: ContainerTask) -> Mapping[str, Any]:
    """Return what asks for the task's GPUs in the host configuration of its container; empty without any."""
    if not task.gpus:
        return {}
    if task.gpu_driver == "cdi":
        request: dict[str, Any] = {"Driver": "cdi", "DeviceIDs": [f"{_KIND}={uuid}" for uuid in task.gpus]}
    else:
        capabilities = [list(_CAPABILITIES)]
        request = {"Driver": "nvidia", "DeviceIDs": list(task.gpus), "Capabilities": capabilities}
    return {"DeviceRequests": [request]}


def refuse_without_its_gpus(body: Mapping[str, Any], container: Mapping[str, Any]) -> None:
    """Raise `RequirementError` where an engine made what `body` asks and left its GPUs out without a word."""
    if missing := _requested(body) - _requested(container):
        raise RequirementError(
            "the engine does not pass GPUs on to containers",
            code="gpu-not-passed",
            context=f"expected {', '.join(sorted(missing))} in the container, which it made without",
            hint="install the NVIDIA Container Toolkit, and use Docker Engine",
        )


def gpu_driver(info: Mapping[str, Any], name: EngineName) -> GpuDriver:
    """Return how the engine that says `info` passes GPUs on; Podman knows only specifications."""
    if name == "podman":
        return "cdi"
    devices = info.get("DiscoveredDevices")
    if devices is not None:
        return "cdi" if any(str(item.get("ID", "")).startswith(_KIND) for item in devices) else "nvidia"
    folders = (Path(place) for place in info.get("CDISpecDirs") or ())
    return "cdi" if any(_specifies(folder) for folder in folders) else "nvidia"


def nvproxy(info: Mapping[str, Any]) -> bool:
    """Say whether the engine starts runsc with its proxy for NVIDIA's driver."""
    arguments = ((info.get("Runtimes") or {}).get("runsc") or {}).get("runtimeArgs") or ()
    return any(
        argument in ("--nvproxy", "-nvproxy", "--nvproxy=true", "-nvproxy=true") for argument in arguments
    )


def refuse_without_nvproxy(facts: EngineFacts, runtime: str) -> None:
    """Raise `RequirementError` where GPUs are asked for under a runsc that is not known to pass them on."""
    if runtime == "runsc" and not facts.nvproxy:
        raise RequirementError(
            "the sandbox runtime `runsc` passes no GPUs on",
            code="gpu-runtime",
            context="expected `--nvproxy` among its `runtimeArgs` in the engine's configuration",
            hint="`sudo runsc install -- --nvproxy` and restart the engine, or ask for `runc`: nothing is "
            "moved to a weaker runtime by itself",
        )


def _requested(container: Mapping[str, Any]) -> set[str]:
    requests = (container.get("HostConfig") or {}).get("DeviceRequests") or ()
    return {name for request in requests for name in request.get("DeviceIDs") or ()}


def _specifies(folder: Path) -> bool:
    """Say whether a specification in the folder names GPUs by UUID."""
    with suppress(OSError):
        for path in islice(sorted(folder.iterdir()), _MOST_SPECIFICATIONS):
            if path.suffix in (".yaml", ".json") and path.stat().st_size <= _MOST_BYTES:
                text = path.read_text(errors="replace")
                if _KIND in text and "GPU-" in text:
                    return True
    return False
