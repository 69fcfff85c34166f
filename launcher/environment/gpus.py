"""Look for NVIDIA GPUs through the driver's own library, NVML, without a package of Python's.

https://docs.nvidia.com/deploy/nvml-api/: the three calls used here have had these names since 2012.
"""

import ctypes
from pathlib import Path

from msgspec import Struct

_LIBRARY = "libnvidia-ml.so.1"
_TEXT_BYTES = 96


class GpuFacts(Struct, frozen=True):
    """What NVML says: `fault` is empty where it answers, else why it does not.

    `kernel_driver` says whether the kernel has NVIDIA's module, whatever the library says.
    """

    count: int
    driver: str
    names: tuple[str, ...]
    fault: str
    kernel_driver: bool


def observe_gpus(library: str = _LIBRARY, module: Path = Path("/proc/driver/nvidia/version")) -> GpuFacts:
    """Return the GPUs that NVML counts; none is no fault."""
    kernel = module.exists()
    try:
        nvml = ctypes.CDLL(library)
        status = nvml.nvmlInit_v2()
        if status:
            return GpuFacts(0, "", (), f"NVML does not start: error {status}", kernel)
        try:
            return _ask(nvml, kernel_driver=kernel)
        finally:
            nvml.nvmlShutdown()
    except OSError:
        return GpuFacts(0, "", (), f"there is no {library}", kernel)
    except AttributeError as error:
        return GpuFacts(0, "", (), f"{library} is too old: {error}", kernel)


def _ask(nvml: ctypes.CDLL, *, kernel_driver: bool) -> GpuFacts:
    count = ctypes.c_uint(0)
    if status := nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)):
        return GpuFacts(0, "", (), f"NVML does not count: error {status}", kernel_driver)
    names = tuple(_name(nvml, index) for index in range(count.value))
    text = ctypes.create_string_buffer(_TEXT_BYTES)
    nvml.nvmlSystemGetDriverVersion(text, _TEXT_BYTES)
    return GpuFacts(count.value, _decoded(text), names, "", kernel_driver)


def _name(nvml: ctypes.CDLL, index: int) -> str:
    handle, text = ctypes.c_void_p(), ctypes.create_string_buffer(_TEXT_BYTES)
    if nvml.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(handle)):
        return "unknown"
    if nvml.nvmlDeviceGetName(handle, text, ctypes.c_uint(_TEXT_BYTES)):
        return "unknown"
    return _decoded(text)


def _decoded(text: "ctypes.Array[ctypes.c_char]") -> str:
    return text.value.decode(errors="replace")
