"""Image layouts are believed byte by byte, and by nothing else."""

import contextlib
import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.errors import EvalctlError, InfrastructureError
from launcher.sources.layout import image_layers, layer_stream, only_digest, open_layout, pin_image
from launcher.spec.image import ImagePins
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

PLATFORM = "linux/amd64"
LAYER = "application/vnd.oci.image.layer.v1.tar"
TAR = tar_of(text_file("hello", "hi"), compression="")


def pin(folder: Path, digest: str, platform: str = PLATFORM) -> ImagePins:
    return pin_image(open_layout(folder), digest, platform)


def code_of(call: Any, *arguments: Any) -> str:
    with pytest.raises(InfrastructureError) as caught:
        call(*arguments)
    return caught.value.code


def as_tar(folder: Path, target: Path) -> Path:
    with tarfile.open(target, "w") as archive:
        archive.add(folder, arcname=".")
    return target


def gzip_layout(
    folder: Path, tar: bytes, *, diff_id: str | None = None, media_type: str = LAYER + "+gzip"
) -> str:
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [diff_id or sha256(tar)]}}
    # Two gzip members in one stream: a reader that stops after the first would lose the rest.
    blob = gzip.compress(tar[:600], mtime=0) + gzip.compress(tar[600:], mtime=0)
    layer = {"mediaType": media_type, **put_blob(folder, blob)}
    return finish_layout(folder, put_json(folder, "config.v1", config), [layer])


def test_a_folder_and_its_tar_give_the_same_pins_and_layers(tmp_path: Path) -> None:
    folder = tmp_path / "layout"
    digest = make_layout(folder)
    archive = as_tar(folder, tmp_path / "layout.tar")
    pins = pin(folder, digest)
    assert pins == pin(archive, digest)
    assert (pins.index, pins.manifest, pins.diff_ids) == (None, digest, (sha256(TAR),))
    for path in (folder, archive):
        assert only_digest(open_layout(path)) == digest
        assert b"".join(layer_stream(open_layout(path), pins, 0)) == TAR


def test_a_gzip_layer_streams_uncompressed(tmp_path: Path) -> None:
    pins = pin(tmp_path, gzip_layout(tmp_path, TAR))
    assert b"".join(layer_stream(open_layout(tmp_path), pins, 0)) == TAR


def test_a_layer_that_is_not_its_diff_id_is_refused(tmp_path: Path) -> None:
    pins = pin(tmp_path, gzip_layout(tmp_path, TAR, diff_id="sha256:" + "0" * 64))
    assert code_of(list, layer_stream(open_layout(tmp_path), pins, 0)) == "image-digest-mismatch"


def test_a_zstd_layer_is_refused_with_a_clear_message(tmp_path: Path) -> None:
    pins = pin(tmp_path, gzip_layout(tmp_path, TAR, media_type=LAYER + "+zstd"))
    with pytest.raises(InfrastructureError) as caught:
        image_layers(open_layout(tmp_path), pins)
    assert caught.value.code == "image-layer-unsupported"
    assert "zstd" in str(caught.value.context)


@pytest.mark.parametrize("which", ["manifest", "config", "layer"])
@pytest.mark.parametrize("how", ["changed", "cut", "missing", "empty"])
def test_a_blob_that_is_not_its_digest_is_refused(tmp_path: Path, which: str, how: str) -> None:
    digest = make_layout(tmp_path)
    pins = pin(tmp_path, digest)
    name = {"manifest": pins.manifest, "config": pins.config, "layer": pins.diff_ids[0]}[which]
    blob = tmp_path / "blobs" / "sha256" / name[7:]
    data = blob.read_bytes()
    if how == "missing":
        blob.unlink()
    else:
        blob.write_bytes({"changed": data[:-1] + b"?", "cut": data[:-1], "empty": b""}[how])

    def use() -> None:
        list(layer_stream(open_layout(tmp_path), pin(tmp_path, digest), 0))

    with pytest.raises(InfrastructureError) as caught:
        use()
    assert caught.value.code == ("image-not-found" if how == "missing" else "image-digest-mismatch")
    assert name[7:] in caught.value.message
    assert "evalctl image build" in str(caught.value.hint)


def index_of(folder: Path, *entries: dict[str, Any], **changes: Any) -> str:
    document = {"schemaVersion": 2, "manifests": list(entries), **changes}
    return str(put_json(folder, "index.v1", document)["digest"])


def entry_for(folder: Path, architecture: str, variant: str = "") -> dict[str, Any]:
    digest = make_layout(folder, architecture=architecture, **({"variant": variant} if variant else {}))
    stated = {"os": "linux", "architecture": architecture, **({"variant": variant} if variant else {})}
    size = len((folder / "blobs" / "sha256" / digest[7:]).read_bytes())
    media_type = "application/vnd.oci.image.manifest.v1+json"
    return {"mediaType": media_type, "digest": digest, "size": size, "platform": stated}


def test_an_index_leads_to_the_manifest_of_the_platform(tmp_path: Path) -> None:
    intel, arm = entry_for(tmp_path, "amd64"), entry_for(tmp_path, "arm64", "v8")
    index = index_of(tmp_path, intel, arm)
    pins = pin(tmp_path, index)
    assert (pins.index, pins.manifest) == (index, intel["digest"])
    assert pin(tmp_path, index, "linux/arm64").manifest == arm["digest"]
    assert pin(tmp_path, index, "linux/arm64/v8").manifest == arm["digest"]
    assert code_of(pin, tmp_path, index, "linux/arm64/v7") == "image-platform-mismatch"
    assert code_of(pin, tmp_path, index, "windows/amd64") == "image-platform-mismatch"


def test_an_index_with_two_images_of_a_platform_is_refused(tmp_path: Path) -> None:
    index = index_of(tmp_path, entry_for(tmp_path, "arm64", "v8"), entry_for(tmp_path, "arm64", "v9"))
    assert code_of(pin, tmp_path, index, "linux/arm64") == "image-platform-mismatch"


def test_a_manifest_of_another_platform_is_refused(tmp_path: Path) -> None:
    assert code_of(pin, tmp_path, make_layout(tmp_path, architecture="arm64")) == "image-platform-mismatch"


def test_a_document_that_is_manifest_and_index_at_once_is_refused(tmp_path: Path) -> None:
    make_layout(tmp_path)
    both = index_of(tmp_path, entry_for(tmp_path, "amd64"), layers=[])
    assert code_of(pin, tmp_path, both) == "image-malformed"


def test_an_index_inside_an_index_is_refused(tmp_path: Path) -> None:
    entry = entry_for(tmp_path, "amd64")
    inner = index_of(tmp_path, entry)
    outer = index_of(tmp_path, {**entry, "digest": inner})
    assert code_of(pin, tmp_path, outer) == "image-malformed"


@pytest.mark.parametrize(
    "config",
    [
        {"rootfs": {}},
        {"rootfs": []},
        {"rootfs": {"diff_ids": []}},
        {"rootfs": {"diff_ids": ["sha256:zz"]}},
        {"rootfs": {"diff_ids": [1]}},
    ],
)
def test_a_configuration_without_its_diff_ids_is_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    assert code_of(pin, tmp_path, make_layout(tmp_path, **config)) == "image-malformed"


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"schemaVersion": 2},
        {"schemaVersion": 2, "config": {}, "layers": []},
        {"schemaVersion": 2, "config": {"digest": "sha256:../../etc/passwd", "size": 1}, "layers": []},
        {"schemaVersion": 2, "config": {"digest": "sha256:" + "0" * 64, "size": -1}, "layers": []},
        {"schemaVersion": 1, "manifests": []},
        {"schemaVersion": 2, "manifests": {}},
        {"schemaVersion": 2, "manifests": [1]},
        {"schemaVersion": 2, "mediaType": "application/json", "config": {}, "layers": []},
    ],
    ids=str,
)
def test_a_hostile_manifest_is_a_clear_error(tmp_path: Path, document: Any) -> None:
    make_layout(tmp_path)
    assert code_of(pin, tmp_path, put_json(tmp_path, "manifest.v1", document)["digest"]) == "image-malformed"


def test_a_manifest_larger_than_its_bound_is_not_read(tmp_path: Path) -> None:
    make_layout(tmp_path)
    huge = put_blob(tmp_path, b"[" * (9 << 20))["digest"]
    assert code_of(pin, tmp_path, huge) == "image-malformed"


def test_a_deeply_nested_manifest_is_a_clear_error(tmp_path: Path) -> None:
    make_layout(tmp_path)
    assert code_of(pin, tmp_path, put_blob(tmp_path, b"[" * 100_000)["digest"]) == "image-malformed"


def test_a_fifo_instead_of_a_blob_does_not_hang(tmp_path: Path) -> None:
    digest = make_layout(tmp_path)
    blob = tmp_path / "blobs" / "sha256" / digest[7:]
    blob.unlink()
    os.mkfifo(blob)
    assert code_of(pin, tmp_path, digest) == "image-not-found"


@pytest.mark.parametrize(
    "member",
    [
        tar_member("blobs/sha256/x", tarfile.SYMTYPE, link="/etc/passwd"),
        tar_member("blobs/sha256/x", tarfile.LNKTYPE, link="oci-layout"),
        tar_member("dev", tarfile.CHRTYPE),
        text_file("../outside"),
        text_file("/etc/passwd"),
    ],
)
def test_a_tar_with_links_or_traversal_is_refused(tmp_path: Path, member: Any) -> None:
    path = tmp_path / "layout.tar"
    path.write_bytes(
        tar_of(text_file("oci-layout", '{"imageLayoutVersion":"1.0.0"}'), member, compression="")
    )
    assert code_of(open_layout, path) == "image-malformed"


@pytest.mark.parametrize(
    "data", [b"", b"no tar", gzip.compress(b"x" * 2000), tar_of(text_file("a"), compression="")]
)
def test_a_file_that_is_no_layout_is_a_clear_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    assert code_of(open_layout, tmp_path / "file") == "image-not-found"


def test_a_place_without_a_layout_says_how_to_build_one(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InfrastructureError) as caught:
            open_layout(path)
        assert "evalctl image build" in str(caught.value.hint)


def test_a_layout_of_several_images_wants_a_digest(tmp_path: Path) -> None:
    entries = [entry_for(tmp_path, "amd64"), entry_for(tmp_path, "arm64")]
    (tmp_path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    assert code_of(only_digest, open_layout(tmp_path)) == "image-ambiguous"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_tar_with_any_byte_changed_gives_the_same_pins_or_is_refused(
    tmp_path: Path, data: st.DataObject
) -> None:
    folder = tmp_path / "layout"
    digest = make_layout(folder)
    whole = as_tar(folder, tmp_path / "whole.tar").read_bytes()
    expected = pin(folder, digest)
    at, value = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 255))
    (tmp_path / "changed.tar").write_bytes(whole[:at] + bytes([value]) + whole[at + 1 :])
    with contextlib.suppress(EvalctlError):
        pins = pin(tmp_path / "changed.tar", digest)
        assert pins == expected
        assert b"".join(layer_stream(open_layout(tmp_path / "changed.tar"), pins, 0)) == TAR


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "schemaVersion",
                        "mediaType",
                        "config",
                        "layers",
                        "manifests",
                        "digest",
                        "size",
                        "platform",
                    ]
                ),
                inner,
            )
        ),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_json_as_a_manifest_is_a_clear_error(tmp_path: Path, document: Any) -> None:
    make_layout(tmp_path)
    with pytest.raises(InfrastructureError):
        pin(tmp_path, put_json(tmp_path, "manifest.v1", document)["digest"])


def test_reading_a_tar_extracts_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "layout"
    digest = make_layout(folder)
    archive = as_tar(folder, tmp_path / "layout.tar")
    before = sorted(tmp_path.rglob("*"))
    pins = pin(archive, digest)
    assert io.BytesIO(b"".join(layer_stream(open_layout(archive), pins, 0))).getvalue() == TAR
    assert sorted(tmp_path.rglob("*")) == before
