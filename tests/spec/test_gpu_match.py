"""GPUs are matched by a pure function: what fits, in which order, and why the rest does not."""

from typing import Any

import pytest

from launcher.errors import MalformedError, RequirementError
from launcher.spec.blueprint import GIB, Gpu
from launcher.spec.gpu_grants import Grant, granted, grants_from, read_choice
from launcher.spec.gpu_match import GpuGround, asked, fits_model, match, refuse_unmatched
from launcher.spec.gpus import GpuDevice, GpuInventory, GpuProcess, MigInstance, units
from launcher.spec.version_bounds import within

A100, H100, T4 = "NVIDIA A100-SXM4-40GB", "NVIDIA H100 80GB HBM3", "Tesla T4"
_MIB = 1 << 20


def device(index: int, model: str = A100, **changes: Any) -> GpuDevice:
    memory, capability = {A100: (40960, (8, 0)), H100: (81559, (9, 0)), T4: (15360, (7, 5))}[model]
    facts = {"memory": memory * _MIB, "compute_capability": capability, "minor": index, **changes}
    return GpuDevice(index=index, uuid=f"GPU-{index:08x}-aaaa", model=model, **facts)


def sliced(index: int) -> GpuDevice:
    shapes = (("3g.20gb", 19968), ("1g.5gb", 4864), ("1g.5gb", 4864))
    parts = [
        MigInstance(number, f"MIG-{index:08x}-{number}", profile, memory * _MIB)
        for number, (profile, memory) in enumerate(shapes)
    ]
    return device(index, mig=True, instances=tuple(parts))


def ground(*devices: GpuDevice, driver: str = "550.54.15", **more: Any) -> GpuGround:
    return GpuGround(GpuInventory(devices, driver, "12.4"), **more)


def chosen(wanted: Gpu, seen: GpuGround) -> list[str]:
    found = match(wanted, seen)
    refuse_unmatched(found)
    return [unit.label for unit in found.chosen]


def refusal(wanted: Gpu, seen: GpuGround) -> RequirementError:
    with pytest.raises(RequirementError) as caught:
        refuse_unmatched(match(wanted, seen))
    assert caught.value.code == "gpu-unmet"
    assert caught.value.hint
    return caught.value


MIXED = ground(device(0, H100), device(1, T4), device(2, A100), device(3, A100))


@pytest.mark.parametrize(
    ("wanted", "labels"),
    [
        (Gpu(), ["1"]),
        (Gpu(memory=30 * GIB), ["2"]),
        (Gpu(count=3, memory=30 * GIB), ["2", "3", "0"]),
        (Gpu(memory=60 * GIB), ["0"]),
        (Gpu(compute_capability=">=8.0"), ["2"]),
        (Gpu(compute_capability=">=8.0, <9"), ["2"]),
        (Gpu(compute_capability="==7.5"), ["1"]),
        (Gpu(models=("h100*",)), ["0"]),
        (Gpu(models=("A100*", "H100*"), count=2), ["2", "3"]),
        (Gpu(models=("*hbm3",)), ["0"]),
        (Gpu(models=("tesla t4",)), ["1"]),
        (Gpu(models=("T4",)), ["1"]),
        (Gpu(driver=">=550"), ["1"]),
        (Gpu(driver="==550"), ["1"]),
    ],
)
def test_what_wastes_the_least_memory_is_chosen_then_what_comes_first(wanted: Gpu, labels: list[str]) -> None:
    assert chosen(wanted, MIXED) == labels
    assert chosen(wanted, MIXED) == labels


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Gpu(memory=90 * GIB), "H100 80GB HBM3 (0): memory 79.6 GiB < 90GiB asked"),
        (Gpu(memory=90 * GIB), "A100-SXM4-40GB (2, 3): memory 40.0 GiB < 90GiB asked"),
        (Gpu(compute_capability=">=10"), "compute capability 9.0, >=10 asked"),
        (Gpu(driver=">550"), "driver 550.54.15, >550 asked"),
        (Gpu(models=("L4",)), "model is none of L4"),
        (Gpu(count=2, memory=60 * GIB), "1 of 2 fit"),
        (Gpu(count=9), "4 of 9 fit"),
    ],
)
def test_the_nearest_miss_is_explained(wanted: Gpu, said: str) -> None:
    assert said in str(refusal(wanted, MIXED).context)


def test_a_card_is_known_to_hold_less_than_its_name_says() -> None:
    assert 'write `memory = "80GB"`' in str(refusal(Gpu(memory=80 * GIB), MIXED).hint)
    assert chosen(Gpu(memory=80 * 10**9), MIXED) == ["0"]


def test_without_gpus_the_reason_is_told() -> None:
    seen = GpuGround(GpuInventory(fault="there is no libnvidia-ml.so.1"))
    assert "got no GPU: there is no libnvidia-ml.so.1" in str(refusal(Gpu(), seen).context)


def test_a_gpu_in_mig_mode_is_never_handed_out_whole() -> None:
    seen = ground(sliced(0))
    assert chosen(Gpu(), seen) == ["0:1"]
    assert chosen(Gpu(memory=10 * GIB), seen) == ["0:0"]
    assert chosen(Gpu(models=("*MIG 3g.20gb",)), seen) == ["0:0"]
    assert "memory 19.5 GiB < 30GiB asked" in str(refusal(Gpu(memory=30 * GIB), seen).context)
    assert "CUDA lets a program use one slice" in str(refusal(Gpu(count=2), seen).context)
    assert chosen(Gpu(count=2), ground(sliced(0), device(1), device(2))) == ["1", "2"]


def test_mig_mode_without_slices_gives_nothing_and_says_so() -> None:
    assert "GPU 0 is in MIG mode without a slice" in str(refusal(Gpu(), ground(device(0, mig=True))).context)


def test_runsc_gets_no_slices() -> None:
    assert chosen(Gpu(), ground(sliced(0), device(1), runtime="runsc")) == ["1"]


def test_a_gpu_with_foreign_programs_is_refused_unless_the_site_records_them() -> None:
    busy = device(0, processes=(GpuProcess(4242, 3 * GIB, "python3"),), memory_used=3 * GIB)
    error = refusal(Gpu(), ground(busy))
    assert "in use by pid 4242 (python3) with 3.0 GiB" in str(error.context)
    assert "nvidia-smi" in str(error.hint)
    assert chosen(Gpu(), ground(busy, device(1))) == ["1"]
    assert chosen(Gpu(), ground(busy, foreign="record")) == ["0"]
    lacking = refusal(Gpu(memory=39 * GIB), ground(busy, foreign="record"))
    assert "memory 37.0 GiB free" in str(lacking.context)


def test_a_leased_gpu_fits_and_is_waited_for() -> None:
    first, second = device(0, processes=(GpuProcess(1),)), device(1)
    found = match(Gpu(), ground(first, second, leased=frozenset({first.uuid})))
    assert [unit.label for unit in found.chosen] == ["1"]
    found = match(Gpu(count=2), ground(first, second, leased=frozenset({first.uuid})))
    assert (found.suffices, len(found.chosen)) == (True, 1)


def test_what_cannot_be_used_is_never_chosen() -> None:
    seen = ground(device(0, fault="the GPU is lost"), device(1, compute_mode="prohibited"), device(2))
    assert chosen(Gpu(), seen) == ["2"]
    error = refusal(Gpu(count=2), seen)
    assert "the GPU is lost" in str(error.context)
    assert "compute mode is `prohibited`" in str(error.context)


def test_what_is_asked_is_told_in_words() -> None:
    wanted = Gpu(2, 40 * GIB, ">=8.0", ">=550", ("A100*", "H100*"))
    assert asked(wanted) == (
        "2 GPUs with memory >= 40GiB, compute capability >=8.0, model A100* or H100*, driver >=550"
    )
    assert asked(Gpu()) == "1 GPU"


@pytest.mark.parametrize(
    ("version", "bounds", "holds"),
    [
        ("550.54.15", ">=550", True),
        ("550.54.15", ">=550.54.16", False),
        ("550.54.15", ">=550.54,<551", True),
        ("550.54.15", "<=550", True),
        ("550.54.15", ">550", False),
        ("8.9", ">=8.10", False),
        ("9.0", "==9", True),
        ("9", "==9.0", True),
        ("9.0", "<9", False),
        ("", ">=1", False),
    ],
)
def test_as_many_numbers_are_compared_as_a_bound_has(version: str, bounds: str, *, holds: bool) -> None:
    assert within(version, bounds) is holds


def test_only_a_star_is_special_in_a_model() -> None:
    assert fits_model("NVIDIA L4", ())
    assert fits_model("NVIDIA L4", ("l4",))
    assert not fits_model("NVIDIA L40S", ("l4",))
    assert not fits_model("NVIDIA L4", ("l?", "[l]4"))


NAMED = units(GpuInventory((device(0), device(1), sliced(2), device(3, minor=7))))


def allowed(environment: dict[str, str], option: str | None = None) -> list[str]:
    uuids = granted(NAMED, grants_from(environment, option))
    return [unit.label for unit in NAMED if unit.uuid in uuids]


ALL = ["0", "1", "2:0", "2:1", "2:2", "3"]


@pytest.mark.parametrize(
    ("environment", "labels"),
    [
        ({}, ALL),
        ({"CUDA_VISIBLE_DEVICES": "1,0"}, ["0", "1"]),
        ({"CUDA_VISIBLE_DEVICES": " 1 , 3 "}, ["1", "3"]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, []),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, []),
        ({"CUDA_VISIBLE_DEVICES": "1,-1,0"}, ["1"]),
        ({"CUDA_VISIBLE_DEVICES": "1,9,0"}, ["1"]),
        ({"CUDA_VISIBLE_DEVICES": "nonsense"}, []),
        ({"CUDA_VISIBLE_DEVICES": "GPU-00000001-aaaa"}, ["1"]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-00000001"}, ["1"]),
        ({"CUDA_VISIBLE_DEVICES": "GPU-0"}, []),
        ({"CUDA_VISIBLE_DEVICES": "MIG-00000002-1"}, ["2:1"]),
        ({"CUDA_VISIBLE_DEVICES": "2"}, ["2:0", "2:1", "2:2"]),
        ({"SLURM_JOB_GPUS": "7"}, ["3"]),
        ({"SLURM_JOB_GPUS": "0-1"}, ["0", "1"]),
        ({"SLURM_JOB_GPUS": "0,1", "SLURM_STEP_GPUS": "1"}, ["1"]),
        ({"SLURM_JOB_GPUS": "0,1", "CUDA_VISIBLE_DEVICES": "1,3"}, ["1"]),
        ({"SLURM_JOB_GPUS": ""}, []),
        ({"NVIDIA_VISIBLE_DEVICES": "all"}, ALL),
        ({"NVIDIA_VISIBLE_DEVICES": "0"}, ALL),
        ({"NVIDIA_VISIBLE_DEVICES": "void"}, []),
        ({"NVIDIA_VISIBLE_DEVICES": "none"}, []),
        ({"NVIDIA_VISIBLE_DEVICES": "GPU-00000003-aaaa"}, ["3"]),
    ],
)
def test_a_scheduler_grants_what_its_variables_name(environment: dict[str, str], labels: list[str]) -> None:
    assert allowed(environment) == labels


@pytest.mark.parametrize(
    ("option", "labels"),
    [
        ("none", []),
        ("0,3", ["0", "3"]),
        ("2:1", ["2:1"]),
        ("gpu-00000001-AAAA", ["1"]),
        ("MIG-00000002-0,0", ["0", "2:0"]),
    ],
)
def test_the_option_narrows(option: str, labels: list[str]) -> None:
    assert allowed({}, option) == labels
    assert allowed({"CUDA_VISIBLE_DEVICES": ""}, option) == []


def test_the_option_never_widens() -> None:
    assert allowed({"CUDA_VISIBLE_DEVICES": "0"}, "0,1") == ["0"]


@pytest.mark.parametrize("option", ["", "all", "0,", "0:x", "-1", "GPU", "0 1", "../etc"])
def test_an_option_that_names_no_gpu_is_malformed(option: str) -> None:
    with pytest.raises(MalformedError):
        read_choice(option)


def test_an_option_that_names_a_gpu_that_is_not_here_is_refused() -> None:
    with pytest.raises(RequirementError) as caught:
        allowed({}, "8")
    assert caught.value.code == "gpu-not-here"


def test_the_grant_is_named_where_it_is_why_nothing_fits() -> None:
    seen = ground(device(0), grants=(Grant("CUDA_VISIBLE_DEVICES", ()),))
    assert "CUDA_VISIBLE_DEVICES grants none" in str(refusal(Gpu(), seen).context)
