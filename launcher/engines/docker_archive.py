"""Hand an image layout to a Docker Engine and prove that what it then holds is what was pinned.

The archive is at once what `docker save` of old wrote (`manifest.json`, which engines before 25 need) and an
OCI layout (`index.json`, which engines on containerd's store read, so that they keep the manifest's digest).
No name or tag is set: a tag proves nothing and could be taken from another image. An image without a tag can
be pruned; then the next launch loads it again.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, Protocol

from msgspec import Struct

from launcher.canonical import canonical_bytes
from launcher.errors import InfrastructureError
from launcher.sources.layout import Descriptor, Layout, blob_chunks, document_blob, image_layers
from launcher.sources.layout_files import blob_name
from launcher.spec.image import ImagePins

_BLOCK = 512


class ImageClient(Protocol):
    """What is asked of `docker.APIClient`."""

    def inspect_image(self, image: str) -> Any:
        """Return what the engine says of an image; raise `docker.errors.ImageNotFound`."""

    def load_image(self, data: Iterable[bytes]) -> Iterable[Any]:
        """Send an archive; yield the engine's messages."""


class LoadedImage(Struct, frozen=True):
    """An image in an engine: the Id to create containers by, which pinned digest that Id is, its volumes."""

    id: str
    how: Literal["config", "manifest"]
    volumes: tuple[str, ...] = ()


def find_image(client: ImageClient, pins: ImagePins) -> LoadedImage | None:
    """Return the pinned image if the engine holds it.

    Its Id must be the configuration's digest (graph drivers) or the manifest's (containerd's store), and its
    layers the pinned diff_ids; names and RepoDigests are never looked at. Raises `InfrastructureError` where
    the engine holds the Id with other layers.
    """
    from docker.errors import ImageNotFound

    candidates: tuple[tuple[Literal["config", "manifest"], str], ...] = (
        ("config", pins.config),
        ("manifest", pins.manifest),
    )
    for how, digest in candidates:
        try:
            stated = client.inspect_image(digest)
        except ImageNotFound:
            continue
        _refuse_other_image(stated, digest, pins)
        return LoadedImage(digest, how, tuple(sorted((stated.get("Config") or {}).get("Volumes") or ())))
    return None


def load_image(client: ImageClient, layout: Layout, pins: ImagePins) -> LoadedImage:
    """Return the pinned image, loaded from `layout` unless the engine already holds it.

    Every blob is hashed on its way to the engine; what the engine then holds is proven as in `find_image`.
    Raises `InfrastructureError` where either is not as pinned. The client's time limit bounds the engine's
    silence, not the whole upload.
    """
    if found := find_image(client, pins):
        return found
    answer = [part for part in client.load_image(docker_archive(layout, pins)) if isinstance(part, dict)]
    for part in answer:
        if "error" in part:
            raise _not_as_pinned(pins, f"the engine said: {str(part['error'])[:500]}")
    found = find_image(client, pins)
    if found is None:
        said = " ".join(str(part.get("stream", "")).strip() for part in answer)
        raise _not_as_pinned(pins, f"the engine holds neither Id; it said: {said[:500] or 'nothing'}")
    return found


def docker_archive(layout: Layout, pins: ImagePins) -> Iterator[bytes]:
    """Yield the tar that `POST /images/load` takes, the same bytes each time, blob by blob as it is read.

    Raises `InfrastructureError` in the middle where a blob is not its digest, which ends the upload.
    """
    layers = image_layers(layout, pins)
    manifest = document_blob(layout, pins.manifest)
    config = document_blob(layout, pins.config)
    yield from _file("oci-layout", canonical_bytes({"imageLayoutVersion": "1.0.0"}))
    yield from _file("index.json", _index(manifest, pins))
    yield from _file("manifest.json", _docker_manifest(pins, layers))
    yield from _file(blob_name(pins.manifest), manifest)
    yield from _file(blob_name(pins.config), config)
    for layer in {layer.digest: layer for layer in layers}.values():
        yield _header(blob_name(layer.digest), layer.size)
        yield from blob_chunks(layout, layer)
        yield bytes(-layer.size % _BLOCK)
    yield bytes(2 * _BLOCK)


def _index(manifest: bytes, pins: ImagePins) -> bytes:
    from launcher.canonical import parse_json

    media_type = parse_json(manifest).get("mediaType", "application/vnd.oci.image.manifest.v1+json")
    entry = {"mediaType": media_type, "digest": pins.manifest, "size": len(manifest)}
    return canonical_bytes({"schemaVersion": 2, "manifests": [entry]})


def _docker_manifest(pins: ImagePins, layers: tuple[Descriptor, ...]) -> bytes:
    image = {
        "Config": blob_name(pins.config),
        "RepoTags": None,
        "Layers": [blob_name(layer.digest) for layer in layers],
    }
    return canonical_bytes([image])


def _file(name: str, data: bytes) -> Iterator[bytes]:
    yield _header(name, len(data))
    yield data
    yield bytes(-len(data) % _BLOCK)


def _header(name: str, size: int) -> bytes:
    import tarfile

    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member.tobuf(tarfile.GNU_FORMAT)


def _refuse_other_image(stated: dict[str, Any], digest: str, pins: ImagePins) -> None:
    layers = tuple((stated.get("RootFS") or {}).get("Layers") or ())
    if stated.get("Id") != digest or layers != pins.diff_ids:
        got = f"Id {stated.get('Id')} with layers {', '.join(layers) or 'none'}"
        raise _not_as_pinned(pins, f"expected Id {digest} with layers {', '.join(pins.diff_ids)}, got {got}")


def _not_as_pinned(pins: ImagePins, context: str) -> InfrastructureError:
    return InfrastructureError(
        f"the engine does not hold the image `{pins.manifest}` as pinned",
        code="image-not-as-pinned",
        context=context,
        hint=f"remove it with `docker image rm {pins.config}`, then launch again",
    )
