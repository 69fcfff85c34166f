from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.engines.collector import Collector
from launcher.engines.engine import CollectedOutputs
from launcher.errors import InfrastructureError


def collect(folder: Path, *entries: tuple[str, bytes], limit: int = 1000) -> CollectedOutputs:
    collector = Collector(folder, limit)
    for path, data in entries:
        collector.begin(path, len(data))
        collector.write(data)
    return collector.finish(complete=True)


def reasons(outputs: CollectedOutputs) -> dict[str, str]:
    return {refusal.path: refusal.reason for refusal in outputs.refused}


def test_files_and_folders_are_made_fresh_and_private(tmp_path: Path) -> None:
    outputs = collect(tmp_path, ("b/c.txt", b"2"), ("a", b"1"), ("b/d", b""))
    assert [file.path for file in outputs.files] == ["a", "b/c.txt", "b/d"]
    assert (tmp_path / "b" / "c.txt").read_bytes() == b"2"
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", "../a", "a/../b", ".", ".hidden", "-x", "a b", "é", "a\n", "x" * 256]
)
def test_an_odd_name_is_refused(tmp_path: Path, path: str) -> None:
    assert reasons(collect(tmp_path, (path, b"1"))) == {path: "name"}
    assert list(tmp_path.iterdir()) == []


def test_paths_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    outputs = collect(tmp_path, ("A/x", b""), ("a/y", b""), ("same", b""), ("same", b""), ("A/x/z", b""))
    assert reasons(outputs) == {"a/y": "case", "same": "case"} | {"A/x/z": "case"}


def test_depth_size_and_count_are_bounded(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    outputs = collect(tmp_path / "one", ("a/b/c/d/e/f", b""), ("a/b/c/d/e/f/g", b""), ("big", b"x" * 1001))
    assert reasons(outputs) == {"a/b/c/d/e/f/g": "depth", "big": "size"}
    many = collect(tmp_path / "two", *((f"n{number}", b"") for number in range(2001)))
    assert len(many.files) == 2000
    assert reasons(many) == {"n2000": "count"}


def test_a_folder_with_something_in_it_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "old").touch()
    with pytest.raises(InfrastructureError, match="could not be written"):
        Collector(tmp_path, 10)


def test_a_link_that_appears_in_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder, secret = tmp_path / "folder", tmp_path / "secret"
    folder.mkdir()
    collector = Collector(folder, 10)
    (folder / "link").symlink_to(secret)
    with pytest.raises(InfrastructureError):
        collector.begin("link", 1)
    collector.close()
    assert not secret.exists()


@given(st.lists(st.text(alphabet="aA/._-x ", max_size=8), max_size=12))
def test_no_path_leaves_the_folder_or_crashes_the_collector(
    tmp_path_factory: pytest.TempPathFactory, paths: list[str]
) -> None:
    base = tmp_path_factory.mktemp("base")
    (base / "folder").mkdir()
    outputs = collect(base / "folder", *((path, b"") for path in paths))
    assert len(outputs.files) + len(outputs.refused) == len(paths)
    assert [entry.name for entry in base.iterdir()] == ["folder"]
