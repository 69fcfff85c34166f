"""Folders that strangers filled are removed whole, whatever they hold, and nothing else is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.store.removal import remove_tree

DEPTH = 3000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "theirs"
    folder.mkdir()
    return folder


def nest(folder: Path, depth: int) -> None:
    """Make folders within folders, deeper than any path may be long."""
    parent = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d" * 200, dir_fd=parent)
        child = os.open("d" * 200, os.O_RDONLY, dir_fd=parent)
        os.close(parent)
        parent = child
    os.close(os.open("leaf", os.O_CREAT | os.O_WRONLY, dir_fd=parent))
    os.close(parent)


def test_what_is_not_there_is_gone(tmp_path: Path) -> None:
    assert remove_tree(tmp_path / "nothing")


def test_a_tree_deeper_than_any_path_is_removed(folder: Path) -> None:
    nest(folder, DEPTH)
    assert remove_tree(folder)
    assert not folder.exists()


def test_odd_names_pipes_sockets_and_folders_that_are_in_the_way_are_removed(folder: Path) -> None:
    for name in (b"\xff\xfe", b"new\nline", b"-rf", b" ", b".0", b".1"):
        (folder / os.fsdecode(name) / "below").mkdir(parents=True)
    os.mkfifo(folder / "pipe")
    (folder / ".2").write_text("a file of a name that a moved folder would get")
    (folder / "a" / "b" / ".0").mkdir(parents=True)
    assert remove_tree(folder)
    assert not folder.exists()


def test_links_are_removed_and_not_followed(folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("mine")
    (folder / "link").symlink_to(victim)
    os.link(victim / "file", folder / "hard")
    (tmp_path / "outer").symlink_to(folder)
    assert remove_tree(tmp_path / "outer")
    assert folder.is_dir()
    assert remove_tree(folder)
    assert (victim / "file").read_text() == "mine"


SHUT = """
import os, sys
from pathlib import Path
from launcher.store.removal import remove_tree
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
folder = Path(sys.argv[1])
(folder / "a" / "b").mkdir(parents=True)
(folder / "a" / "b" / "file").write_text("x")
(folder / "a" / "b").chmod(0); (folder / "a").chmod(0); folder.chmod(0)
print(remove_tree(folder))
"""


def test_folders_without_permissions_are_removed_by_who_is_not_root(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root becomes another user")
    place = Path("/tmp") / f"evalctl-shut-{os.getpid()}"
    place.mkdir(mode=0o777)
    place.chmod(0o777)
    try:
        command = [sys.executable, "-c", SHUT, str(place / "theirs"), "65532"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (done.stdout, list(place.iterdir())) == ("True\n", []), done.stderr
    finally:
        assert remove_tree(place)


def test_what_cannot_be_removed_is_put_away(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root becomes another user")
    place = Path("/tmp") / f"evalctl-away-{os.getpid()}"
    (place / "state" / "theirs" / "below").mkdir(parents=True)
    for folder in (place, place / "state"):
        os.chown(folder, 65532, 65532)
    try:
        command = [sys.executable, "-c", AWAY, str(place), "65532"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert sorted(path.name for path in place.iterdir()) == ["trash"], done.stderr
        assert len(list((place / "trash").glob("*/theirs/below"))) == 1
    finally:
        assert remove_tree(place)


AWAY = """
import os, sys
from pathlib import Path
from launcher.store.removal import put_away
os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
put_away(Path(sys.argv[1]) / "state", Path(sys.argv[1]) / "trash")
"""
