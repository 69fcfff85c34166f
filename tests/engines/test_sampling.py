"""What a container used is watched from outside, and told again by the kernel's own counts at its end."""

import time

import pytest

from launcher.engines.sampling import MAX_SAMPLES, Sampler, Watch, Watched
from launcher.spec.usage import GpuReading, Usage, UsageSample
from tests.engines.tasks import Shell

NOWHERE = "0" * 64


def watched(**changes: object) -> Watched:
    def reading() -> UsageSample:
        return UsageSample(at=0.0, cpu_seconds=time.monotonic(), memory_bytes=1)

    values = {"container": NOWHERE, "process": lambda: None, "stats": reading, **changes}
    return Watched(**values)  # type: ignore[arg-type]


def test_an_engine_is_asked_where_control_groups_cannot_be_seen() -> None:
    def gpus() -> list[GpuReading]:
        return [GpuReading("GPU-1", utilisation=50)]

    with Sampler().watching(watched(read_gpus=gpus)) as watch:
        deadline = time.monotonic() + 60
        while not watch.finish().samples and time.monotonic() < deadline:
            time.sleep(0.01)
    usage = watch.finish()
    assert usage.source == "engine"
    assert [reading.uuid for reading in usage.samples[0].gpus] == ["GPU-1"]


def test_a_container_that_nobody_can_watch_has_no_usage() -> None:
    with Sampler().watching(watched(stats=lambda: None)) as watch:
        pass
    assert watch.finish() == Usage()


def test_a_long_series_is_thinned_and_keeps_its_ends() -> None:
    watch = Watch(watched())
    for _ in range(MAX_SAMPLES * 3):
        watch.tick()
    usage = watch.finish()
    assert MAX_SAMPLES / 2 <= len(usage.samples) <= MAX_SAMPLES + 1
    assert usage.interval == 16
    assert usage.samples[0].at <= usage.samples[1].at


@pytest.mark.engine
def test_a_container_is_sampled_from_its_start_to_its_end(shell: Shell) -> None:
    outcome, _ = shell("dd if=/dev/zero of=/tmp/block bs=1M count=4 2>/dev/null; sleep 1.3")
    usage = outcome.usage
    assert usage.source in ("cgroup-v1", "cgroup-v2")
    assert len(usage.samples) >= 8
    first, last = usage.samples[0], usage.samples[-1]
    assert first.at < 1 < last.at
    assert (first.cpu_seconds or 0) <= (last.cpu_seconds or 0)
    assert (last.file_bytes or 0) >= 4 << 20
    assert (usage.memory_peak_bytes or 0) >= 4 << 20
    assert usage.limits.memory_kills == 0


@pytest.mark.engine
def test_a_container_that_ends_at_once_has_its_final_numbers(shell: Shell) -> None:
    outcome, _ = shell("true")
    last = outcome.usage.last
    assert last is not None
    assert last.cpu_seconds is not None
    assert last.memory_bytes is not None
    assert outcome.usage.limits.pids_refusals == 0


@pytest.mark.engine
def test_programs_that_were_loaded_are_named_by_their_paths_inside(shell: Shell) -> None:
    outcome, _ = shell("sleep 3")
    assert outcome.usage.loaded.paths == ("/bin/busybox",)
    assert outcome.usage.loaded.looks >= 2


@pytest.mark.engine
def test_processes_that_could_not_be_made_are_counted(shell: Shell) -> None:
    outcome, _ = shell("for i in $(seq 40); do sleep 1 & done", pids=16)
    assert (outcome.usage.limits.pids_refusals or 0) > 0


@pytest.mark.engine
def test_memory_kills_are_counted(shell: Shell) -> None:
    outcome, _ = shell("dd if=/dev/zero of=/dev/null bs=300M count=1", memory=64 << 20)
    assert outcome.oom_killed
    assert (outcome.usage.limits.memory_kills or 0) > 0
