"""Read the layers in what an engine gives for `docker save`, in whatever order they come, and prove them.

A layer is known by its digest alone: the names in the archive are the engine's own. Engines before 25 write
`ID/layer.tar`, later ones an OCI layout whose blobs may be compressed.
"""

import hashlib
import tarfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, BinaryIO, Final, cast

from launcher.archives.tars import BoundedTar
from launcher.errors import InfrastructureError
from launcher.inventory.layers import Budget, Forward, Layer, read_layer
from launcher.sources.layout import gunzip
from launcher.spec.image import ImagePins

_CHUNK: Final = 1 << 20
_MOST_MEMBERS: Final = 10_000
_GZIP: Final = b"\x1f\x8b"
_TAR_MAGIC: Final = slice(257, 262)


def exported_layers(chunks: Iterable[bytes], image: ImagePins) -> Iterator[tuple[str, Layer]]:
    """Yield each pinned layer, lowest first, from an engine's export of the image.

    Raises `InfrastructureError` where one is missing, or the archive is malformed.
    """
    found, budget = {}, Budget()
    stream = Forward(chunks)
    try:
        with BoundedTar.open(fileobj=cast("BinaryIO", stream), mode="r:") as archive:
            for _ in range(_MOST_MEMBERS):
                member = archive.next()
                if member is None:
                    break
                archive.members.clear()
                content = archive.extractfile(member) if member.isreg() else None
                if content is not None and (layer := _layer(content, image, budget)) is not None:
                    found[layer[0]] = layer[1]
        stream.drain()
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise InfrastructureError(
            f"the engine's export is no tar: {error}", code="image-malformed"
        ) from error
    if missing := [diff_id for diff_id in image.diff_ids if diff_id not in found]:
        raise InfrastructureError(
            "the engine's export lacks a layer",
            code="image-not-as-pinned",
            context=f"there is no {missing[0]}",
        )
    return iter([(diff_id, found[diff_id]) for diff_id in image.diff_ids])


def _layer(content: IO[bytes], image: ImagePins, budget: Budget) -> tuple[str, Layer] | None:
    """Return a layer and its diff_id; None for what is no tar, or none of the image's."""
    head = content.read(_CHUNK)
    state = hashlib.sha256()
    chunks = _rest(head, content)
    if head[:2] == _GZIP:
        chunks = gunzip(chunks, "in the engine's export")
    elif head[_TAR_MAGIC] != b"ustar":
        return None
    layer = read_layer(_hashed(chunks, state.update), budget)
    diff_id = "sha256:" + state.hexdigest()
    return (diff_id, layer) if diff_id in image.diff_ids else None


def _rest(head: bytes, content: IO[bytes]) -> Iterator[bytes]:
    yield head
    yield from iter(lambda: content.read(_CHUNK), b"")


def _hashed(chunks: Iterable[bytes], update: Callable[[bytes], None]) -> Iterator[bytes]:
    for chunk in chunks:
        update(chunk)
        yield chunk
