"""The inventory is what the driver says, bounded in time, and every way to fail has a reason."""

from pathlib import Path

import pytest

from launcher.environment.gpus import gpu_sampler, observe_gpus
from launcher.spec.gpus import GpuProcess, units
from launcher.spec.nvml_errors import REASONS, reason
from tests.conftest import GpusHere
from tests.fakes import nvml


def test_a_machine_is_described_whole(gpus_here: GpusHere) -> None:
    gpus_here(nvml.H100X8)
    seen = observe_gpus()
    assert (seen.driver, seen.cuda, seen.fault, len(seen.devices)) == ("550.54.15", "12.4", "", 8)
    last = seen.devices[7]
    assert (last.index, last.uuid, last.model) == (7, nvml.uuid_of(7), nvml.H100)
    assert (last.memory, last.compute_capability, last.minor) == (81559 << 20, (9, 0), 7)
    assert (last.pci, last.persistence, last.compute_mode) == ("00000000:08:00.0", True, "default")
    assert (last.ecc, last.ecc_errors, last.mig, last.fault) == (True, 0, False, "")
    assert (last.clocks["sm"].current, last.clocks["sm"].maximum) == (210, 1410)


def test_a_gpu_in_mig_mode_is_its_slices(gpus_here: GpusHere) -> None:
    gpus_here(nvml.A100_MIG)
    found = units(observe_gpus())
    assert [(unit.label, unit.name.partition(" MIG ")[2]) for unit in found] == [
        ("0:0", "3g.20gb"),
        ("0:1", "1g.5gb"),
        ("0:2", "1g.5gb"),
        ("1", ""),
    ]
    assert found[0].uuid == nvml.uuid_of(0, 0)
    assert found[0].memory == 19968 << 20
    assert nvml.uuid_of(0) not in {unit.uuid for unit in found}


def test_what_a_model_lacks_is_none(gpus_here: GpusHere) -> None:
    gpus_here(nvml.machine(nvml.gpu(0, nvml.T4, ecc=None, ecc_errors=None, persistence=None)))
    device = observe_gpus().devices[0]
    assert (device.mig, device.ecc, device.ecc_errors, device.persistence) == (None, None, None, None)


def test_programs_on_a_gpu_are_named(gpus_here: GpusHere) -> None:
    gpus_here(nvml.machine(nvml.gpu(0, nvml.T4, process=["4000001 512", "4000000 1"], used=513)))
    device = observe_gpus().devices[0]
    assert device.processes == (GpuProcess(4_000_000, 1 << 20), GpuProcess(4_000_001, 512 << 20))
    assert device.memory_used == 513 << 20


def test_no_library_is_no_gpu_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    (tmp_path / nvml.LIBRARY).write_text("no library")
    seen = observe_gpus()
    assert seen.devices == ()
    assert "libnvidia-ml.so.1" in seen.fault


@pytest.mark.parametrize("code", REASONS)
def test_every_error_of_nvml_has_a_reason_of_its_own(gpus_here: GpusHere, code: int) -> None:
    gpus_here(nvml.machine(nvml.gpu(0, nvml.T4), extra=[f"fail.InitWithFlags = {code}"]))
    assert observe_gpus().fault == REASONS[code]
    assert len(set(REASONS.values())) == len(REASONS)


def test_an_error_nobody_knows_keeps_its_number() -> None:
    assert "77" in reason(77)


def test_a_library_that_is_too_old_says_so(gpus_here: GpusHere, tmp_path: Path) -> None:
    gpus_here(nvml.T4_ALONE, nvml.build_nvml(tmp_path, "-DOLD"))
    assert "too old" in observe_gpus().fault


def test_a_driver_that_hangs_is_left_behind(gpus_here: GpusHere) -> None:
    gpus_here(nvml.machine(nvml.gpu(0, nvml.T4), extra=["hang.DeviceGetCount_v2 = 1"]))
    assert "does not answer within 0.5 s" in observe_gpus(patience=0.5).fault


def test_a_driver_that_crashes_takes_nobody_along(gpus_here: GpusHere) -> None:
    gpus_here(nvml.machine(nvml.gpu(0, nvml.T4), extra=["crash.DeviceGetName = 1"]))
    assert "ended with signal 6" in observe_gpus().fault


def test_a_lost_gpu_keeps_its_place(gpus_here: GpusHere) -> None:
    gpus_here(nvml.machine(nvml.gpu(0, nvml.A100), nvml.gpu(1, nvml.A100, lost=1)))
    first, second = observe_gpus().devices
    assert (first.fault, second.index) == ("", 1)
    assert "lost" in second.fault


def test_a_name_full_of_control_characters_is_cleaned(gpus_here: GpusHere) -> None:
    gpus_here(nvml.machine(nvml.gpu(0, nvml.T4, name="T4\x1b[2J\x07")))
    assert observe_gpus().devices[0].model == "T4[2J"


def test_gpus_are_sampled_by_uuid(gpus_here: GpusHere) -> None:
    gpus_here(nvml.H100X8)
    absent = "GPU-absent"
    with gpu_sampler([nvml.uuid_of(3), absent]) as sample:
        for _ in range(2):
            found = sample()
            assert found[nvml.uuid_of(3)]["power_milliwatts"] == 61_000
            assert found[nvml.uuid_of(3)]["utilisation_percent"] == 7
            assert found[nvml.uuid_of(3)]["memory_used_bytes"] == 0
            assert found[absent] == {}


def test_sampling_ends_quietly_where_the_driver_hangs(gpus_here: GpusHere) -> None:
    gpus_here(nvml.machine(nvml.gpu(0, nvml.T4), extra=["hang.DeviceGetPowerUsage = 1"]))
    with gpu_sampler([nvml.uuid_of(0)], patience=0.5) as sample:
        assert sample() == {}
        assert sample() == {}
