"""Machines with GPUs, played by a small C library that answers as NVIDIA's NVML does."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).with_suffix(".c")
LIBRARY = "libnvidia-ml.so.1"
A100, H100, T4 = "NVIDIA A100-SXM4-40GB", "NVIDIA H100 80GB HBM3", "Tesla T4"
_KNOWN = {
    A100: {"memory": 40960, "capability": "8.0", "ecc": 1, "ecc-errors": 0, "mig": 0},
    H100: {"memory": 81559, "capability": "9.0", "ecc": 1, "ecc-errors": 0, "mig": 0},
    T4: {"memory": 15360, "capability": "7.5", "ecc": 1, "ecc-errors": 0},
}


def build_nvml(folder: Path, *flags: str) -> Path:
    """Compile the library into `folder`; return the folder, for LD_LIBRARY_PATH."""
    target = folder / LIBRARY
    compile_it = [
        "cc",
        "-shared",
        "-fPIC",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wno-format-truncation",
        "-Wno-unused-function",
    ]
    try:
        subprocess.run(
            [*compile_it, *flags, f"-Wl,-soname,{LIBRARY}", "-o", str(target), str(SOURCE)],
            check=True,
            timeout=60,
        )
    except FileNotFoundError:
        pytest.skip("no C compiler to play NVIDIA's driver with: apt-get install gcc")
    return folder


def uuid_of(index: int, part: int | None = None) -> str:
    """Return the UUID of a GPU, or of one of its slices; no two tests have the same."""
    kind, last = ("GPU", 0) if part is None else ("MIG", part + 1)
    return f"{kind}-{index:08x}-{os.getpid() & 0xFFFF:04x}-4000-8000-{last:012x}"


def gpu(index: int, model: str, **changes: Any) -> str:
    """Return the section of a GPU; `_` in a name stands for `-`, None leaves it out."""
    facts = {
        "name": model,
        "uuid": uuid_of(index),
        "minor": index,
        "bus": f"00000000:{index + 1:02X}:00.0",
        "used": 0,
        "compute-mode": 0,
        "persistence": 1,
        "utilisation": 7,
        "power": 61_000,
        "temperature": 35,
        "sm-clock": 210,
        "max-sm-clock": 1410,
        **_KNOWN[model],
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    return _section("gpu", facts)


def part(index: int, number: int, profile: str, memory: int, **changes: Any) -> str:
    """Return the section of a slice of the GPU before it; `memory` is in MiB."""
    facts = {"uuid": uuid_of(index, number), "profile": profile, "memory": memory, "gpu-instance": number + 1}
    return _section("mig", {**facts, "compute-instance": 0, **changes})


def machine(*sections: str, driver: str = "550.54.15", cuda: int = 12040, extra: Sequence[str] = ()) -> str:
    """Return the text of a machine."""
    return "\n".join([f"driver = {driver}", f"cuda = {cuda}", *extra, "", *sections])


def _section(kind: str, facts: dict[str, Any]) -> str:
    lines = []
    for key, value in facts.items():
        for each in value if isinstance(value, list) else [value]:
            lines += [] if each is None else [f"{key} = {each}"]
    return "\n".join([f"[{kind}]", *lines, ""])


H100X8 = machine(*(gpu(index, H100) for index in range(8)))
T4_ALONE = machine(gpu(0, T4))
MIXED = machine(gpu(0, T4), gpu(1, A100), gpu(2, H100))
A100_MIG = machine(
    gpu(0, A100, mig=1),
    part(0, 0, "3g.20gb", 19968),
    part(0, 1, "1g.5gb", 4864),
    part(0, 2, "1g.5gb", 4864),
    gpu(1, A100),
)
OLD_DRIVER = machine(gpu(0, A100), driver="470.82.01", cuda=11040)
