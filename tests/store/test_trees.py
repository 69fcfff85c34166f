"""Folders in the cache: whole or not at all, hashed again, plain files only."""

import os
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from launcher.errors import InfrastructureError
from launcher.store.trees import Member, TreeCache, folder_members, read_tree

FILES = {"b.txt": b"second", "a/deep/file.bin": bytes(range(256)), "a-b": b""}


def members(files: dict[str, bytes] = FILES) -> Iterator[Member]:
    return (Member(path, [data[:3], data[3:]]) for path, data in files.items())


def make_folder(root: Path) -> Path:
    for path, data in FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return root


def test_a_tree_has_the_digest_that_sha256sum_gives_its_sorted_files(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "folder")
    names = sorted(FILES, key=str.encode)
    listing = subprocess.run(["sha256sum", *names], cwd=folder, check=True, capture_output=True).stdout
    entry = read_tree(folder)
    assert entry.sha256 == sha256(listing).hexdigest()
    assert entry.size == sum(map(len, FILES.values()))


def test_a_tree_is_kept_under_its_digest_and_found_again(tmp_path: Path) -> None:
    cache = TreeCache(tmp_path / "trees")
    kept = cache.put(members(), what="it")
    assert cache.find(kept.sha256) == kept == cache.put(members(), what="it", expected=kept.sha256)
    assert {path: (kept.root / path).read_bytes() for path in FILES} == FILES
    assert (kept.root / "a").stat().st_mode & 0o777 == 0o755
    assert (kept.root / "b.txt").stat().st_mode & 0o777 == 0o444
    assert [path.name for path in cache.root.iterdir()] == [kept.sha256]


def test_looking_for_what_is_not_there_removes_nothing(tmp_path: Path) -> None:
    """Another launch may put it there just then."""
    removed: list[str] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event == "shutil.rmtree" and str(arguments[0]).startswith(str(tmp_path)):
            removed.append(str(arguments[0]))

    sys.addaudithook(watch)
    assert TreeCache(tmp_path / "trees").find("a" * 64) is None
    assert not removed


def change(root: Path) -> None:
    (root / "b.txt").chmod(0o644)
    (root / "b.txt").write_bytes(b"other")


DAMAGE = {
    "changed": change,
    "gone": lambda root: (root / "b.txt").unlink(),
    "more": lambda root: (root / "more").write_bytes(b""),
    "a link": lambda root: (root / "link").symlink_to("b.txt"),
    "no digest": lambda root: (root.parent / "digest").unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_tree_is_thrown_away(tmp_path: Path, damage: str) -> None:
    cache = TreeCache(tmp_path / "trees")
    kept = cache.put(members(), what="it")
    DAMAGE[damage](kept.root)
    assert cache.find(kept.sha256) is None
    assert not kept.root.exists()
    assert cache.put(members(), what="it") == kept


@pytest.mark.parametrize(
    "path",
    ["", "/etc/passwd", "../out", "a/../../out", "a//b", "a\nb", "./a", "a/.", "x/" * 70 + "x", "\udcff"],
)
def test_a_name_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    cache = TreeCache(tmp_path / "trees")
    with pytest.raises(InfrastructureError) as caught:
        cache.put([Member(path, [b"x"])], what="it")
    assert caught.value.code == "input-tree-refused"
    assert list(cache.root.iterdir()) == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_a_name_that_is_a_file_and_a_folder_or_twice_there_is_refused(
    tmp_path: Path, paths: tuple[str, str]
) -> None:
    with pytest.raises(InfrastructureError, match="not a tree"):
        TreeCache(tmp_path).put([Member(path, [b""]) for path in paths], what="it")


def test_what_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"x"
        raise InfrastructureError("the line is dead", code="line-dead")

    cache = TreeCache(tmp_path / "trees")
    with pytest.raises(InfrastructureError, match="line"):
        cache.put([Member("a", [b""]), Member("b", breaking())], what="it")
    assert list(cache.root.iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "link to a folder", "pipe"])
def test_a_folder_with_anything_but_files_is_refused(tmp_path: Path, kind: str) -> None:
    folder = make_folder(tmp_path / "folder")
    match kind:
        case "link":
            (folder / "odd").symlink_to("b.txt")
        case "link to a folder":
            (folder / "odd").symlink_to("a")
        case "pipe":
            os.mkfifo(folder / "odd")
    with pytest.raises(InfrastructureError) as caught:
        TreeCache(tmp_path / "trees").put(folder_members(folder, what="it"), what="it")
    assert "'odd'" in str(caught.value.context)
