"""Read an OCI image layout, a folder or a tar, trusting no byte before it is hashed.

The formats are https://github.com/opencontainers/image-spec/blob/v1.1.0/spec.md; Docker's media types for the
same documents are read too. A tar is read in place: nothing is extracted.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from launcher.canonical import parse_json
from launcher.digest import digest_of, is_digest
from launcher.errors import InfrastructureError, MalformedError
from launcher.sources.layout_files import (
    Layout,
    absent,
    blob_name,
    expect,
    file_chunks,
    holds,
    malformed,
    mismatch,
    read_small,
    saved_image,
    tar_members,
)
from launcher.spec.image import ImagePins

__all__ = [
    "Descriptor",
    "Layout",
    "blob_chunks",
    "document_blob",
    "gunzip",
    "image_layers",
    "layer_stream",
    "only_digest",
    "open_layout",
    "open_only_image",
    "pin_image",
]

_CHUNK = 1 << 20
MOST_LAYERS = 500

_OCI, _DOCKER = "application/vnd.oci.image.", "application/vnd.docker."
_INDEXES = (_OCI + "index.v1+json", _DOCKER + "distribution.manifest.list.v2+json")
_MANIFESTS = (_OCI + "manifest.v1+json", _DOCKER + "distribution.manifest.v2+json")
_CONFIGS = (_OCI + "config.v1+json", _DOCKER + "container.image.v1+json")
_LAYERS: Mapping[str, Literal["none", "gzip"]] = {
    _OCI + "layer.v1.tar": "none",
    _OCI + "layer.v1.tar+gzip": "gzip",
    _DOCKER + "image.rootfs.diff.tar": "none",
    _DOCKER + "image.rootfs.diff.tar.gzip": "gzip",
}


class Descriptor(Struct, frozen=True):
    """What a manifest says of a blob (an OCI content descriptor)."""

    media_type: str
    digest: str
    size: int


def open_layout(path: Path) -> Layout:
    """Open the layout at `path`: a folder, or an uncompressed tar of one.

    Raises `InfrastructureError` where there is none.
    """
    if path.is_dir():
        layout = Layout(path, None)
    elif path.is_file():
        layout = Layout(path, tar_members(path))
    else:
        raise absent(f"there is no image layout at `{path}`")
    if not holds(layout, "oci-layout"):
        if holds(layout, "manifest.json"):
            raise saved_image(path)
        raise absent(f"`{path}` is not an OCI image layout: it has no file `oci-layout`")
    marker = _document(read_small(layout, "oci-layout"), "oci-layout")
    if not str(marker.get("imageLayoutVersion", "")).startswith("1."):
        raise malformed("`oci-layout` names no layout version 1")
    return layout


def only_digest(layout: Layout) -> str:
    """Return the digest of the one manifest or index that the layout's index.json names."""
    index = _document(read_small(layout, "index.json"), "index.json")
    digests = {descriptor.digest for descriptor in _descriptors(index, "manifests", "index.json")}
    if len(digests) != 1:
        raise InfrastructureError(
            f"`{layout.path}` holds {len(digests)} images, not one",
            code="image-ambiguous",
            context="it holds " + (", ".join(sorted(digests)) or "none"),
            hint="name the digest: oci:PATH@sha256:<64 hex>",
        )
    return digests.pop()


def open_only_image(path: Path, platform: str) -> tuple[Layout, ImagePins]:
    """Return the layout at `path` and the pins of the one image in it, refusing several."""
    layout = open_layout(path)
    return layout, pin_image(layout, only_digest(layout), platform)


def pin_image(layout: Layout, digest: str, platform: str) -> ImagePins:
    """Return every digest of the image that `digest`, of a manifest or an index, names for `platform`.

    All are computed from the bytes in the layout, save `diff_ids`, which the configuration states and whoever
    unpacks a layer proves. Raises `InfrastructureError` where a byte is missing, wrong or not understood.
    """
    if not is_digest(digest):
        raise malformed(f"`{digest}` is not sha256:<64 hex>")
    document = _document(document_blob(layout, digest), f"the manifest {digest}")
    index = None
    if _is_index(document, digest):
        index, digest = digest, _choose(document, digest, platform)
        document = _document(document_blob(layout, digest), f"the manifest {digest}")
        if _is_index(document, digest):
            raise malformed(f"the index {index} holds another index")
    config, layers = _manifest_parts(document, digest)
    return ImagePins(index, digest, config.digest, _diff_ids(layout, config, len(layers), platform), platform)


def image_layers(layout: Layout, pins: ImagePins) -> tuple[Descriptor, ...]:
    """Return the layers of the manifest that `pins` names, lowest first."""
    document = _document(document_blob(layout, pins.manifest), f"the manifest {pins.manifest}")
    config, layers = _manifest_parts(document, pins.manifest)
    if config.digest != pins.config or len(layers) != len(pins.diff_ids):
        raise malformed(f"the manifest {pins.manifest} does not belong to the configuration {pins.config}")
    for layer in layers:
        _compression(layer)
    return layers


def blob_chunks(layout: Layout, blob: Descriptor) -> Iterator[bytes]:
    """Yield a blob's bytes; size and digest are proven at the end, so use nothing before it ends well.

    Raises `InfrastructureError` in place of the last step where they are wrong.
    """
    state, size = hashlib.sha256(), 0
    for chunk in file_chunks(layout, blob_name(blob.digest)):
        state.update(chunk)
        size += len(chunk)
        yield chunk
    if size != blob.size:
        raise mismatch(layout, f"the blob `{blob.digest}`", f"{blob.size} bytes", f"{size} bytes")
    expect(layout, f"the blob `{blob.digest}`", blob.digest, "sha256:" + state.hexdigest())


def layer_stream(layout: Layout, pins: ImagePins, at: int) -> Iterator[bytes]:
    """Yield the uncompressed tar of layer `at` (0 is the lowest), proving blob digest and diff_id at its end.

    Use nothing before it ends well.
    """
    layer = image_layers(layout, pins)[at]
    if _compression(layer) == "none":
        # Then the blob is the tar: one hash proves both.
        expect(layout, f"the layer `{layer.digest}`", pins.diff_ids[at], layer.digest)
        yield from blob_chunks(layout, layer)
        return
    state = hashlib.sha256()
    for chunk in gunzip(blob_chunks(layout, layer), layer.digest):
        state.update(chunk)
        yield chunk
    expect(layout, f"the layer `{layer.digest}`", pins.diff_ids[at], "sha256:" + state.hexdigest())


def _is_index(document: Mapping[str, Any], digest: str) -> bool:
    """Tell an index from a manifest; a document that could be read as both is refused (CVE-2021-41190)."""
    is_index, is_manifest = "manifests" in document, "config" in document or "layers" in document
    expected = _INDEXES if is_index else _MANIFESTS
    media_type = document.get("mediaType", expected[0])
    if is_index == is_manifest or media_type not in expected or document.get("schemaVersion") != 2:
        raise malformed(f"`{digest}` is neither an image manifest nor an image index")
    return is_index


def _choose(index: Mapping[str, Any], digest: str, platform: str) -> str:
    """Return the digest of the one manifest in `index` for `platform`; one that names none counts for all."""
    fitting, present = set(), []
    for raw, descriptor in zip(
        index["manifests"], _descriptors(index, "manifests", f"the index {digest}"), strict=True
    ):
        if descriptor.media_type not in _MANIFESTS:
            continue
        stated = raw.get("platform")
        if stated is not None and not isinstance(stated, dict):
            raise malformed(f"the index {digest} has a platform that is no object")
        if stated is None or _fits(stated, platform):
            fitting.add(descriptor.digest)
        present.append(_platform_name(stated or {}))
    if len(fitting) != 1:
        raise InfrastructureError(
            f"the index `{digest}` has {len(fitting)} images for `{platform}`, not one",
            code="image-platform-mismatch",
            context="it has " + (", ".join(present[:20]) or "none"),
            hint="set [image] platform, or name the digest of a manifest",
        )
    return fitting.pop()


def _manifest_parts(manifest: Mapping[str, Any], digest: str) -> tuple[Descriptor, tuple[Descriptor, ...]]:
    what = f"the manifest {digest}"
    config = _descriptor(manifest.get("config"), what)
    if config.media_type not in _CONFIGS:
        raise malformed(f"{what} is of something else than a container image: {config.media_type}")
    layers = _descriptors(manifest, "layers", what)
    if len(layers) > MOST_LAYERS:
        raise malformed(f"{what} has more than {MOST_LAYERS} layers")
    return config, layers


def _diff_ids(layout: Layout, config: Descriptor, layers: int, platform: str) -> tuple[str, ...]:
    what = f"the configuration {config.digest}"
    data = document_blob(layout, config.digest)
    if len(data) != config.size:
        raise mismatch(layout, what, f"{config.size} bytes", f"{len(data)} bytes")
    document = _document(data, what)
    if not _fits(document, platform):
        raise InfrastructureError(
            f"the image in `{layout.path}` is for another platform",
            code="image-platform-mismatch",
            context=f"expected {platform}, got {_platform_name(document)}",
            hint="set [image] platform to the image's own",
        )
    rootfs = document.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list) or len(diff_ids) != layers:
        raise malformed(f"{what} does not state a diff_id for each of {layers} layers")
    if not all(isinstance(diff_id, str) and is_digest(diff_id) for diff_id in diff_ids):
        raise malformed(f"{what} states a diff_id that is not sha256:<64 hex>")
    return tuple(diff_ids)


def _fits(stated: Mapping[str, Any], platform: str) -> bool:
    parts = (*platform.split("/"), "", "")[:3]
    wanted = dict(zip(("os", "architecture", "variant"), parts, strict=True))
    return all(stated.get(key) == value for key, value in wanted.items() if value or key != "variant")


def _platform_name(stated: Mapping[str, Any]) -> str:
    parts = (stated.get(key) for key in ("os", "architecture", "variant"))
    return "/".join(str(part) for part in parts if part) or "no platform"


def _descriptors(document: Mapping[str, Any], key: str, what: str) -> tuple[Descriptor, ...]:
    rows = document.get(key)
    if not isinstance(rows, list):
        raise malformed(f"{what} has no list `{key}`")
    return tuple(_descriptor(row, what) for row in rows)


def _descriptor(row: Any, what: str) -> Descriptor:
    if not isinstance(row, dict):
        raise malformed(f"{what} has a descriptor that is no object")
    media_type, digest, size = row.get("mediaType"), row.get("digest"), row.get("size")
    if not isinstance(digest, str) or not is_digest(digest):
        raise malformed(f"{what} has a descriptor without a sha256 digest")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise malformed(f"{what} has a descriptor without a size")
    return Descriptor(media_type if isinstance(media_type, str) else "", digest, size)


def _compression(layer: Descriptor) -> Literal["none", "gzip"]:
    if layer.media_type not in _LAYERS:
        raise InfrastructureError(
            f"the layer `{layer.digest}` cannot be read",
            code="image-layer-unsupported",
            context=f"expected a tar, plain or with gzip; got `{layer.media_type or 'no media type'}`",
            hint="copy the image with its layers as gzip, and pin the digest it has then",
        )
    return _LAYERS[layer.media_type]


def gunzip(chunks: Iterable[bytes], digest: str) -> Iterator[bytes]:
    """Yield what a layer's gzip holds, in pieces of bounded size; raises `InfrastructureError`."""
    import zlib

    decoder = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            pending = chunk
            while pending:
                yield decoder.decompress(pending, _CHUNK)
                pending = decoder.unconsumed_tail
                if decoder.eof:
                    pending, decoder = decoder.unused_data, zlib.decompressobj(wbits=31)
        yield decoder.flush()
    except zlib.error as error:
        raise malformed(f"the layer `{digest}` is not gzip: {error}") from error


def document_blob(layout: Layout, digest: str) -> bytes:
    """Return a manifest's or configuration's bytes after hashing them; at most 8 MiB are read."""
    if not holds(layout, blob_name(digest)):
        raise absent(f"`{layout.path}` does not hold `{digest}`")
    data = read_small(layout, blob_name(digest))
    expect(layout, f"the blob `{digest}`", digest, digest_of(data))
    return data


def _document(data: bytes, what: str) -> dict[str, Any]:
    try:
        document = parse_json(data, what=what)
    except MalformedError as error:
        raise malformed(error.message) from error
    if not isinstance(document, dict):
        raise malformed(f"{what} is no JSON object")
    return document
