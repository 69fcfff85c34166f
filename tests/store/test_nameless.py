"""Files that have no name any more are counted where their maker sees the folder."""

import mmap
from pathlib import Path

from launcher.store.nameless import nameless_bytes

SIZE = 1 << 20


def test_a_file_that_lost_its_name_counts_while_it_is_open(tmp_path: Path) -> None:
    path, before = tmp_path / "gone", nameless_bytes(tmp_path, str(tmp_path))
    with path.open("wb", buffering=0) as file:
        file.write(b"x" * SIZE)
        assert nameless_bytes(tmp_path, str(tmp_path)) == before
        path.unlink()
        assert nameless_bytes(tmp_path, str(tmp_path)) == before + SIZE
    assert nameless_bytes(tmp_path, str(tmp_path)) == before


def test_a_file_that_is_only_mapped_counts_too(tmp_path: Path) -> None:
    path, before = tmp_path / "mapped", nameless_bytes(tmp_path, str(tmp_path))
    with path.open("w+b", buffering=0) as file:
        file.write(b"x" * SIZE)
        mapped = mmap.mmap(file.fileno(), SIZE)
    path.unlink()
    assert nameless_bytes(tmp_path, str(tmp_path)) == before + SIZE
    mapped.close()


def test_who_sees_another_folder_in_its_place_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    with (tmp_path / "gone").open("wb", buffering=0) as file:
        file.write(b"x" * SIZE)
        (tmp_path / "gone").unlink()
        assert nameless_bytes(tmp_path / "state", str(tmp_path)) == 0
