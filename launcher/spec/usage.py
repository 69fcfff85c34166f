"""What a container used while it ran: readings over time, and the kernel's counts of its limits."""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

UsageSource = Literal["cgroup-v1", "cgroup-v2", "engine"]


class GpuReading(Struct, frozen=True):
    """One GPU, or a slice of one, at one moment, by its UUID; None: its driver does not tell.

    `utilisation` is the busy share in percent.
    """

    uuid: str
    utilisation: float | None = None
    memory_bytes: int | None = None
    power_watts: float | None = None
    temperature_celsius: int | None = None
    sm_clock_mhz: int | None = None


class UsageSample(Struct, frozen=True, omit_defaults=True):
    """What a container had used `at` seconds after it was started; None: not to be read here.

    `cpu_seconds`, `throttled_seconds`, `read_bytes` and `written_bytes` only grow; the bytes are those of
    block devices. `anonymous_bytes` and `file_bytes` are parts of `memory_bytes`; files in memory, as all
    that the sandbox lets a command write, are among the latter.
    """

    at: float
    cpu_seconds: float | None = None
    throttled_seconds: float | None = None
    memory_bytes: int | None = None
    anonymous_bytes: int | None = None
    file_bytes: int | None = None
    read_bytes: int | None = None
    written_bytes: int | None = None
    pids: int | None = None
    gpus: tuple[GpuReading, ...] = ()


class LimitsHit(Struct, frozen=True):
    """The kernel's own counts for one container, read last when nobody but its first process lived.

    `memory_kills` are processes ended for want of memory, `memory_refusals` how often the limit was met
    (cache may have been given up instead), `pids_refusals` processes and threads that could not be made.
    """

    memory_kills: int | None = None
    memory_refusals: int | None = None
    pids_refusals: int | None = None


class LoadedObjects(Struct, frozen=True):
    """Files that the container's processes had mapped to execute, sorted, by their paths inside it.

    They were looked for `looks` times; what was loaded and dropped between two looks is not among them.
    """

    paths: tuple[str, ...] = ()
    looks: int = 0
    truncated: bool = False


class Usage(Struct, frozen=True):
    """A container's series of samples; `source` None: it could not be watched.

    Samples are `interval` seconds apart, closer in the first second; the first and the last are always there.
    """

    source: UsageSource | None = None
    interval: float = 1.0
    samples: tuple[UsageSample, ...] = ()
    memory_peak_bytes: int | None = None
    pids_peak: int | None = None
    limits: LimitsHit = LimitsHit()
    loaded: LoadedObjects = LoadedObjects()

    @property
    def last(self) -> UsageSample | None:
        """The last sample, None where there is none."""
        return self.samples[-1] if self.samples else None

    def thinned(self) -> "Usage":
        """Return the series with every second sample left out, but for its first and its last."""
        kept = (*self.samples[:-1:2], *self.samples[-1:])
        return replace(self, samples=kept, interval=self.interval * 2)
