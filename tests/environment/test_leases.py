"""Leases are kernel locks: one holder, gone with it, and nobody else's folder is ever used."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from launcher.environment.leases import Leases, machine_leases, release
from launcher.errors import InfrastructureError


def test_one_holder_has_a_lease_until_it_gives_it_back(tmp_path: Path) -> None:
    leases = Leases(tmp_path / "leases")
    with leases.allocating() as allocation:
        first = allocation.take("gpu-GPU-1")
        assert first is not None
        assert allocation.take("gpu-GPU-1") is None
        assert allocation.held(["gpu-GPU-1", "gpu-GPU-2"]) == {"gpu-GPU-1"}
    release([first])
    with leases.allocating() as allocation:
        assert allocation.held(["gpu-GPU-1"]) == frozenset()


def test_a_lease_is_gone_when_its_holder_is_killed(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from launcher.environment.leases import Leases\n"
        f"leases = Leases(Path({str(tmp_path / 'leases')!r}))\n"
        "with leases.allocating() as allocation: kept = allocation.take('cpu-0')\n"
        "print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    leases = Leases(tmp_path / "leases")
    with leases.allocating() as allocation:
        assert allocation.held(["cpu-0"]) == {"cpu-0"}
    holder.kill()
    holder.wait()
    with leases.allocating() as allocation:
        assert allocation.held(["cpu-0"]) == frozenset()


def test_only_one_allocates_at_a_time(tmp_path: Path) -> None:
    leases, order = Leases(tmp_path / "leases"), []

    def second() -> None:
        with leases.allocating():
            order.append("second")

    thread = threading.Thread(target=second)
    with leases.allocating():
        thread.start()
        thread.join(0.2)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


def test_a_file_that_was_removed_under_a_lease_is_made_anew(tmp_path: Path) -> None:
    leases = Leases(tmp_path / "leases")
    with leases.allocating() as allocation:
        kept = allocation.take("cpu-0")
        (tmp_path / "leases" / "cpu-0").unlink()
        again = allocation.take("cpu-0")
        assert kept is not None
        assert again is not None
        release([kept, again])


@pytest.mark.parametrize("name", ["MIG-GPU-1/2/0", "../../etc/passwd", ".", "", "x" * 300, "ü"])
def test_odd_names_stay_in_the_folder(tmp_path: Path, name: str) -> None:
    leases = Leases(tmp_path / "leases")
    with leases.allocating() as allocation:
        lock = allocation.take(name)
        assert lock is not None
        assert allocation.take(name) is None
        assert allocation.take(name + "_") is not None
    assert {path.parent for path in tmp_path.rglob("*") if path.is_file()} == {tmp_path / "leases"}


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    (tmp_path / "leases").symlink_to(tmp_path / "victim")
    with pytest.raises(InfrastructureError), Leases(tmp_path / "leases").allocating():
        pass
    assert list((tmp_path / "victim").iterdir()) == []


def test_a_folder_that_others_may_write_is_refused(tmp_path: Path) -> None:
    (tmp_path / "leases").mkdir()
    (tmp_path / "leases").chmod(0o777)
    with pytest.raises(InfrastructureError) as caught, Leases(tmp_path / "leases").allocating():
        pass
    assert "mode 777" in str(caught.value.context)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "leases").mkdir(mode=0o700)
    os.chown(tmp_path / "leases", 12345, 12345)
    with pytest.raises(InfrastructureError) as caught, Leases(tmp_path / "leases").allocating():
        pass
    assert "user 12345" in str(caught.value.context)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_plain_file_is_refused(tmp_path: Path, kind: str) -> None:
    leases = Leases(tmp_path / "leases")
    with leases.allocating():
        pass
    place = tmp_path / "leases" / "cpu-0"
    {
        "link": lambda: place.symlink_to(tmp_path / "victim"),
        "pipe": lambda: os.mkfifo(place),
        "folder": place.mkdir,
    }[kind]()
    with pytest.raises(InfrastructureError), leases.allocating() as allocation:
        allocation.take("cpu-0")
    assert not (tmp_path / "victim").exists()


def test_a_place_that_cannot_be_had_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError) as caught, Leases(tmp_path / "file" / "leases").allocating():
        pass
    assert caught.value.code == "leases-unusable"


def test_all_homes_of_a_user_agree_on_one_folder(tmp_path: Path) -> None:
    assert machine_leases([tmp_path / "absent", tmp_path]).root == tmp_path / f"evalctl-{os.geteuid()}"
    assert machine_leases() == machine_leases()
