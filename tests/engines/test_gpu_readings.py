"""GPUs are read by their UUIDs while a container runs, in the units of its samples."""

from launcher.engines.gpu_readings import gpu_readings
from launcher.spec.usage import GpuReading
from tests.conftest import GpusHere
from tests.fakes import nvml


def test_without_gpus_nothing_is_read() -> None:
    with gpu_readings(()) as read:
        assert tuple(read()) == ()


def test_a_gpu_is_read_in_the_units_of_samples(gpus_here: GpusHere) -> None:
    gpus_here(nvml.H100X8)
    with gpu_readings([nvml.uuid_of(3)]) as read:
        (found,) = read()
    assert (found.uuid, found.utilisation, found.memory_bytes) == (nvml.uuid_of(3), 7, 0)
    assert found.power_watts == 61.0


def test_a_gpu_that_is_gone_has_a_reading_without_figures(gpus_here: GpusHere) -> None:
    gpus_here(nvml.H100X8)
    with gpu_readings(["GPU-absent"]) as read:
        assert list(read()) == [GpuReading("GPU-absent")]
