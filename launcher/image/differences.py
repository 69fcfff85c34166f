"""Say in what two images differ: the first layer, the files in it, and what about them."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from launcher.canonical import parse_json
from launcher.errors import InfrastructureError
from launcher.sources.layout import Layout, document_blob, layer_stream
from launcher.spec.image import ImagePins

if TYPE_CHECKING:
    import tarfile

_MOST = 20


class Difference(Struct, frozen=True):
    """One thing that differs: in which part of the image, at which path (empty: the part itself), and how."""

    where: str
    path: str
    what: str


class HeldImage(Struct, frozen=True):
    """An image to compare: a layout and the pins of the one image in it."""

    layout: Layout
    pins: ImagePins


def image_differences(first: HeldImage, second: HeldImage) -> tuple[Difference, ...]:
    """Return in what two images differ, none where there is nothing; only the first layer is read."""
    if first.pins.manifest == second.pins.manifest:
        return ()
    ours, theirs = first.pins.diff_ids, second.pins.diff_ids
    for at, pair in enumerate(zip(ours, theirs, strict=False)):
        if pair[0] != pair[1]:
            return tuple(_layer_differences(first, second, at))
    if len(ours) != len(theirs):
        return (Difference("layers", "", f"{len(ours)} and {len(theirs)} of them"),)
    found = tuple(_config_differences(_config(first), _config(second), ""))
    return found or (Difference("manifest", "", "media types, annotations or compression"),)


def _layer_differences(first: HeldImage, second: HeldImage, at: int) -> list[Difference]:
    where = f"layer {at + 1} of {len(first.pins.diff_ids)}"
    ours, theirs = (_members(held, at) for held in (first, second))
    found = []
    for path in sorted(set(ours) | set(theirs)):
        if whats := _member_differences(ours.get(path), theirs.get(path)):
            found.append(Difference(where, path, ", ".join(whats)))
    if len(found) > _MOST:
        found[_MOST:] = [Difference(where, "", f"{len(found) - _MOST} more files differ")]
    return found or [Difference(where, "", "the order or the headers of its files")]


class _Member(Struct, frozen=True):
    kind: str
    mode: str
    owner: str
    mtime: str
    link: str
    size: int
    sha256: str


def _members(held: HeldImage, at: int) -> Mapping[str, _Member]:
    with _archive(held, at) as archive:
        return {member.name: _member(archive, member) for member in archive}


@contextmanager
def _archive(held: HeldImage, at: int) -> "Iterator[tarfile.TarFile]":
    """Open a layer after its bytes were proven to be the pinned ones."""
    import tarfile

    from launcher.archives.tars import BoundedTar

    with tempfile.TemporaryFile() as stream:
        for chunk in layer_stream(held.layout, held.pins, at):
            stream.write(chunk)
        stream.seek(0)
        try:
            with BoundedTar.open(fileobj=stream, mode="r:") as archive:
                yield archive
        except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
            raise InfrastructureError(
                f"layer {at + 1} in `{held.layout.path}` is no tar: {error}", code="image-malformed"
            ) from error


def _member(archive: "tarfile.TarFile", member: "tarfile.TarInfo") -> _Member:
    state = hashlib.sha256()
    if stream := archive.extractfile(member) if member.isreg() else None:
        while chunk := stream.read(1 << 20):
            state.update(chunk)
    return _Member(
        kind=str(member.type),
        mode=f"{member.mode:04o}",
        owner=f"{member.uid}:{member.gid}",
        mtime=str(member.mtime),
        link=member.linkname,
        size=member.size,
        sha256=state.hexdigest(),
    )


def _member_differences(ours: _Member | None, theirs: _Member | None) -> list[str]:
    if ours is None or theirs is None:
        return ["only in the second" if ours is None else "only in the first"]
    found = [
        f"{name} {getattr(ours, name)} and {getattr(theirs, name)}"
        for name in ("kind", "mode", "owner", "mtime", "link", "size")
        if getattr(ours, name) != getattr(theirs, name)
    ]
    if ours.sha256 != theirs.sha256:
        found.append(f"bytes sha256 {ours.sha256[:12]} and {theirs.sha256[:12]}")
    return found


def _config(held: HeldImage) -> Any:
    return parse_json(document_blob(held.layout, held.pins.config), what="the configuration")


def _config_differences(ours: Any, theirs: Any, path: str) -> Iterator[Difference]:
    """Yield the keys of two JSON values that differ, the deepest ones."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(set(ours) | set(theirs)):
            yield from _config_differences(ours.get(key), theirs.get(key), f"{path}.{key}".lstrip("."))
    elif ours != theirs:
        yield Difference("configuration", path, f"{ours!r:.200} and {theirs!r:.200}")
