"""`image inspect` says what an image is, wherever it is named."""

import gzip
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from launcher.cli.app import run
from launcher.environment.sbom import sbom_bytes
from launcher.errors import InfrastructureError
from launcher.inventory.kept import layout_inventory
from launcher.sources.layout import only_digest, open_layout, open_only_image, pin_image
from tests.image.makers import (
    finish_layout,
    make_layout,
    put_blob,
    put_json,
    sha256,
    tar_member,
    tar_of,
    text_file,
)
from tests.image.test_check import recipe_of

SITE = "usr/lib/python3/dist-packages"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVALCTL_HOME", str(tmp_path / "home"))


def inspected(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert run(["image", "inspect", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_packages_are_counted_and_removals_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers = [
        tar_of(
            text_file("var/lib/dpkg/status", "Package: a\n\nPackage: b\n"),
            text_file("var/lib/dpkg/status.d/c", "Package: c\n"),
            text_file("var/lib/dpkg/status.d/c.md5sums"),
            text_file(f"{SITE}/x-1.dist-info/METADATA", "Name: x\nVersion: 1\n"),
            text_file(f"{SITE}/y-1.dist-info/METADATA", "Name: y\nVersion: 1\n"),
            compression="",
        ),
        tar_of(
            text_file("var/lib/dpkg/status", "Package: a\n"),
            text_file(f"{SITE}/.wh.y-1.dist-info"),
            compression="",
        ),
    ]
    make_layout(
        tmp_path / "layout", layers=layers, config={"Labels": {"k": "v"}}, created="2026-01-01T00:00:00Z"
    )
    found = inspected(capsys, str(tmp_path / "layout"))
    assert found["packages"] == {"debian": 2, "python": 1}
    assert found["labels"] == {"k": "v"}
    assert found["size"] == sum(map(len, layers))
    assert found["created"] == "2026-01-01T00:00:00Z"


def test_compressed_layers_are_read_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metadata = "Name: x\nVersion: 1\n\n" + "x" * 1_500_000
    layer = tar_of(text_file(f"{SITE}/x-1.dist-info/METADATA", metadata), compression="")
    folder = tmp_path / "layout"
    packed = put_blob(folder, gzip.compress(layer))
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [sha256(layer)]}}
    media_type = "application/vnd.oci.image.layer.v1.tar+gzip"
    digest = finish_layout(
        folder, put_json(folder, "config.v1", config), [{"mediaType": media_type, **packed}]
    )
    found = inspected(capsys, f"oci:{folder}@{digest}")
    assert found["packages"] == {"debian": 0, "python": 1}
    assert found["digest"] == digest


def test_a_recipe_folder_tells_whether_its_layout_is_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = recipe_of(tmp_path / "recipe", "same")
    assert run(["image", "inspect", str(recipe)]) == 4
    assert run(["image", "build", str(recipe), "--mirror", str(recipe / "mirror")]) == 0
    capsys.readouterr()
    assert inspected(capsys, str(recipe))["up_to_date"] is True
    with (recipe / "recipe.toml").open("a") as stream:
        stream.write("# changed\n")
    assert inspected(capsys, str(recipe))["up_to_date"] is False


@pytest.mark.parametrize("config", [[], "x", {"Labels": ["a"]}, {"Labels": {"a": {"b": 1}}}, None])
def test_a_configuration_of_odd_shapes_is_no_fault_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], config: Any
) -> None:
    make_layout(tmp_path / "layout", config=config, created=3)
    assert run(["image", "inspect", str(tmp_path / "layout")]) == 0


@pytest.mark.parametrize(
    "layer",
    [
        b"not a tar",
        tar_of(text_file("a", "x" * 9000), compression="")[:700],
        tar_of(tar_member("var/lib/dpkg/status", tarfile.SYMTYPE, link="/nowhere"), compression=""),
        tar_of(text_file("a"), compression="")[:124] + b"\xff" * 12 + bytes(376),
    ],
)
def test_a_layer_of_odd_bytes_is_counted_or_refused(tmp_path: Path, layer: bytes) -> None:
    make_layout(tmp_path / "layout", layers=[layer])
    layout = open_layout(tmp_path / "layout")
    try:
        layout_inventory(layout, pin_image(layout, only_digest(layout), "linux/amd64"))
    except InfrastructureError as error:
        assert error.code == "image-malformed"


def test_what_an_image_says_of_itself_cannot_trick_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = {"org.w3id.evalctl-launcher.build.command": "\x1b[2J", "a\nb": "c\rd"}
    make_layout(tmp_path / "layout", config={"Labels": labels}, created="\x1b]0;x\x07")
    assert run(["image", "inspect", str(tmp_path / "layout")]) == 0
    assert not any(letter in capsys.readouterr().out for letter in "\x1b\r\x07")


def test_the_bill_of_materials_is_printed_as_a_bundle_holds_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_layout(tmp_path / "layout")
    layout, pins = open_only_image(tmp_path / "layout", "linux/amd64")
    for _ in ("read", "kept"):
        assert run(["image", "inspect", str(tmp_path / "layout"), "--sbom"]) == 0
        assert capsys.readouterr().out.encode() == sbom_bytes(pins, layout_inventory(layout, pins))


def test_an_engines_name_has_no_bill_of_materials(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["image", "inspect", "docker:name", "--sbom"]) == 2
    assert "evalctl image import" in capsys.readouterr().err
