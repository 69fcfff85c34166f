"""A healthy machine as doctor sees it, to be made ill one fact at a time."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from launcher.doctor.observe import EngineState, KeyState, Leftovers, Observed, TrustState
from launcher.environment.machine import ClockFacts, DiskFacts, MachineFacts
from launcher.spec.gpus import GpuDevice, GpuInventory
from tests.fakes.engine import FACTS

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = datetime(2030, 1, 1, tzinfo=UTC)
MACHINE = MachineFacts((3, 11, 7), "2.39.5", "v2", 15_000, 8 << 30)
CLOCK = ClockFacts(NOW, NOW, "id", synchronised=True)
DISK = DiskFacts(
    Path("/home/me/evalctl"),
    exists=True,
    writable=True,
    executable=True,
    file_system="ext4",
    free=10**12,
    free_inodes=10**6,
    device=1,
)
ENGINE = replace(
    FACTS, storage_driver="overlay2", security_options=("name=seccomp,profile=default", "name=apparmor")
)
TWO = tuple(GpuDevice(index, f"GPU-{index}", "NVIDIA A100", 40 << 30, (8, 0)) for index in range(2))
HEALTHY = Observed(
    machine=MACHINE,
    clock=CLOCK,
    home=DISK,
    installation=DISK,
    shut=(),
    engine=EngineState(ENGINE, replace(DISK, path=Path("/var/lib/docker"), device=2)),
    key=KeyState(Path("/home/me/evalctl/keys/default"), "SHA256:x"),
    trust=TrustState(Path("/home/me/evalctl/trust.toml"), LATER, 1),
    gpus=GpuInventory(fault="there is no library"),
    leftovers=Leftovers(),
)


def ill(part: str, **changes: Any) -> Observed:
    """Return the healthy machine with `changes` in one part; a dot leads into a part of the part."""
    name, _, inner = part.partition(".")
    old = getattr(HEALTHY, name)
    new = (
        replace(old, **{inner: replace(getattr(old, inner), **changes)}) if inner else replace(old, **changes)
    )
    return replace(HEALTHY, **{name: new})
