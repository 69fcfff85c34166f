"""Turn a tar that `docker save` wrote, or a tar of an OCI layout, into an OCI layout folder.

What `docker save` of engines before 25 writes (https://github.com/moby/docker-image-spec) has no manifest, so
no digest of one: it is made here, the same bytes each time for the same image. The configuration's bytes are
kept, so its digest stays the Id that the engine shows; every layer is proven to be the one that it names.
"""

import hashlib
import posixpath
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from launcher.canonical import parse_json
from launcher.digest import digest_of, sha256_hex
from launcher.errors import InfrastructureError, MalformedError
from launcher.image.oci import write_index, write_manifest
from launcher.image.staging import put_in_place, staging_folder
from launcher.sources.layout import (
    MOST_LAYERS,
    Descriptor,
    blob_chunks,
    document_blob,
    image_layers,
    layer_stream,
    only_digest,
    open_layout,
    pin_image,
)
from launcher.sources.layout_files import Layout, blob_name, file_chunks, holds, malformed, read_small
from launcher.spec.image import ImagePins
from launcher.store.trees import refuse_full

if TYPE_CHECKING:
    import gzip

_GZIP = b"\x1f\x8b"
_MOST_MEMBERS = 100_000
_GLANCE = 64 << 20
_LAYER = "application/vnd.oci.image.layer.v1.tar"


def import_archive(
    archive: Path, destination: Path, *, image: str | None, platform: str, progress: Callable[[str], None]
) -> ImagePins:
    """Write the image in `archive` as a layout at `destination` and return its pins.

    `image` chooses, by name or digest, where the archive holds several. Raises `InfrastructureError` where a
    byte is not what a digest says, or where the tar holds no image.
    """
    if not archive.is_file():
        raise InfrastructureError(
            f"there is no file `{archive}`",
            code="archive-not-found",
            hint="write one with `docker save NAME --output FILE`",
        )
    waiting = "waiting for another build"
    with staging_folder(destination, lambda: progress(waiting)) as staging:
        layout = staging / "layout"
        (layout / "blobs" / "sha256").mkdir(parents=True)
        plain = _plain_tar(archive, staging / "archive.tar", progress)
        members = Layout(plain, _members(plain, archive))
        if holds(members, "oci-layout"):
            digest = _copy_layout(plain, layout, image, platform, progress)
        elif holds(members, "manifest.json"):
            digest = _convert(members, layout, image, progress)
        else:
            raise _no_image(archive, "it holds neither `oci-layout` nor `manifest.json`")
        pins = pin_image(open_layout(layout), digest, platform)
        _prove_layers(open_layout(layout), pins)
        put_in_place(layout, destination)
    return pins


def _plain_tar(archive: Path, place: Path, progress: Callable[[str], None]) -> Path:
    """Return an uncompressed tar of the same members: `archive` itself, or what its gzip holds."""
    with archive.open("rb") as stream:
        if stream.read(2) != _GZIP:
            return archive
    import gzip

    progress("decompressing")
    try:
        with gzip.open(archive) as source, place.open("wb") as target:
            _copy_within_disk(source, target, place.parent, str(archive))
    except (OSError, EOFError, zlib.error) as error:
        raise _no_image(archive, f"its gzip cannot be read: {error}") from error
    return place


def _copy_within_disk(source: "gzip.GzipFile", target: IO[bytes], folder: Path, what: str) -> None:
    """Copy, and stop before what is small when compressed fills the disk."""
    unwatched = _GLANCE
    while chunk := source.read(1 << 20):
        unwatched += len(chunk)
        if unwatched >= _GLANCE:
            refuse_full(folder, what)
            unwatched = 0
        target.write(chunk)


def _members(path: Path, archive: Path) -> Mapping[str, tuple[int, int]]:
    """Return offset and size of each regular file, also under the names of links to it inside the tar."""
    import tarfile

    from launcher.archives.tars import BoundedTar

    files: dict[str, tuple[int, int]] = {}
    links: dict[str, str] = {}
    try:
        with BoundedTar.open(path, "r:") as tar:
            for count, member in enumerate(tar):
                name = member.name.removeprefix("./")
                if count >= _MOST_MEMBERS:
                    raise malformed(f"`{archive}` has more than {_MOST_MEMBERS} members")
                if member.isreg() and not member.sparse:
                    files[name] = (member.offset_data, member.size)
                elif member.issym():
                    links[name] = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
                elif member.islnk():
                    links[name] = member.linkname.removeprefix("./")
    except (tarfile.TarError, EOFError, UnicodeError, ValueError) as error:
        raise _no_image(archive, str(error)) from error
    return {**{name: files[target] for name, target in links.items() if target in files}, **files}


def _copy_layout(
    tar: Path, layout: Path, image: str | None, platform: str, progress: Callable[[str], None]
) -> str:
    """Copy the blobs of one image out of the tar of an OCI layout; its digest stays what it is."""
    source = open_layout(tar)
    digest = _named(source, image) if image else only_digest(source)
    pins = pin_image(source, digest, platform)
    progress(f"copying {len(pins.diff_ids)} layers")
    documents = [
        document_blob(source, each) for each in filter(None, (pins.index, pins.manifest, pins.config))
    ]
    for data in documents:
        (layout / blob_name(sha256_hex(data))).write_bytes(data)
    for layer in image_layers(source, pins):
        with (layout / blob_name(layer.digest)).open("wb") as stream:
            stream.writelines(blob_chunks(source, layer))
    document = parse_json(documents[0], what="the image")
    kind = "index" if pins.index else "manifest"
    media_type = document.get("mediaType", f"application/vnd.oci.image.{kind}.v1+json")
    write_index(layout, {"mediaType": media_type, "digest": digest, "size": len(documents[0])})
    return digest


def _named(source: Layout, image: str) -> str:
    """Return the digest of the image that the index calls `image`; a digest is its own name."""
    try:
        rows = parse_json(read_small(source, "index.json"), what="index.json")["manifests"]
        named = {name: row["digest"] for row in rows for name in row.get("annotations", {}).values()}
        return str(named.get(image, image))
    except (MalformedError, LookupError, TypeError, AttributeError) as error:
        raise malformed(f"`{source.path}` has an index.json that is none") from error


def _convert(archive: Layout, layout: Path, image: str | None, progress: Callable[[str], None]) -> str:
    """Write the layout of one image of `docker save`; return the digest of the manifest made for it."""
    entry = _choose(archive, image)
    config_data = read_small(archive, entry["Config"])
    config = parse_json(config_data, what="the configuration")
    if not isinstance(config, dict):
        raise malformed(f"`{archive.path}` has a configuration that is no JSON object")
    if len(entry["Layers"]) > MOST_LAYERS:
        raise malformed(f"`{archive.path}` has an image of more than {MOST_LAYERS} layers")
    progress(f"copying {len(entry['Layers'])} layers")
    # One that is named several times is copied once.
    copied = {name: _copy_layer(archive, name, layout) for name in dict.fromkeys(entry["Layers"])}
    layers = [copied[name] for name in entry["Layers"]]
    (layout / blob_name(sha256_hex(config_data))).write_bytes(config_data)
    return write_manifest(layout, config_data, layers)


def _choose(archive: Layout, image: str | None) -> dict[str, Any]:
    """Return the one entry of manifest.json, or the one that `image` names by tag or by Id."""
    try:
        table = parse_json(read_small(archive, "manifest.json"), what="manifest.json")
    except MalformedError as error:
        raise malformed(error.message) from error
    entries = [entry for entry in table if _is_entry(entry)] if isinstance(table, list) else []
    if not entries or len(entries) != len(table):
        raise malformed(f"`{archive.path}` has a manifest.json that is not what `docker save` writes")
    names = {name: entry for entry in entries for name in (entry.get("RepoTags") or [])}
    names.update({digest_of(read_small(archive, e["Config"])): e for e in entries})
    found = names.get(image) if image else entries[0] if len(entries) == 1 else None
    if found is None:
        raise InfrastructureError(
            f"`{archive.path}` holds {len(entries)} images, " + ("none of that name" if image else "not one"),
            code="image-ambiguous",
            context="it holds " + ", ".join(sorted(names)),
            hint="name one of them with `--image`",
        )
    return dict(found)


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("Config"), str):
        return False
    texts = [entry.get("Layers"), entry.get("RepoTags") or []]
    return all(isinstance(each, list) and all(isinstance(text, str) for text in each) for each in texts)


def _copy_layer(archive: Layout, name: str, layout: Path) -> Descriptor:
    state, size, kind = hashlib.sha256(), 0, ""
    place = layout / blob_name("writing")
    with place.open("wb") as stream:
        for chunk in file_chunks(archive, name):
            kind = kind or ("+gzip" if chunk.startswith(_GZIP) else "none")
            state.update(chunk)
            size += len(chunk)
            stream.write(chunk)
    place.replace(layout / blob_name(state.hexdigest()))
    return Descriptor(_LAYER + kind.removeprefix("none"), "sha256:" + state.hexdigest(), size)


def _prove_layers(layout: Layout, pins: ImagePins) -> None:
    """Raise `InfrastructureError` unless each layer is what the configuration says."""
    for at, layer in enumerate(image_layers(layout, pins)):
        if layer.digest != pins.diff_ids[at]:
            for _ in layer_stream(layout, pins, at):
                pass


def _no_image(archive: Path, why: str) -> InfrastructureError:
    return InfrastructureError(
        f"`{archive}` is no tar of an image: {why}",
        code="archive-malformed",
        context="expected what `docker save` writes, or a tar of an OCI image layout; plain or with gzip",
        hint="write one with `docker save NAME --output FILE`",
    )
