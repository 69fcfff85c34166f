"""Facts of a machine are read from what the kernel writes, and absent ones are no crash."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from launcher.environment.machine import (
    control_groups,
    file_system,
    observe_clock,
    observe_disk,
    observe_machine,
)

MOUNTINFO = """\
27 1 254:0 / / rw - ext4 /dev/vda rw
30 27 0:27 / /mnt/a\\040b rw shared:1 - nfs4 server:/x rw
31 27 0:28 / /mnt rw - tmpfs tmpfs rw
32 27 0:29 / /mnt rw - xfs /dev/vdb rw
nonsense
"""


@pytest.mark.parametrize(
    ("mounts", "mode"),
    [
        ("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0", "v2"),
        ("cgroup /sys/fs/cgroup/cpu cgroup rw 0 0", "v1"),
        ("cgroup /a cgroup rw 0 0\ncgroup2 /b cgroup2 rw 0 0", "hybrid"),
        ("proc /proc proc rw 0 0\n\nx", "none"),
    ],
)
def test_control_groups_are_told_by_what_is_mounted(mounts: str, mode: str) -> None:
    assert control_groups(mounts) == mode


@pytest.mark.parametrize(
    ("path", "kind"), [("/", "ext4"), ("/home/x", "ext4"), ("/mnt/a b/c", "nfs4"), ("/mnt/a", "xfs")]
)
def test_a_file_system_is_that_of_the_deepest_and_last_mount(path: str, kind: str) -> None:
    assert file_system(Path(path), MOUNTINFO) == kind
    assert file_system(Path(path), "") == "unknown"


def test_a_machine_without_proc_has_no_facts_and_no_crash(tmp_path: Path) -> None:
    facts = observe_machine(tmp_path)
    assert (facts.control_groups, facts.user_namespaces, facts.memory_available) == ("none", None, None)
    assert facts.python == sys.version_info[:3]


def test_numbers_that_are_none_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "sys" / "user").mkdir(parents=True)
    (tmp_path / "sys" / "user" / "max_user_namespaces").write_text("many\n")
    (tmp_path / "meminfo").write_text("MemTotal: 5 kB\nMemAvailable:   2048 kB\n")
    facts = observe_machine(tmp_path)
    assert (facts.user_namespaces, facts.memory_available) == (None, 2 << 20)


def test_git_that_is_not_installed_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert observe_machine().git is None


def test_a_disk_is_seen_before_the_folder_is_made(tmp_path: Path) -> None:
    seen = observe_disk(tmp_path / "not" / "yet")
    assert (seen.exists, seen.writable, seen.device) == (False, True, tmp_path.stat().st_dev)
    assert seen.free > 0
    assert not (tmp_path / "not").exists()


def test_a_read_only_disk_is_not_writable(tmp_path: Path, read_only: object) -> None:
    read_only(tmp_path)  # type: ignore[operator]
    assert observe_disk(tmp_path / "home").writable is False


def test_the_newest_file_is_found(tmp_path: Path) -> None:
    import os

    for name, time in (("old", 1_000_000_000), ("new", 4_000_000_000)):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (time, time))
    seen = observe_clock([tmp_path / "old", tmp_path / "absent", tmp_path / "new"])
    assert seen.newest == datetime.fromtimestamp(4_000_000_000, UTC)
    assert Path(seen.newest_file).name == "new"
    assert observe_clock([]).newest is None
