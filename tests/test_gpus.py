"""Machines with GPUs, from the command line: plans, launches and checkups match them, or say why not.

NVIDIA's driver is played by a library of our own, so these tests hold evalctl to our idea of NVML.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.conftest import Evalctl, Finished, GpusHere
from tests.fakes import nvml
from tests.fakes.world import Inside, SmallWorld, answer, read_lines, write_samples


def asking(world: SmallWorld, body: str, **sections: str | None) -> Path:
    return world.write(tail=f"[resources.gpu]\n{body}\n", **sections)


def bundle_of(done: Finished) -> Path:
    return Path(done.out.splitlines()[-1])


def facts_of(bundle: Path) -> dict[str, Any]:
    facts = json.loads((bundle / "environment.json").read_text())["facts"]
    return {fact["name"]: fact["value"] for fact in facts}


MATCHES = {
    "one of eight H100": (nvml.H100X8, 'models = ["H100*"]\nmemory = "79GiB"', [nvml.uuid_of(0)]),
    "all eight H100": (nvml.H100X8, "count = 8", [nvml.uuid_of(index) for index in range(8)]),
    "a T4": (nvml.T4_ALONE, 'compute-capability = ">=7.5"', [nvml.uuid_of(0)]),
    "the larger slice": (nvml.A100_MIG, 'memory = "19GiB"', [nvml.uuid_of(0, 0)]),
    "the smaller slice": (nvml.A100_MIG, 'memory = "4GiB"', [nvml.uuid_of(0, 1)]),
    "a slice by its profile": (nvml.A100_MIG, 'models = ["A100*3g.20gb"]', [nvml.uuid_of(0, 0)]),
    "a whole A100 beside slices": (nvml.A100_MIG, 'memory = "40GiB"', [nvml.uuid_of(1)]),
    "what wastes least of a mixture": (nvml.MIXED, 'memory = "16GiB"', [nvml.uuid_of(1)]),
    "the newest of a mixture": (nvml.MIXED, 'compute-capability = ">=9"', [nvml.uuid_of(2)]),
}
MISSES = {
    "an H100 with more memory than it has": (
        nvml.H100X8,
        'memory = "80GiB"',
        "memory 79.6 GiB < 80GiB asked",
    ),
    "nine of eight": (nvml.H100X8, "count = 9", "8 of 9 fit"),
    "a T4 for Ampere's code": (nvml.T4_ALONE, 'compute-capability = ">=8.0"', "compute capability 7.5"),
    "a driver too old": (nvml.OLD_DRIVER, 'driver = ">=550"', "driver 470.82.01, >=550 asked"),
    "two slices for one program": (nvml.A100_MIG, "count = 3", "CUDA lets a program use one slice only"),
    "another model": (nvml.MIXED, 'models = ["L4", "L40S"]', "model is none of L4, L40S"),
    "others' programs": (
        nvml.machine(nvml.gpu(0, nvml.T4, process="4000001 900", used=900)),
        "count = 1",
        "in use by pid 4000001 with 0.9 GiB",
    ),
    "a GPU that is lost": (nvml.machine(nvml.gpu(0, nvml.T4, lost=1)), "count = 1", "the GPU is lost"),
    "no driver": (
        nvml.machine(extra=["fail.InitWithFlags = 9"]),
        "count = 1",
        "got no GPU: NVIDIA's kernel driver is not loaded",
    ),
}


@pytest.mark.parametrize("case", MATCHES)
def test_a_machine_that_fits_gives_what_the_plan_said(
    evalctl: Evalctl, world: SmallWorld, gpus_here: GpusHere, case: str
) -> None:
    text, body, uuids = MATCHES[case]
    gpus_here(text)
    file = asking(world, body)
    plan = json.loads(evalctl("plan", file, "--json").out)
    assert [gpu["uuid"] for gpu in plan["gpus"][0]["given"]] == uuids
    assert plan["unmet"] == []
    assert evalctl("doctor", file).code == 0
    done = evalctl("launch", file)
    assert done.code == 0, done.err
    assert [list(task.gpus) for task in world.engine.tasks] == [uuids]
    facts = facts_of(bundle_of(done))
    assert [device["given"]["uuid"] for device in facts["gpu.devices"]] == uuids
    assert (facts["gpu.driver"], facts["gpu.cuda"]) == ("550.54.15", "12.4")
    assert [share["gpus"] for share in facts["host.shares"]] == [uuids]
    assert evalctl("verify", bundle_of(done)).code == 0


@pytest.mark.parametrize("case", MISSES)
def test_a_machine_that_does_not_fit_refuses_and_says_why(
    evalctl: Evalctl, world: SmallWorld, gpus_here: GpusHere, case: str
) -> None:
    text, body, said = MISSES[case]
    gpus_here(text)
    file = asking(world, body)
    done = evalctl("launch", file)
    assert done.code == 6
    assert said in done.err
    assert world.engine.images == set(), "an image was loaded before the GPUs were matched"
    plan = json.loads(evalctl("plan", file, "--json").out)
    assert plan["gpus"][0]["given"] == []
    assert said in plan["unmet"][0]["what"]
    assert evalctl("doctor", file).code == 6


def test_the_lock_pins_what_was_asked_and_never_what_was_found(
    evalctl: Evalctl, world: SmallWorld, gpus_here: GpusHere
) -> None:
    file = asking(world, 'memory = "10GiB"')
    digests = set()
    for text in (nvml.H100X8, nvml.T4_ALONE, nvml.A100_MIG):
        gpus_here(text)
        digests.add(json.loads(evalctl("resolve", file, "--json").out)["digest"])
    assert len(digests) == 1
    lock = (world.folder / "blueprint.lock.json").read_text()
    assert str(10 << 30) in lock
    assert "GPU-" not in lock
    assert "550.54" not in lock


def test_a_scheduler_and_the_option_narrow(
    evalctl: Evalctl, world: SmallWorld, gpus_here: GpusHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus_here(nvml.H100X8)
    file = asking(world, "count = 1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,6")
    assert nvml.uuid_of(5) in evalctl("plan", file).out
    assert nvml.uuid_of(6) in evalctl("plan", file, "--gpus", "6").out
    refused = evalctl("launch", file, "--gpus", "1")
    assert (refused.code, "CUDA_VISIBLE_DEVICES grants 5, 6; --gpus grants 1" in refused.err) == (6, True)
    assert evalctl("launch", file, "--gpus", "none").code == 6
    assert evalctl("launch", file, "--gpus", "everything").code == 2
    assert evalctl("launch", file, "--gpus", nvml.uuid_of(6)).code == 0
    assert world.engine.tasks[-1].gpus == (nvml.uuid_of(6),)
    assert world.engine.tasks[-1].environment["CUDA_VISIBLE_DEVICES"] == "0"


def test_replicates_side_by_side_have_gpus_of_their_own(
    evalctl: Evalctl, world: SmallWorld, gpus_here: GpusHere
) -> None:
    gpus_here(nvml.machine(nvml.gpu(0, nvml.A100), nvml.gpu(1, nvml.A100)))
    file = asking(world, "count = 1", run='command = ["answer"]\nseeds = [1, 2, 3, 4]')
    done = evalctl("launch", file)
    assert done.code == 0
    used = [share["gpus"] for share in facts_of(bundle_of(done))["host.shares"]]
    assert len(used) == 4
    assert {uuid for gpus in used for uuid in gpus} <= {nvml.uuid_of(0), nvml.uuid_of(1)}


def changing(gpus_here: GpusHere, after: str) -> Any:
    def program(inside: Inside) -> int:
        gpus_here(after)
        return answer(inside)

    return program


def test_a_driver_that_changes_under_a_run_is_a_deviation(
    evalctl: Evalctl, world: SmallWorld, gpus_here: GpusHere
) -> None:
    gpus_here(nvml.T4_ALONE)
    world.plays(changing(gpus_here, nvml.machine(nvml.gpu(0, nvml.T4), driver="560.1")))
    done = evalctl("launch", asking(world, "count = 1"))
    assert done.code == 0
    result = json.loads((bundle_of(done) / "result.json").read_text())
    assert "the GPUs' driver was 550.54.15 before the run and 560.1 after it" in result["deviations"]


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (nvml.machine(nvml.gpu(0, nvml.T4, lost=1)), "the GPU is lost"),
        (nvml.machine(), "it is not there any more"),
        (nvml.machine(nvml.gpu(0, nvml.T4, ecc_errors=3)), "3 uncorrected memory errors"),
        (nvml.machine(extra=["fail.InitWithFlags = 18"]), "differ in version"),
    ],
)
def test_a_gpu_that_breaks_under_a_run_is_an_infrastructure_failure(
    evalctl: Evalctl, world: SmallWorld, gpus_here: GpusHere, after: str, said: str
) -> None:
    gpus_here(nvml.T4_ALONE)
    world.plays(changing(gpus_here, after))
    done = evalctl("launch", asking(world, "count = 1"))
    assert done.code == 4
    result = json.loads((bundle_of(done) / "result.json").read_text())
    assert (result["failure"], said in json.dumps(result)) == ("engine", True)
    gpus_here(nvml.T4_ALONE)
    world.plays(answer)
    assert evalctl("launch", world.file).code == 0


def test_a_finished_run_says_that_it_had_other_gpus(
    evalctl: Evalctl, world: SmallWorld, gpus_here: GpusHere
) -> None:
    gpus_here(nvml.T4_ALONE)
    file = asking(world, "count = 1")
    assert evalctl("launch", file).code == 0
    again = evalctl("launch", file)
    assert "it ran on" not in again.err
    gpus_here(nvml.H100X8)
    again = evalctl("launch", file)
    assert again.code == 0
    assert "it ran on Tesla T4 under driver 550.54.15; this machine would give NVIDIA H100 80GB HBM3" in (
        again.err
    )
    gpus_here(nvml.machine())
    assert "this machine would give none that fits" in evalctl("launch", file).err


def test_others_programs_are_recorded_where_the_site_says_so(
    evalctl: Evalctl, world: SmallWorld, gpus_here: GpusHere
) -> None:
    gpus_here(nvml.machine(nvml.gpu(0, nvml.T4, process="4000001 900", used=900)))
    site = world.root / "site.toml"
    site.write_text('schema = "evalctl/site/v1"\nforeign-gpu-processes = "record"\n')
    done = evalctl("launch", asking(world, "count = 1"), "--site", site)
    assert done.code == 0, done.err
    device = facts_of(bundle_of(done))["gpu.devices"][0]
    assert device["foreign-processes"] == ["pid 4000001 with 0.9 GiB"]


def test_runsc_without_its_proxy_is_refused_and_never_weakened(
    evalctl: Evalctl, world: SmallWorld, gpus_here: GpusHere
) -> None:
    gpus_here(nvml.T4_ALONE)
    file = asking(world, "count = 1")
    done = evalctl("launch", file, "--runtime", "runsc")
    assert (done.code, "passes no GPUs on" in done.err) == (6, True)
    assert world.engine.tasks == []
    world.engine.facts = replace(world.engine.facts, nvproxy=True)
    assert evalctl("launch", file, "--runtime", "runsc").code == 0
    assert world.engine.tasks[0].profile.runtime == "runsc"


def test_doctor_lists_the_machine(evalctl: Evalctl, gpus_here: GpusHere) -> None:
    def detail() -> str:
        checks = json.loads(evalctl("doctor", "--json").out)["checks"]
        return str(next(check["detail"] for check in checks if check["name"] == "gpus"))

    gpus_here(nvml.H100X8)
    assert detail() == "8 x H100 80GB HBM3; driver 550.54.15, CUDA 12.4"
    gpus_here(nvml.A100_MIG)
    assert detail().startswith("A100-SXM4-40GB MIG 3g.20gb, 2 x A100-SXM4-40GB MIG 1g.5gb, A100-SXM4-40GB;")
    gpus_here(nvml.machine(extra=["fail.InitWithFlags = 9"]))
    assert detail() == "none: NVIDIA's kernel driver is not loaded"


def test_a_blueprint_without_gpus_never_asks_the_driver(
    evalctl: Evalctl, world: SmallWorld, gpus_here: GpusHere
) -> None:
    gpus_here(nvml.machine(nvml.gpu(0, nvml.T4), extra=["hang.InitWithFlags = 1"]))
    done = evalctl("launch", world.write())
    assert done.code == 0
    assert "gpu.driver" not in facts_of(bundle_of(done))
    assert json.loads(evalctl("plan", world.file, "--json").out)["gpus"] == []


def test_the_variables_that_choose_gpus_are_evalctls_own(evalctl: Evalctl, world: SmallWorld) -> None:
    done = evalctl("validate", world.write(run='command = ["x"]\nenv = { CUDA_VISIBLE_DEVICES = "0" }'))
    assert (done.code, "[resources.gpu]" in done.err) == (2, True)


def test_scoring_has_gpus_of_its_own_and_needs_no_others_when_it_is_done_again(
    evalctl: Evalctl, world: SmallWorld, gpus_here: GpusHere
) -> None:
    def score(inside: Inside) -> int:
        found = read_lines(inside.mounts["/eval/predictions"] / "samples.jsonl")
        write_samples(inside, [{**sample, "target": sample["prediction"]} for sample in found])
        return 0

    gpus_here(nvml.MIXED)
    world.plays(score, "score")
    both = 'models = ["A100*"]\n[score.resources.gpu]\nmodels = ["T4"]'
    done = evalctl("launch", asking(world, both, score='command = ["score"]', labels=None))
    assert done.code == 0, done.err
    assert [task.gpus for task in world.engine.tasks] == [(nvml.uuid_of(1),), (nvml.uuid_of(0),)]
    gpus_here(nvml.T4_ALONE)
    again = evalctl("reproduce", bundle_of(done), "--score-only")
    assert again.code == 0, again.err
    assert evalctl("reproduce", bundle_of(done)).code == 6


def test_the_installed_command_finds_the_library_on_the_loaders_path(
    world: SmallWorld, nvml_library: Path
) -> None:
    def typed(*arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        (world.root / "gpus.ini").write_text(nvml.A100_MIG)
        own = {"EVALCTL_HOME": str(world.home.root), "DOCKER_HOST": f"unix://{world.root}/no.sock"}
        driver = {"LD_LIBRARY_PATH": str(nvml_library), "FAKE_NVML": str(world.root / "gpus.ini")}
        return subprocess.run(
            [Path(sys.executable).with_name("evalctl"), *arguments],
            env={**os.environ, **own, **driver, **more},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    file = asking(world, 'memory = "19GiB"')
    assert f"would get NVIDIA A100-SXM4-40GB MIG 3g.20gb, 20.9 GB, {nvml.uuid_of(0, 0)}" in (
        " ".join(typed("plan", file).stdout.split())
    )
    assert "MIG 3g.20gb" in typed("doctor").stdout
    narrowed = typed("plan", file, CUDA_VISIBLE_DEVICES="1").stdout
    assert nvml.uuid_of(1) in narrowed
    refused = typed("plan", file, "--gpus", "0:1").stdout
    assert "memory 4.8 GiB < 19GiB asked" in " ".join(refused.split())
