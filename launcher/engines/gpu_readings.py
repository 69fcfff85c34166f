"""What the GPUs of a container do, as its samples hold it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from launcher.spec.usage import GpuReading

ReadGpus = Callable[[], Sequence[GpuReading]]


@contextmanager
def gpu_readings(uuids: Sequence[str]) -> Iterator[ReadGpus]:
    """Yield a function that reads these GPUs; without any, nothing is started and nothing read."""
    if not uuids:
        yield tuple
        return
    from launcher.environment.gpus import gpu_sampler

    with gpu_sampler(uuids) as sample:
        yield lambda: [_reading(uuid, told) for uuid, told in sample().items()]


def _reading(uuid: str, told: Mapping[str, int | None]) -> GpuReading:
    power = told.get("power_milliwatts")
    return GpuReading(
        uuid=uuid,
        utilisation=told.get("utilisation_percent"),
        memory_bytes=told.get("memory_used_bytes"),
        power_watts=None if power is None else power / 1000,
        temperature_celsius=told.get("temperature_celsius"),
        sm_clock_mhz=told.get("sm_clock_mhz"),
    )
