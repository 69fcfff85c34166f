"""A tar that `docker save` wrote becomes a layout with the same configuration, or is refused."""

import gzip
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import pytest

from launcher.cli.app import run
from launcher.engines.docker_archive import docker_archive
from launcher.errors import EvalctlError
from launcher.image.archive import import_archive
from launcher.image.differences import HeldImage
from launcher.sources.layout import open_layout, pin_image
from launcher.spec.image import ImagePins
from tests.image.makers import make_layout, sha256, tar_member, tar_of, text_file

LAYERS = [tar_of(text_file("a", "1"), compression=""), tar_of(text_file("b", "2"), compression="")]
CONFIG = {
    "os": "linux",
    "architecture": "amd64",
    "config": {"Labels": {"x": "y"}},
    "rootfs": {"type": "layers", "diff_ids": [sha256(layer) for layer in LAYERS]},
}


def saved(
    path: Path, *, layers: list[bytes] = LAYERS, config: Any = CONFIG, tags: tuple[str, ...] = ("acme/x:1",)
) -> Path:
    """Write what `docker save` of old writes; the second layer is a link, as a repeated one is."""
    data = json.dumps(config).encode()
    rows = [
        {
            "Config": f"{sha256(data)[7:]}.json",
            "RepoTags": list(tags),
            "Layers": ["one/layer.tar", "two/layer.tar"],
        }
    ]
    members = [
        (tar_member(f"{sha256(data)[7:]}.json"), data),
        (tar_member("one/layer.tar"), layers[0]),
        (tar_member("three/layer.tar"), layers[1]),
        tar_member("two/layer.tar", tarfile.SYMTYPE, link="../three/layer.tar"),
        (tar_member("manifest.json"), json.dumps(rows).encode()),
    ]
    path.write_bytes(tar_of(*members, compression=""))
    return path


def imported(archive: Path, out: Path, image: str | None = None) -> ImagePins:
    return import_archive(archive, out, image=image, platform="linux/amd64", progress=lambda _: None)


def test_configuration_and_layers_keep_their_digests(tmp_path: Path) -> None:
    pins = imported(saved(tmp_path / "x.tar"), tmp_path / "layout")
    assert pins.config == sha256(json.dumps(CONFIG).encode())
    assert pins.diff_ids == tuple(map(sha256, LAYERS))
    assert pin_image(open_layout(tmp_path / "layout"), pins.manifest, "linux/amd64") == pins


def test_the_manifest_that_is_made_is_the_same_each_time(tmp_path: Path) -> None:
    first = imported(saved(tmp_path / "x.tar"), tmp_path / "one")
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress((tmp_path / "x.tar").read_bytes()))
    assert imported(tmp_path / "x.tar.gz", tmp_path / "two") == first


def test_what_a_killed_import_left_is_no_obstacle(tmp_path: Path) -> None:
    left = tmp_path / ".layout.building"
    (left / "layout").mkdir(parents=True)
    (left / "archive.tar").write_bytes(b"half of it")
    imported(saved(tmp_path / "x.tar"), tmp_path / "layout")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layout", "x.tar"]


def test_layers_that_are_compressed_stay_so_and_are_proven(tmp_path: Path) -> None:
    packed = [gzip.compress(layer, mtime=0) for layer in LAYERS]
    assert imported(saved(tmp_path / "x.tar", layers=packed), tmp_path / "layout").diff_ids == tuple(
        map(sha256, LAYERS)
    )


def test_the_tar_of_a_layout_keeps_its_digest(tmp_path: Path) -> None:
    digest = make_layout(tmp_path / "made", layers=LAYERS)
    layout = open_layout(tmp_path / "made")
    held = HeldImage(layout, pin_image(layout, digest, "linux/amd64"))
    (tmp_path / "x.tar").write_bytes(b"".join(docker_archive(held.layout, held.pins)))
    assert imported(tmp_path / "x.tar", tmp_path / "layout").manifest == digest


def test_of_several_images_one_is_named(tmp_path: Path) -> None:
    archive = saved(tmp_path / "x.tar", tags=("acme/x:1", "acme/x:2"))
    assert imported(archive, tmp_path / "layout", "acme/x:2").config == sha256(json.dumps(CONFIG).encode())
    with pytest.raises(EvalctlError) as caught:
        imported(archive, tmp_path / "layout", "acme/y")
    assert caught.value.code == "image-ambiguous"
    assert "acme/x:1" in (caught.value.context or "")


def test_the_tar_of_a_layout_with_several_images_wants_a_name(tmp_path: Path) -> None:
    digest = make_layout(tmp_path / "made", layers=LAYERS)
    index = json.loads((tmp_path / "made/index.json").read_text())
    other = {**index["manifests"][0], "digest": "sha256:" + "0" * 64}
    index["manifests"][0]["annotations"] = {"org.opencontainers.image.ref.name": "acme/x:1"}
    index["manifests"].append(other)
    for manifests, name, code in ((index["manifests"], "acme/x:1", ""), (3, "x", "image-malformed")):
        (tmp_path / "made/index.json").write_text(json.dumps({**index, "manifests": manifests}))
        with tarfile.open(tmp_path / "x.tar", "w") as archive:
            archive.add(tmp_path / "made", ".")
        if not code:
            assert imported(tmp_path / "x.tar", tmp_path / "layout", name).manifest == digest
            continue
        with pytest.raises(EvalctlError) as caught:
            imported(tmp_path / "x.tar", tmp_path / "layout", name)
        assert caught.value.code == code


def no_tar(folder: Path) -> Path:
    (folder / "x.tar").write_bytes(b"not a tar at all" * 100)
    return folder / "x.tar"


def cut_gzip(folder: Path) -> Path:
    (folder / "x.tar").write_bytes(gzip.compress(bytes(100_000))[:40])
    return folder / "x.tar"


def test_very_many_layers_are_refused_before_one_is_copied(tmp_path: Path) -> None:
    told: list[str] = []
    with pytest.raises(EvalctlError) as caught:
        import_archive(
            very_many_layers(tmp_path),
            tmp_path / "layout",
            image=None,
            platform="linux/amd64",
            progress=told.append,
        )
    assert (caught.value.code, told) == ("image-malformed", [])


def other_tar(folder: Path) -> Path:
    (folder / "x.tar").write_bytes(tar_of(text_file("hello", "hi"), compression=""))
    return folder / "x.tar"


def endless_header(folder: Path) -> Path:
    part = tar_member("header", tarfile.XHDTYPE)
    part.size = 11
    (folder / "x.tar").write_bytes((part.tobuf() + b"11 a=bbbbb\n".ljust(512, b"\0")) * 3000)
    return folder / "x.tar"


def large_name(folder: Path) -> Path:
    name = tar_member("name", tarfile.GNUTYPE_LONGNAME)
    name.size = 4 << 30
    (folder / "x.tar").write_bytes(gzip.compress(name.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 16)))
    return folder / "x.tar"


def size_below_zero(folder: Path) -> Path:
    data = bytearray(tar_of(text_file("hello", "hi"), compression=""))
    data[124:136] = b"\xff" * 10 + b"\xfe\x00"
    data[148:156] = b" " * 8
    data[148:156] = b"%06o\0 " % sum(data[:512])
    (folder / "x.tar").write_bytes(data)
    return folder / "x.tar"


def very_many_layers(folder: Path) -> Path:
    row = {"Config": "config.json", "RepoTags": [], "Layers": ["layer.tar"] * 100_000}
    members = [
        (tar_member("config.json"), json.dumps(CONFIG).encode()),
        (tar_member("layer.tar"), LAYERS[0]),
        (tar_member("manifest.json"), json.dumps([row]).encode()),
    ]
    (folder / "x.tar").write_bytes(tar_of(*members, compression=""))
    return folder / "x.tar"


def odd_manifest(folder: Path) -> Path:
    (folder / "x.tar").write_bytes(tar_of(text_file("manifest.json", '[{"Config": 3}]'), compression=""))
    return folder / "x.tar"


def deep_manifest(folder: Path) -> Path:
    (folder / "x.tar").write_bytes(tar_of(text_file("manifest.json", "[" * 100_000), compression=""))
    return folder / "x.tar"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (no_tar, "archive-malformed"),
        (cut_gzip, "archive-malformed"),
        (other_tar, "archive-malformed"),
        (endless_header, "archive-malformed"),
        (large_name, "archive-malformed"),
        (size_below_zero, "archive-malformed"),
        (odd_manifest, "image-malformed"),
        (deep_manifest, "image-malformed"),
        (lambda folder: folder / "absent", "archive-not-found"),
        (lambda folder: saved(folder / "x", layers=LAYERS[::-1]), "image-digest-mismatch"),
        (lambda folder: saved(folder / "x", config={**CONFIG, "os": "plan9"}), "image-platform-mismatch"),
        (lambda folder: saved(folder / "x", config=[]), "image-malformed"),
    ],
)
def test_a_tar_that_is_no_such_image_is_refused(
    tmp_path: Path, make: Callable[[Path], Path], code: str
) -> None:
    with pytest.raises(EvalctlError) as caught:
        imported(make(tmp_path), tmp_path / "out" / "layout")
    assert caught.value.code == code
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("command", ["load", "inspect"])
def test_other_commands_say_how_to_make_a_layout_of_it(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["image", command, str(saved(tmp_path / "x.tar")), "--json"]) == 4
    assert "evalctl image import" in json.loads(capsys.readouterr().err)["error"]["hint"]


@pytest.mark.engine
def test_what_a_real_engine_saves_comes_back_by_its_id(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_layout(tmp_path / "made", layers=LAYERS)
    client = docker.APIClient(timeout=60)
    assert run(["image", "load", str(tmp_path / "made"), "--json"]) == 0
    identifier = json.loads(capsys.readouterr().out)["id"]
    try:
        client.tag(identifier, "evalctl-tests/saved", "1")
        with (tmp_path / "x.tar").open("wb") as stream:
            stream.writelines(client.get_image("evalctl-tests/saved:1"))
        assert run(["image", "inspect", "docker:evalctl-tests/saved:1", "--json"]) == 0
        stated = json.loads(capsys.readouterr().out)
        assert stated["id"] == identifier
    finally:
        client.remove_image("evalctl-tests/saved:1", force=True)
    assert run(["image", "import", str(tmp_path / "x.tar"), "--out", str(tmp_path / "layout"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert identifier in (answer["config"], answer["digest"])
    assert answer["diff_ids"] == stated["diff_ids"]
    try:
        assert run(["image", "load", str(tmp_path / "layout")]) == 0
    finally:
        client.remove_image(identifier, force=True)
