"""Look for NVIDIA GPUs, and at what they do, within bounds of time: the driver is asked by another process.

The library is found as the loader finds it, `LD_LIBRARY_PATH` included. A driver that hangs in the kernel
cannot be killed; it is left behind, and the launcher goes on without it.
"""

import selectors
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import msgspec

from launcher.spec.gpus import GpuInventory

# A driver without persistence mode wakes each GPU when it is first asked, which takes seconds.
PATIENCE = 20.0
_SAMPLE_PATIENCE = 5.0
_FAREWELL = 0.5

GpuSample = Mapping[str, Mapping[str, int | None]]


def observe_gpus(patience: float = PATIENCE) -> GpuInventory:
    """Return the machine's GPUs; no NVML is no GPUs, with the reason as `fault`."""
    process = _start("inventory")
    try:
        answer, complaint = process.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        _abandon(process)
        return GpuInventory(fault=f"NVIDIA's driver does not answer within {patience:g} s")
    try:
        return msgspec.json.decode(answer, type=GpuInventory)
    except msgspec.DecodeError:
        last = complaint.decode(errors="replace").strip().rpartition("\n")[2]
        ended = f"signal {-process.returncode}" if process.returncode < 0 else f"code {process.returncode}"
        return GpuInventory(fault=f"asking NVIDIA's driver ended with {ended}{last and f': {last[:200]}'}")


@contextmanager
def gpu_sampler(
    uuids: Sequence[str], patience: float = _SAMPLE_PATIENCE
) -> Iterator[Callable[[], GpuSample]]:
    """Yield a function that returns what each GPU or slice does now, by UUID.

    Keys: `utilisation_percent`, `memory_utilisation_percent`, `memory_used_bytes`, `power_milliwatts`,
    `temperature_celsius`, `graphics_clock_mhz`, `sm_clock_mhz`, `memory_clock_mhz`; None where the driver
    does not tell. The answer is empty from the moment the driver does not answer in time.
    """
    process = _start("sample", *uuids)
    alive = True

    def sample() -> GpuSample:
        nonlocal alive
        alive = alive and _ask(process, patience)
        line = process.stdout.readline() if alive and process.stdout else b""
        try:
            return msgspec.json.decode(line, type=dict[str, dict[str, int | None]])
        except msgspec.DecodeError:
            alive = False
            return {}

    try:
        yield sample
    finally:
        _abandon(process)


def _ask(process: "subprocess.Popen[bytes]", patience: float) -> bool:
    """Ask for a line; say whether one came in time."""
    assert process.stdin and process.stdout  # noqa: S101 - both are pipes
    try:
        process.stdin.write(b"\n")
        process.stdin.flush()
    except OSError:
        return False
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        return bool(waiting.select(patience))


def _start(*arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "launcher.environment.nvml", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if arguments[0] == "inventory" else subprocess.DEVNULL,
        start_new_session=True,
    )


def _abandon(process: "subprocess.Popen[bytes]") -> None:
    """Kill the process; one that the kernel does not let die is left to it."""
    process.kill()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_FAREWELL)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()
