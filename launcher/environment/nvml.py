"""Ask NVML for GPUs: a program of its own, so that a driver that hangs or crashes takes nobody along.

Usage: python -m launcher.environment.nvml inventory|sample UUID...

`inventory` prints one JSON object and ends. `sample` prints one line for each line that it reads, and ends
with its input. https://docs.nvidia.com/deploy/nvml-api/
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from launcher.spec.gpus import Clock, ComputeMode, GpuDevice, GpuInventory, GpuProcess, MigInstance
from launcher.spec.nvml_errors import GPU_IS_LOST, NOT_FOUND, NOT_SUPPORTED, reason

_COMPUTE_MODES: tuple[ComputeMode, ...] = ("default", "exclusive-thread", "prohibited", "exclusive-process")
_CLOCKS = {"graphics": 0, "sm": 1, "memory": 2}
_TEMPERATURE_GPU, _UNCORRECTED, _VOLATILE = 0, 1, 0
_MIB = 1 << 20
_LONGEST_NAME = 96

_Answer = TypeVar("_Answer")


def main(arguments: list[str]) -> None:
    """Answer on standard output."""
    if arguments[0] == "sample":
        for _ in sys.stdin.buffer:
            _print(sampled(arguments[1:]))
    else:
        _print(inventory())


def inventory() -> GpuInventory:
    """Return every GPU that NVML counts; a driver that does not answer is a fault, not an error."""
    from pynvml import NVMLError, nvmlInit

    kernel = Path("/proc/driver/nvidia/version").exists()
    try:
        nvmlInit()
        return _inventory(kernel_driver=kernel)
    except NVMLError as error:
        return GpuInventory(fault=reason(error.value), kernel_driver=kernel)


def sampled(uuids: list[str]) -> dict[str, dict[str, Any]]:
    """Return what each of the GPUs does at this moment; what the driver does not tell is None."""
    import pynvml

    _started()
    samples = {}
    for uuid in uuids:
        try:
            samples[uuid] = _sample(pynvml.nvmlDeviceGetHandleByUUID(uuid.encode()))
        except pynvml.NVMLError:
            samples[uuid] = {}
    return samples


def _started() -> None:
    import pynvml

    # Asked to start twice, NVML only counts.
    _told(pynvml.nvmlInit)


def _sample(handle: Any) -> dict[str, Any]:
    import pynvml

    rates = _told(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle))
    memory = _told(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
    return {
        "utilisation_percent": rates.gpu if rates else None,
        "memory_utilisation_percent": rates.memory if rates else None,
        "memory_used_bytes": memory.used if memory else None,
        "power_milliwatts": _told(lambda: pynvml.nvmlDeviceGetPowerUsage(handle)),
        "temperature_celsius": _told(lambda: pynvml.nvmlDeviceGetTemperature(handle, _TEMPERATURE_GPU)),
        **{
            f"{name}_clock_mhz": _told(lambda kind=kind: pynvml.nvmlDeviceGetClockInfo(handle, kind))  # type: ignore[misc]
            for name, kind in _CLOCKS.items()
        },
    }


def _inventory(*, kernel_driver: bool) -> GpuInventory:
    import pynvml

    version = _told(pynvml.nvmlSystemGetCudaDriverVersion_v2)
    return GpuInventory(
        devices=tuple(_device(index) for index in range(pynvml.nvmlDeviceGetCount())),
        driver=_text(pynvml.nvmlSystemGetDriverVersion),
        cuda=f"{version // 1000}.{version % 1000 // 10}" if version else "",
        kernel_driver=kernel_driver,
    )


def _device(index: int) -> GpuDevice:
    """Return one GPU; one that does not answer keeps its place, with the reason."""
    import pynvml

    try:
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        return _described(index, handle)
    except pynvml.NVMLError as error:
        return GpuDevice(index, "", "unknown", 0, (0, 0), fault=reason(error.value))


def _described(index: int, handle: Any) -> GpuDevice:
    import pynvml

    ecc = _told(lambda: pynvml.nvmlDeviceGetEccMode(handle))
    mig = _told(lambda: pynvml.nvmlDeviceGetMigMode(handle))
    persistence = _told(lambda: pynvml.nvmlDeviceGetPersistenceMode(handle))
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    model = _text(lambda: pynvml.nvmlDeviceGetName(handle))
    in_slices = bool(mig and mig[0])
    return GpuDevice(
        index=index,
        uuid=_text(lambda: pynvml.nvmlDeviceGetUUID(handle)),
        model=model,
        memory=memory.total,
        compute_capability=tuple(pynvml.nvmlDeviceGetCudaComputeCapability(handle)),
        minor=_told(lambda: pynvml.nvmlDeviceGetMinorNumber(handle)),
        pci=_text(lambda: pynvml.nvmlDeviceGetPciInfo(handle).busId),
        memory_used=memory.used,
        mig=None if mig is None else in_slices,
        instances=tuple(_instances(handle)) if in_slices else (),
        ecc=None if ecc is None else bool(ecc[0]),
        ecc_errors=_told(lambda: pynvml.nvmlDeviceGetTotalEccErrors(handle, _UNCORRECTED, _VOLATILE)),
        compute_mode=_compute_mode(_told(lambda: pynvml.nvmlDeviceGetComputeMode(handle))),
        clocks=_clocks(handle),
        persistence=None if persistence is None else bool(persistence),
        processes=_processes(handle),
    )


def _instances(handle: Any) -> Iterator[MigInstance]:
    import pynvml

    for index in range(_told(lambda: pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)) or 0):
        try:
            part = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
            memory = pynvml.nvmlDeviceGetMemoryInfo(part)
        except pynvml.NVMLError as error:
            # A place where no slice was made.
            if error.value in (NOT_FOUND, NOT_SUPPORTED):
                continue
            raise
        yield MigInstance(
            index=index,
            uuid=_text(lambda part=part: pynvml.nvmlDeviceGetUUID(part)),  # type: ignore[misc]
            profile=_profile(part, memory.total),
            memory=memory.total,
            memory_used=memory.used,
            gpu_instance=_told(lambda part=part: pynvml.nvmlDeviceGetGpuInstanceId(part)),  # type: ignore[misc]
            compute_instance=_told(lambda part=part: pynvml.nvmlDeviceGetComputeInstanceId(part)),  # type: ignore[misc]
            processes=_processes(part),
        )


def _profile(part: Any, memory: int) -> str:
    """Return the profile as the driver names it; older drivers give a slice its GPU's name alone."""
    import pynvml

    _, marked, profile = _text(lambda: pynvml.nvmlDeviceGetName(part)).rpartition(" MIG ")
    if marked:
        return profile
    shape = _told(lambda: pynvml.nvmlDeviceGetAttributes(part))
    slices = shape.gpuInstanceSliceCount if shape else "?"
    return f"{slices}g.{round(memory / (1024 * _MIB))}gb"


def _clocks(handle: Any) -> dict[str, Clock]:
    import pynvml

    found = {}
    for name, kind in _CLOCKS.items():
        now = _told(lambda kind=kind: pynvml.nvmlDeviceGetClockInfo(handle, kind))  # type: ignore[misc]
        most = _told(lambda kind=kind: pynvml.nvmlDeviceGetMaxClockInfo(handle, kind))  # type: ignore[misc]
        if now is not None or most is not None:
            found[name] = Clock(now, most)
    return found


def _processes(handle: Any) -> tuple[GpuProcess, ...]:
    import pynvml

    running = _told(lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle)) or []
    found = [GpuProcess(item.pid, item.usedGpuMemory or None, _program(item.pid)) for item in running]
    return tuple(sorted(found, key=lambda process: process.pid))


def _program(pid: int) -> str:
    """Return the name of a program, empty where it is another's secret."""
    try:
        return _clean(Path(f"/proc/{pid}/comm").read_text(errors="replace").strip())
    except OSError:
        return ""


def _compute_mode(number: int | None) -> ComputeMode:
    known = number is not None and 0 <= number < len(_COMPUTE_MODES)
    return _COMPUTE_MODES[number] if known and number is not None else "unknown"


def _told(ask: Callable[[], _Answer]) -> _Answer | None:
    """Return what NVML answers, None where it does not; a GPU that is gone is no detail."""
    from pynvml import NVMLError

    try:
        return ask()
    except NVMLError as error:
        if error.value == GPU_IS_LOST:
            raise
        return None


def _text(ask: Callable[[], Any]) -> str:
    """Return a text of the driver's as one line; empty where it gives none."""
    try:
        answer = _told(ask)
    except UnicodeDecodeError:
        return ""
    return _clean(answer.decode(errors="replace") if isinstance(answer, bytes) else str(answer or ""))


def _clean(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:_LONGEST_NAME]


def _print(value: Any) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(value) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
