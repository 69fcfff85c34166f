"""Count the packages in an image from the names in its layers; for people, nothing is proven by it."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from msgspec import Struct

from launcher.errors import InfrastructureError
from launcher.sources.layout import Layout, image_layers, layer_stream
from launcher.sources.layout_files import blob_name
from launcher.spec.image import ImagePins

if TYPE_CHECKING:
    import tarfile

_STATUS = "var/lib/dpkg/status"
_DEBIAN = re.compile(r"var/lib/dpkg/status\.d/(?!.*\.md5sums$)[^/]+")
_PYTHON = re.compile(r".*(?:site|dist)-packages/[^/]+\.(?:dist-info/METADATA|egg-info(?:/PKG-INFO)?)")
_WHITEOUT = ".wh."


class PackageCounts(Struct, frozen=True):
    """How many packages of each kind an image's own databases name."""

    debian: int
    python: int


def package_counts(layout: Layout, pins: ImagePins) -> PackageCounts:
    """Return the counts, a higher layer's removals and rewritten databases seen.

    Raises `InfrastructureError` for a layer that is no tar.
    """
    import tarfile

    debian: set[str] = set()
    python: set[str] = set()
    listed = 0
    for at in range(len(pins.diff_ids)):
        try:
            with _layer(layout, pins, at) as archive:
                for member in archive:
                    name = member.name.removeprefix("./")
                    _remove(name, debian, python)
                    if name == _STATUS and member.isreg() and (stream := archive.extractfile(member)):
                        listed = sum(line.startswith(b"Package:") for line in stream)
                    elif _DEBIAN.fullmatch(name):
                        debian.add(name)
                    elif _PYTHON.fullmatch(name):
                        python.add(name)
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise InfrastructureError(
                f"layer {at + 1} in `{layout.path}` is no tar: {error}", code="image-malformed"
            ) from error
    return PackageCounts(listed + len(debian), len(python))


def _remove(name: str, *sets: set[str]) -> None:
    """Take out what a whiteout at `name` removes from the layers below."""
    folder, _, last = name.rpartition("/")
    if last.startswith(_WHITEOUT):
        gone = folder if last == ".wh..wh..opq" else f"{folder}/{last.removeprefix(_WHITEOUT)}".lstrip("/")
        for names in sets:
            names -= {each for each in names if each == gone or each.startswith(f"{gone}/")}


@contextmanager
def _layer(layout: Layout, pins: ImagePins, at: int) -> "Iterator[tarfile.TarFile]":
    """Open a layer where it lies; one that is compressed, or inside a tar, is read through."""
    from launcher.archives.tars import BoundedTar

    layer = image_layers(layout, pins)[at]
    if layout.members is None and layer.digest == pins.diff_ids[at]:
        with BoundedTar.open(layout.path / blob_name(layer.digest), "r:") as archive:
            yield archive
    else:
        stream = cast("BinaryIO", _Stream(layer_stream(layout, pins, at)))
        with BoundedTar.open(fileobj=stream, mode="r|") as archive:
            yield archive


class _Stream:
    """What `tarfile` reads a stream from: pieces of any size, handed out as asked for."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks, self._rest = iter(chunks), b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and (chunk := next(self._chunks, None)) is not None:
            self._rest += chunk
        data, self._rest = self._rest[:size], self._rest[size:]
        return data
