"""Containers that run side by side get processors and GPUs of their own, or wait, or say that they share."""

import threading
from pathlib import Path

import pytest

from launcher.environment.leases import Leases
from launcher.environment.processors import Processor
from launcher.errors import InfrastructureError, RequirementError
from launcher.runs.shares import Machine
from launcher.runs.wants import Want
from launcher.spec.blueprint import Gpu
from launcher.spec.gpu_match import GpuGround
from launcher.spec.gpus import GpuDevice, GpuInventory, GpuProcess

CPUS = tuple(Processor(number, (0, number)) for number in range(4))
GPUS = tuple(GpuDevice(index, f"GPU-{index}", "NVIDIA A100", 40 << 30, (8, 0)) for index in range(2))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(Leases(tmp_path / "leases"), CPUS, ground=GpuGround(GpuInventory(GPUS, "550")))


NEVER = threading.Event()


def test_runs_side_by_side_have_processors_of_their_own(machine: Machine) -> None:
    with machine.lend([Want(2)], NEVER) as first, machine.lend([Want(2)], NEVER) as second:
        assert first is not None
        assert second is not None
        assert (first[0].cpus, second[0].cpus) == ((0, 1), (2, 3))
        assert first[0].exclusive
        with machine.lend([Want(1)], NEVER) as third:
            assert third is not None
            assert (third[0].cpus, third[0].exclusive) == (None, False)
            assert "1 processors asked, 0 of 4 were free" in third[0].remark
    with machine.lend([Want(4)], NEVER) as whole:
        assert whole is not None
        assert whole[0].cpus == (0, 1, 2, 3)


def test_who_finds_too_few_stays_within_what_the_scheduler_gave(tmp_path: Path) -> None:
    machine = Machine(Leases(tmp_path / "leases"), CPUS[:2], whole=False)
    with machine.lend([Want(8)], NEVER) as shares:
        assert shares is not None
        assert (shares[0].cpus, shares[0].exclusive) == ((0, 1), False)


def test_containers_of_one_group_get_what_they_need_together(machine: Machine) -> None:
    with machine.lend([Want(1, Gpu()), Want(2, Gpu())], NEVER) as shares:
        assert shares is not None
        assert [share.cpus for share in shares] == [(0,), (1, 2)]
        assert [[unit.uuid for unit in share.gpus] for share in shares] == [["GPU-0"], ["GPU-1"]]


def test_a_held_gpu_is_waited_for_and_said(machine: Machine) -> None:
    said: list[str] = []
    waiting = Machine(machine.leases, CPUS, ground=machine.ground, say=said.append)
    got: list[str] = []

    def run() -> None:
        with waiting.lend([Want(1, Gpu(count=2))], NEVER) as shares:
            got.extend(unit.uuid for share in shares or () for unit in share.gpus)

    with machine.lend([Want(1, Gpu())], NEVER):
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(0.5)
        assert got == []
        assert said == ["waiting for GPUs that another launch uses"]
        # Who waits holds nothing: the other GPU is free.
        with machine.lend([Want(1, Gpu())], NEVER) as second:
            assert second is not None
            assert second[0].gpus[0].uuid == "GPU-1"
    thread.join(10)
    assert got == ["GPU-0", "GPU-1"]


def test_waiting_ends_when_it_is_cancelled(machine: Machine) -> None:
    cancel = threading.Event()
    with machine.lend([Want(1, Gpu(count=2))], NEVER):
        threading.Timer(0.2, cancel.set).start()
        with machine.lend([Want(1, Gpu())], cancel) as shares:
            assert shares is None


def test_a_gpu_that_went_away_while_waiting_is_an_infrastructure_failure(machine: Machine) -> None:
    gone = Machine(machine.leases, ground=machine.ground, look=lambda: GpuInventory(GPUS[:1], "550"))
    with machine.lend([Want(1, Gpu(count=2))], NEVER):
        with pytest.raises(InfrastructureError) as caught, gone.lend([Want(1, Gpu(count=2))], NEVER):
            pass
        assert caught.value.code == "gpu-gone"


def test_a_leased_gpu_has_programs_that_are_not_foreign(machine: Machine) -> None:
    busy = GpuDevice(0, "GPU-0", "NVIDIA A100", 40 << 30, (8, 0), processes=(GpuProcess(7),))
    seen = Machine(machine.leases, ground=GpuGround(GpuInventory((busy,), "550")))
    with machine.lend([Want(1, Gpu())], NEVER):
        seen.require([Want(1, Gpu())])


def test_as_many_replicates_run_at_once_as_there_are_gpus(machine: Machine) -> None:
    assert machine.width([Want(1, Gpu())]) == 2
    assert machine.width([Want(2)]) == 2
    assert machine.width([Want(9, Gpu(count=2))]) == 1
    assert Machine().width([Want(64)]) > 1000


def test_nothing_to_share_touches_nothing(tmp_path: Path) -> None:
    bare = Machine(Leases(tmp_path / "leases"), unpinned="the engine is on another machine")
    with bare.lend([Want(2)], NEVER) as shares:
        assert shares is not None
        assert shares[0].remark == "the engine is on another machine"
    assert not (tmp_path / "leases").exists()


def test_leases_end_with_the_block_whatever_happens(machine: Machine) -> None:
    with pytest.raises(KeyError), machine.lend([Want(4, Gpu(count=2))], NEVER):
        raise KeyError
    with machine.lend([Want(4, Gpu(count=2))], NEVER) as shares:
        assert shares is not None
        assert shares[0].exclusive


def test_containers_beside_each_other_share_no_gpu_or_are_refused_at_once(machine: Machine) -> None:
    machine.require([Want(1, Gpu()), Want(1, Gpu(), "server")])
    with pytest.raises(RequirementError) as caught:
        machine.require([Want(1, Gpu(count=2)), Want(1, Gpu(), "server")])
    assert caught.value.code == "gpu-unmet"
    assert machine.width([Want(1, Gpu()), Want(1, Gpu(), "server")]) == 1


def test_who_is_choosy_is_given_first(tmp_path: Path) -> None:
    small = GpuDevice(0, "GPU-s", "Tesla T4", 15 << 30, (7, 5))
    large = GpuDevice(1, "GPU-l", "NVIDIA A100", 40 << 30, (8, 0))
    machine = Machine(Leases(tmp_path / "leases"), ground=GpuGround(GpuInventory((small, large), "550")))
    with machine.lend([Want(1, Gpu()), Want(1, Gpu(models=("T4",)), "server")], NEVER) as shares:
        assert shares is not None
        assert [share.gpus[0].uuid for share in shares] == ["GPU-l", "GPU-s"]
