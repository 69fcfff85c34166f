"""A finished layout is shared by the digest of its inputs, hashed again each time, and the oldest go."""

import os
from pathlib import Path

import pytest

from launcher.image.finished import finished_image
from launcher.image.layout_cache import LayoutCache
from launcher.image.oci import Description, write_layer, write_layout
from launcher.image.recipe import Config


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, str]:
    """Return a layout of one layer and the inputs it is marked with."""
    layout, inputs = tmp_path / "layout", "sha256:" + "1" * 64
    image = Description("linux/amd64", 0, Config("0:0", "/", (), {}))
    write_layout(layout, image, [write_layer(layout, [b"a tar"], "tests")], inputs)
    return layout, inputs


@pytest.fixture
def cache(tmp_path: Path) -> LayoutCache:
    return LayoutCache(tmp_path / "cache", most=2)


def test_what_was_kept_is_taken_whole(
    made: tuple[Path, str],
    cache: LayoutCache,
    tmp_path: Path,
) -> None:
    layout, inputs = made
    assert not cache.take(inputs, tmp_path / "early")
    cache.keep(inputs, layout)
    cache.keep(inputs, layout)
    assert cache.take(inputs, tmp_path / "other")
    built, other = finished_image(layout, inputs), finished_image(tmp_path / "other", inputs)
    assert built and other and built.digest == other.digest
    assert [entry.name for entry in cache.folder.iterdir()] == [inputs[7:]]


def test_a_damaged_entry_is_thrown_away(
    made: tuple[Path, str],
    cache: LayoutCache,
    tmp_path: Path,
) -> None:
    layout, inputs = made
    cache.keep(inputs, layout)
    built = finished_image(layout, inputs)
    assert built
    (layout / "blobs/sha256" / built.diff_ids[0][7:]).write_bytes(b"A TAR")
    assert not cache.take(inputs, tmp_path / "other")
    assert not (tmp_path / "other").exists()
    assert list(cache.folder.iterdir()) == []


def test_the_entries_not_used_longest_are_forgotten(
    made: tuple[Path, str],
    cache: LayoutCache,
    tmp_path: Path,
) -> None:
    layout, inputs = made
    for at, name in enumerate(("a", "b")):
        (cache.folder / name).mkdir(parents=True)
        os.utime(cache.folder / name, (at, at))
    os.utime(layout)
    cache.keep(inputs, layout)
    assert {entry.name for entry in cache.folder.iterdir()} == {"b", inputs[7:]}


def test_a_disk_that_refuses_the_cache_stops_nothing(made: tuple[Path, str], tmp_path: Path) -> None:
    layout, inputs = made
    (tmp_path / "file").write_text("in the way")
    cache = LayoutCache(tmp_path / "file" / "below")
    cache.keep(inputs, layout)
    assert not cache.take(inputs, tmp_path / "other")
