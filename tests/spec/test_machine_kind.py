"""What kind of machine it was: a pure function of the facts of an environment manifest."""

import pytest

from launcher.spec.machine_kind import kind_in_words, machine_kind, stated_kind

FACTS = {
    "host.machine": "x86_64",
    "host.cpu-model": "AMD EPYC  9354 32-Core Processor",
    "host.kernel": "6.1.0",
    "engine.kernel": "6.1.0-41-amd64",
    "engine.name": "docker",
    "engine.version": "28.5.1",
    "sandbox.profile": {"runtime": "runsc"},
    "gpu.driver": "550.54.15",
    "gpu.devices": [
        {"model": "NVIDIA H100", "uuid": "GPU-1", "given": {"uuid": "GPU-1", "name": "NVIDIA H100"}},
        {"model": "NVIDIA H100", "uuid": "GPU-2", "given": {"uuid": "GPU-2", "name": "NVIDIA H100"}},
        {"model": "NVIDIA A100", "given": {"uuid": "MIG-3", "name": "NVIDIA A100 MIG 1g.10gb"}},
    ],
    "host.cpus": 64,
    "host.memory": 1 << 40,
}


def test_a_kind_names_processor_kernel_engine_runtime_and_gpus() -> None:
    kind = machine_kind(FACTS)
    assert kind == {
        "machine": "x86_64",
        "processor": "AMD EPYC 9354 32-Core Processor",
        "kernel": "6.1.0-41-amd64",
        "engine": "docker 28.5.1",
        "runtime": "runsc",
        "gpu": "1 x NVIDIA A100 MIG 1g.10gb, 2 x NVIDIA H100",
        "gpu-driver": "550.54.15",
    }
    assert kind_in_words(kind) == (
        "AMD EPYC 9354 32-Core Processor, kernel 6.1.0-41-amd64, docker 28.5.1, runsc, "
        "1 x NVIDIA A100 MIG 1g.10gb, 2 x NVIDIA H100, driver 550.54.15"
    )


def test_what_is_not_told_is_left_out_and_no_gpu_is_said_to_be_none() -> None:
    assert machine_kind({"host.machine": "aarch64"}) == {"machine": "aarch64", "gpu": "none"}
    assert kind_in_words(machine_kind({"host.machine": "aarch64"})) == "aarch64"


@pytest.mark.parametrize("odd", [None, 7, [], {}, "", [7], [{}], [{"given": 7}], [{"given": {"name": 7}}]])
def test_facts_of_any_shape_give_texts_or_nothing(odd: object) -> None:
    kind = machine_kind(dict.fromkeys(FACTS, odd))
    assert all(isinstance(text, str) and text for text in kind.values())
    assert all(len(text) <= 200 for text in machine_kind(dict.fromkeys(FACTS, "x" * 10_000)).values())


def test_other_names_beside_it_make_no_other_kind() -> None:
    kind = machine_kind(FACTS)
    assert stated_kind({**kind, "host": "rack-7", "kernel-colour": "red"}) == stated_kind(kind)
    assert stated_kind({**kind, "kernel": "6.12"}) != stated_kind(kind)
    assert stated_kind({"host": "rack-7"}) == ()
