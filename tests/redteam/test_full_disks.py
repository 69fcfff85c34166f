"""Homes on a disk that fills up in the middle of a launch."""

import gzip
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.errors import InfrastructureError
from launcher.image.archive import import_archive
from launcher.store.bundles import copy_out
from tests.fakes.engine import FakeEngine
from tests.fakes.world import SmallWorld, copy_world, leaving

ARTIFACT = b"x" * 60_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Return an empty folder on a file system of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", folder]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_a_saved_image_that_unpacks_beyond_the_disk_does_not_fill_it(disk: Path, tmp_path: Path) -> None:
    archive = tmp_path / "image.tar.gz"
    archive.write_bytes(gzip.compress(bytes(64 << 20), 1))
    least: list[int] = []
    with pytest.raises(InfrastructureError) as caught:
        import_archive(
            archive,
            disk / "layout",
            image=None,
            platform="linux/amd64",
            progress=lambda _: least.append(shutil.disk_usage(disk).free),
        )
    assert caught.value.code == "disk-full"
    assert list(disk.iterdir()) == []


def test_a_copy_that_does_not_fit_is_said_once_and_leaves_nothing(disk: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    for number in range(20):
        (bundle / f"{number}").write_bytes(bytes(1 << 20))
    with pytest.raises(InfrastructureError) as caught:
        copy_out(bundle, disk / "copy")
    assert caught.value.context is not None
    assert caught.value.context.startswith("[Errno 28] No space left on device")
    assert caught.value.context.count("No space left") == 1
    assert list(disk.iterdir()) == []


@pytest.mark.parametrize("room", [8_000, 40_000, 70_000, 100_000, 130_000, 160_000])
def test_a_disk_that_fills_up_is_said_and_costs_nothing_but_the_attempt(
    world_template: Path, disk: Path, room: int
) -> None:
    engine = FakeEngine({"answer": leaving(ARTIFACT, "artifacts/plot")})
    world: SmallWorld = copy_world(world_template, disk / "world", engine)
    filler = disk / "filler"
    with filler.open("wb") as stream:
        stream.truncate(0)
        stream.write(bytes(shutil.disk_usage(disk).free - room))
    try:
        world.launch()
    except InfrastructureError as error:
        assert error.exit_status == 4
    filler.unlink()
    assert world.verify(world.launch().bundle).verdict == "verified"
    assert [world.verify(bundle).verdict for bundle in world.home.bundles.iterdir()] == ["verified"]
