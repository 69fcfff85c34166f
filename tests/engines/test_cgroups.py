"""Control groups of both versions, wherever engines put them, read from folders that look like a host's."""

import os
from pathlib import Path

import pytest

from launcher.engines.cgroups import Cgroups, find_cgroups
from launcher.engines.docker_stats import read_stats
from launcher.engines.loaded import LoadedWatch
from launcher.spec.usage import LimitsHit, UsageSample

ID = "c" * 64
OLD = {
    "cpuacct/cpuacct.usage": "1500000000\n",
    "cpu/cpu.stat": "nr_periods 4\nnr_throttled 2\nthrottled_time 250000000\n",
    "memory/memory.usage_in_bytes": "4096\n",
    "memory/memory.max_usage_in_bytes": "8192\n",
    "memory/memory.stat": "cache 1\ntotal_cache 1024\ntotal_rss 3072\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
    "memory/memory.failcnt": "7\n",
    "blkio/blkio.throttle.io_service_bytes_recursive": "8:0 Read 512\n8:0 Write 64\n9:0 Read 1\nTotal 577\n",
    "pids/pids.current": "5\n",
    "pids/pids.peak": "9\n",
    "pids/pids.events": "max 2\n",
    "pids/cgroup.procs": "12\n0\n34\n",
}
NEW = {
    "cpu.stat": "usage_usec 1500000\nuser_usec 1\nthrottled_usec 250000\n",
    "memory.current": "4096\n",
    "memory.peak": "8192\n",
    "memory.stat": "anon 3072\nfile 1024\n",
    "memory.events": "low 0\nmax 7\noom 3\noom_kill 3\n",
    "io.stat": "8:0 rbytes=512 wbytes=64 rios=1\n9:0 rbytes=1 wbytes=0\n",
    "pids.current": "5\n",
    "pids.peak": "9\n",
    "pids.events": "max 2\n",
    "cgroup.procs": "12\n0\n34\n",
}
SAMPLE = UsageSample(
    at=0.5,
    cpu_seconds=1.5,
    throttled_seconds=0.25,
    memory_bytes=4096,
    anonymous_bytes=3072,
    file_bytes=1024,
    read_bytes=513,
    written_bytes=64,
    pids=5,
)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def old_host(root: Path, place: str) -> Path:
    for name, text in OLD.items():
        controller, _, file = name.partition("/")
        write(root / controller / place / file, text)
    return root


def new_host(root: Path, place: str) -> Path:
    write(root / "cgroup.controllers", "cpu io memory pids\n")
    for name, text in NEW.items():
        write(root / place / name, text)
    return root


def nobody() -> int | None:
    return None


@pytest.mark.parametrize("make", [old_host, new_host])
@pytest.mark.parametrize(
    "place",
    [f"docker/{ID}", f"system.slice/docker-{ID}.scope", f"machine.slice/libpod-{ID}.scope",
     f"libpod_parent/libpod-{ID}"],
)  # fmt: skip
def test_a_container_is_found_where_its_engine_puts_it(tmp_path: Path, make: object, place: str) -> None:
    assert callable(make)
    groups = find_cgroups(ID, nobody, make(tmp_path, place))
    assert groups is not None
    assert groups.sample(0.5) == SAMPLE
    assert groups.limits() == LimitsHit(memory_kills=3, memory_refusals=7, pids_refusals=2)
    assert (groups.peaks().memory_bytes, groups.peaks().pids) == (8192, 9)
    assert groups.processes() == [12, 34]
    groups.close()
    assert groups.sample(0.5) == UsageSample(at=0.5)


def test_a_group_that_is_gone_reads_as_nothing(tmp_path: Path) -> None:
    assert find_cgroups(ID, nobody, tmp_path) is None
    groups = Cgroups({"": tmp_path})
    assert not groups.found
    assert (groups.sample(1).cpu_seconds, groups.limits(), groups.processes()) == (None, LimitsHit(), [])


def test_what_a_kernel_does_not_count_is_not_made_up(tmp_path: Path) -> None:
    old_host(tmp_path, f"docker/{ID}")
    (tmp_path / f"pids/docker/{ID}/pids.peak").unlink()
    (tmp_path / f"memory/docker/{ID}/memory.oom_control").write_text("oom_kill_disable 0\n")
    groups = find_cgroups(ID, nobody, tmp_path)
    assert groups is not None
    assert (groups.peaks().pids, groups.limits().memory_kills) == (None, None)


def test_an_engines_own_word_is_read_alike() -> None:
    answer = {
        "cpu_stats": {
            "cpu_usage": {"total_usage": 1_500_000_000},
            "throttling_data": {"throttled_time": 250_000_000},
        },
        "memory_stats": {"usage": 4096, "stats": {"total_rss": 3072, "total_cache": 1024}},
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"op": "Read", "value": 513},
                {"op": "Write", "value": 64},
                {"op": "Total", "value": 577},
            ]
        },
        "pids_stats": {"current": 5},
    }
    assert read_stats(answer).memory_bytes == SAMPLE.memory_bytes
    assert read_stats({**answer, "at": 1}).read_bytes == SAMPLE.read_bytes
    assert read_stats({}) == UsageSample(at=0.0)


def test_files_of_this_hosts_own_processes_are_never_taken_for_a_containers() -> None:
    watch = LoadedWatch()
    watch.look([1, 2**22 + 1], 0.0)
    watch.look([os.getpid()], 0.1)
    assert (watch.found().paths, watch.found().looks) == ((), 2)


def test_loaded_files_are_looked_for_until_some_are_seen_and_then_ever_more_rarely() -> None:
    watch = LoadedWatch()
    watch.look([], 7.9)
    assert watch.is_due(7.95)
    watch._add(b"/bin/busybox")
    assert [watch.is_due(at) for at in (7.95, 8.0, 8.1)] == [False, True, True]
    for at, following in ((8.1, 30.0), (119.0, 120.0), (120.0, 240.0), (500.0, 960.0)):
        watch.look([], at)
        assert (watch.is_due(following - 0.1), watch.is_due(following)) == (False, True)
