"""Write an OCI image layout (https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md).

Layers are uncompressed: their digest is their diff_id, and no compressor's version is in any byte.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from launcher.canonical import canonical_bytes
from launcher.digest import digest_of
from launcher.image.recipe import Config
from launcher.sources.layout import Descriptor
from launcher.sources.layout_files import blob_name

INPUTS_ANNOTATION = "org.w3id.evalctl-launcher.inputs"
_TYPE = "application/vnd.oci.image"


class Layer(Struct, frozen=True):
    """A layer that was written: its digest (also its diff_id), its size, and what made it."""

    digest: str
    size: int
    created_by: str


class Description(Struct, frozen=True):
    """What an image says of itself beside its layers; `time` is in seconds since 1970."""

    platform: str
    time: int
    config: Config


def write_layer(folder: Path, chunks: Iterable[bytes], created_by: str) -> Layer:
    """Write one layer's tar below the layout `folder`."""
    state, size, path = hashlib.sha256(), 0, folder / blob_name("writing")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb", buffering=1 << 20) as stream:
        for chunk in chunks:
            stream.write(chunk)
            state.update(chunk)
            size += len(chunk)
    path.replace(folder / blob_name(state.hexdigest()))
    return Layer("sha256:" + state.hexdigest(), size, created_by)


def write_layout(folder: Path, image: Description, layers: list[Layer], inputs: str) -> None:
    """Write configuration, manifest and index around `layers`; the index keeps `inputs` as an annotation."""
    operating_system, architecture = image.platform.split("/")[:2]
    config = _write_json(folder, "config.v1", _config(image, layers))
    rows = [Descriptor(f"{_TYPE}.layer.v1.tar", layer.digest, layer.size) for layer in layers]
    entry = {
        **_write_json(folder, "manifest.v1", _manifest(config, rows)),
        "platform": {"architecture": architecture, "os": operating_system},
        "annotations": {INPUTS_ANNOTATION: inputs},
    }
    write_index(folder, entry)


def write_manifest(folder: Path, config: bytes, layers: list[Descriptor]) -> str:
    """Write a manifest, and the index, for a configuration and layers that are there; return its digest."""
    descriptor = {"mediaType": f"{_TYPE}.config.v1+json", "digest": digest_of(config), "size": len(config)}
    entry = _write_json(folder, "manifest.v1", _manifest(descriptor, layers))
    write_index(folder, entry)
    return str(entry["digest"])


def write_index(folder: Path, entry: dict[str, Any]) -> None:
    """Write the files that make `folder` a layout, of the one image that `entry` describes."""
    index = {"schemaVersion": 2, "mediaType": f"{_TYPE}.index.v1+json", "manifests": [entry]}
    (folder / "oci-layout").write_bytes(canonical_bytes({"imageLayoutVersion": "1.0.0"}))
    (folder / "index.json").write_bytes(canonical_bytes(index))


def _manifest(config: dict[str, Any], layers: list[Descriptor]) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": f"{_TYPE}.manifest.v1+json",
        "config": config,
        "layers": [
            {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size} for layer in layers
        ],
    }


def _config(image: Description, layers: list[Layer]) -> dict[str, Any]:
    operating_system, architecture = image.platform.split("/")[:2]
    created = datetime.fromtimestamp(image.time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config: dict[str, Any] = {
        "User": image.config.user,
        "WorkingDir": image.config.working_directory,
        "Env": list(image.config.environment),
        "Labels": dict(image.config.labels),
    }
    if image.config.command:
        config["Cmd"] = list(image.config.command)
    return {
        "created": created,
        "os": operating_system,
        "architecture": architecture,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        "history": [{"created": created, "created_by": layer.created_by} for layer in layers],
    }


def _write_json(folder: Path, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    """Write `value` as a blob; return its descriptor."""
    data = canonical_bytes(value)
    digest = digest_of(data)
    (folder / blob_name(digest)).write_bytes(data)
    return {"mediaType": f"{_TYPE}.{kind}+json", "digest": digest, "size": len(data)}
