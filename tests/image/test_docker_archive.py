"""An engine gets every byte hashed, no tag, and its answer is proven."""

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import ImageNotFound

from launcher.engines.docker_archive import LoadedImage, docker_archive, find_image, load_image
from launcher.errors import InfrastructureError
from launcher.sources.layout import Layout, open_layout, pin_image
from launcher.spec.image import ImagePins
from tests.image.makers import make_layout


class FakeEngine:
    """An engine in memory: a graph driver's, a containerd store's, or one that lies."""

    def __init__(self, kind: str = "graph") -> None:
        self.kind = kind
        self.images: dict[str, dict[str, Any]] = {}
        self.loads = 0

    def inspect_image(self, image: str) -> dict[str, Any]:
        if image not in self.images:
            raise ImageNotFound(image)
        return self.images[image]

    def load_image(self, data: Iterable[bytes]) -> list[dict[str, Any]]:
        self.loads += 1
        with tarfile.open(fileobj=io.BytesIO(b"".join(data))) as archive:
            files = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
        (image,) = json.loads(files["manifest.json"])
        assert image["RepoTags"] is None
        config = json.loads(files[image["Config"]])
        entry = json.loads(files["index.json"])["manifests"][0]
        identity = (
            entry["digest"] if self.kind == "containerd" else "sha256:" + image["Config"].rpartition("/")[2]
        )
        layers = config["rootfs"]["diff_ids"]
        if self.kind == "lies":
            layers = ["sha256:" + "0" * 64]
        if self.kind == "refuses":
            return [{"error": "no space left on device"}]
        if self.kind != "forgets":
            self.images[identity] = {"Id": identity, "RootFS": {"Layers": layers}}
        return [{"stream": f"Loaded image ID: {identity}"}]


@pytest.fixture
def image(tmp_path: Path) -> tuple[Layout, ImagePins]:
    digest = make_layout(tmp_path / "layout")
    layout = open_layout(tmp_path / "layout")
    return layout, pin_image(layout, digest, "linux/amd64")


@pytest.mark.parametrize(("kind", "how"), [("graph", "config"), ("containerd", "manifest")])
def test_an_image_is_loaded_once_and_found_by_its_digest(
    image: tuple[Layout, ImagePins], kind: str, how: str
) -> None:
    layout, pins = image
    engine = FakeEngine(kind)
    assert find_image(engine, pins) is None
    loaded = load_image(engine, layout, pins)
    assert loaded == load_image(engine, layout, pins) == find_image(engine, pins)
    assert loaded == LoadedImage(pins.config if how == "config" else pins.manifest, how)  # type: ignore[arg-type]
    assert engine.loads == 1


@pytest.mark.parametrize("kind", ["lies", "forgets", "refuses"])
def test_an_engine_that_does_not_hold_what_was_pinned_is_an_error(
    image: tuple[Layout, ImagePins], kind: str
) -> None:
    with pytest.raises(InfrastructureError) as caught:
        load_image(FakeEngine(kind), *image)
    assert caught.value.code == "image-not-as-pinned"


def test_the_archive_is_the_same_bytes_each_time(image: tuple[Layout, ImagePins]) -> None:
    assert b"".join(docker_archive(*image)) == b"".join(docker_archive(*image))


def test_a_changed_layer_ends_the_archive(image: tuple[Layout, ImagePins]) -> None:
    layout, pins = image
    blob = layout.path / "blobs" / "sha256" / pins.diff_ids[0][7:]
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    engine = FakeEngine()
    with pytest.raises(InfrastructureError) as caught:
        load_image(engine, layout, pins)
    assert caught.value.code == "image-digest-mismatch"
    assert engine.images == {}


@pytest.mark.engine
def test_a_real_engine_loads_proves_and_refuses(image: tuple[Layout, ImagePins]) -> None:
    layout, pins = image
    client = docker.APIClient(timeout=60)
    try:
        loaded = load_image(client, layout, pins)
        assert loaded == find_image(client, pins)
        stated = client.inspect_image(loaded.id)
        assert not stated["RepoTags"]
    finally:
        client.remove_image(pins.config, force=True)
    blob = layout.path / "blobs" / "sha256" / pins.diff_ids[0][7:]
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    with pytest.raises(InfrastructureError) as caught:
        load_image(client, layout, pins)
    assert caught.value.code == "image-digest-mismatch"
    assert find_image(client, pins) is None
