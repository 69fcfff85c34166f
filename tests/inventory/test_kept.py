"""What an image contains is read once, from a layout or from the engine, and kept in the home."""

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.engines.docker_archive import docker_archive
from launcher.environment.packages import Inventory
from launcher.errors import InfrastructureError
from launcher.inventory.kept import contents_of, exported_inventory, kept_contents, layout_inventory
from launcher.sources.layout import open_only_image
from launcher.spec.image import PLATFORM, ImagePins
from launcher.store.cache import Cache
from tests.fakes.world import SmallWorld
from tests.image.makers import make_layout
from tests.inventory.images import image, layer, metadata, names

LAYERS = (
    layer({**metadata("a"), **metadata("b")}),
    layer({"usr/lib/python3/dist-packages/.wh.a-1.0.dist-info": ""}),
)


def never() -> Inventory:
    raise AssertionError("it was read again")


@pytest.fixture
def pinned(tmp_path: Path) -> tuple[ImagePins, Inventory, Cache]:
    return (*image(tmp_path / "layout", *LAYERS), Cache(tmp_path / "cache"))


def test_layers_are_read_once(pinned: tuple[ImagePins, Inventory, Cache]) -> None:
    pins, inventory, cache = pinned
    first = contents_of(pins, cache, lambda: inventory)
    assert contents_of(pins, cache, never) == first
    assert b'"name":"b"' in first.sbom


def test_a_damaged_record_is_not_used(pinned: tuple[ImagePins, Inventory, Cache]) -> None:
    pins, inventory, cache = pinned
    first = contents_of(pins, cache, lambda: inventory)
    (kept,) = (cache.root / "inventories").iterdir()
    kept.write_bytes(kept.read_bytes().replace(b'\\"name\\":\\"b\\"', b'\\"name\\":\\"c\\"'))
    assert kept_contents(pins, cache) is None
    assert contents_of(pins, cache, lambda: inventory) == first


def test_what_cannot_be_read_is_said_and_not_kept(pinned: tuple[ImagePins, Inventory, Cache]) -> None:
    pins, inventory, cache = pinned

    def fails() -> Inventory:
        raise InfrastructureError("`/a/path` is no tar", code="image-malformed")

    contents = contents_of(pins, cache, fails)
    assert contents.unread == "the layers could not be read (image-malformed)"
    assert b"/a/path" not in contents.sbom
    assert contents_of(pins, cache, lambda: inventory).unread == ""


def test_layers_with_other_bytes_than_pinned_tell_nothing(tmp_path: Path) -> None:
    make_layout(tmp_path, layers=list(LAYERS))
    layout, pins = open_only_image(tmp_path, PLATFORM)
    blob = tmp_path / "blobs/sha256" / pins.diff_ids[0].removeprefix("sha256:")
    blob.write_bytes(blob.read_bytes().replace(b"Version: 1.0", b"Version: 9.9"))
    with pytest.raises(InfrastructureError, match="other bytes"):
        layout_inventory(layout, pins)


def old_export(folder: Path, pins: ImagePins, *, packed: bool = False) -> bytes:
    """Return what engines before 25 write: a folder for each layer, the uppermost first here."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for number, diff_id in enumerate(reversed(pins.diff_ids)):
            data = (folder / "blobs/sha256" / diff_id.removeprefix("sha256:")).read_bytes()
            data = gzip.compress(data) if packed else data
            member = tarfile.TarInfo(f"{number}/layer.tar")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for name in ("manifest.json", "0/VERSION"):
            member = tarfile.TarInfo(name)
            member.size = 2
            archive.addfile(member, io.BytesIO(b"{}"))
    return raw.getvalue()


def new_export(folder: Path, pins: ImagePins) -> bytes:
    return b"".join(docker_archive(open_only_image(folder, PLATFORM)[0], pins))


@pytest.mark.parametrize(
    "export", [old_export, new_export, lambda *it: old_export(*it, packed=True)], ids=["old", "new", "packed"]
)
def test_an_engines_export_tells_the_same_as_the_layout(
    tmp_path: Path, export: Callable[[Path, ImagePins], bytes]
) -> None:
    pins, inventory = image(tmp_path, *LAYERS)
    assert names(inventory) == ["b"]
    assert exported_inventory([export(tmp_path, pins)], pins) == inventory


def test_an_export_that_lacks_a_layer_tells_nothing(tmp_path: Path) -> None:
    pins, _ = image(tmp_path / "two", *LAYERS)
    other, _ = image(tmp_path / "one", LAYERS[0])
    with pytest.raises(InfrastructureError, match="lacks a layer"):
        exported_inventory([new_export(tmp_path / "one", other)], pins)


@pytest.mark.parametrize("data", [b"", b"no tar" * 200, bytes(10240)], ids=["empty", "text", "zeros"])
def test_an_export_that_is_none_tells_nothing(tmp_path: Path, data: bytes) -> None:
    pins, _ = image(tmp_path, *LAYERS)
    with pytest.raises(InfrastructureError):
        exported_inventory([data], pins)


def sbom_in(bundle: Path) -> bytes:
    return (bundle / "sbom.cdx.json").read_bytes()


def test_a_launch_without_the_layout_asks_the_engine(world: SmallWorld) -> None:
    make_layout(world.folder / "image", layers=[layer(metadata("a"))])
    pins = open_only_image(world.folder / "image", PLATFORM)[1]
    sections = {"image": f'ref = "oci:image@{pins.manifest}"'}
    first = world.launch(sections=sections)
    (world.folder / "image").rename(world.folder / "moved")
    for kept in (world.home.cache / "inventories").iterdir():
        kept.unlink()
    second = world.launch(sections=sections, rerun=True)
    assert sbom_in(first.bundle) == sbom_in(second.bundle)
    assert b'"name":"a"' in sbom_in(second.bundle)
    assert world.verify(second.bundle).verdict == "verified"


def test_a_launch_says_what_it_could_not_read_and_still_has_a_result(world: SmallWorld) -> None:
    sections: dict[str, str | None] = {}
    world.launch(sections=sections)
    for kept in (world.home.cache / "inventories").iterdir():
        kept.unlink()
    (world.folder / "image").rename(world.folder / "moved")
    for image_id in world.engine.exports:
        world.engine.exports[image_id] = b"torn"
    launched = world.launch(sections=sections, rerun=True)
    assert json.loads(sbom_in(launched.bundle))["compositions"][0]["aggregate"] == "unknown"
    assert any("not known" in stage for stage in world.reporter.stages)
    assert world.verify(launched.bundle).verdict == "verified"
