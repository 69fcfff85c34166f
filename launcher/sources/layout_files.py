"""The files of an OCI image layout, in a folder or in place in a tar, and how their faults are told."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from launcher.errors import InfrastructureError

_CHUNK = 1 << 20
_LARGEST_DOCUMENT = 8 << 20
_MOST_MEMBERS = 100_000


class Layout(Struct, frozen=True):
    """An image layout at `path`; for a tar, `members` tells offset and size of each regular file in it."""

    path: Path
    members: Mapping[str, tuple[int, int]] | None


def blob_name(digest: str) -> str:
    """Return the name of the file that holds the blob `digest`."""
    return "blobs/sha256/" + digest.removeprefix("sha256:")


def holds(layout: Layout, name: str) -> bool:
    """Say whether the layout has a regular file of that name."""
    return name in layout.members if layout.members is not None else (layout.path / name).is_file()


def read_small(layout: Layout, name: str) -> bytes:
    """Return the bytes of a document; more than 8 MiB are refused."""
    data = b""
    for chunk in file_chunks(layout, name):
        data += chunk
        if len(data) > _LARGEST_DOCUMENT:
            raise malformed(f"`{name}` is larger than 8 MiB")
    return data


def file_chunks(layout: Layout, name: str) -> Iterator[bytes]:
    """Yield the bytes of one file of the layout, up to the size it had when it was opened."""
    try:
        with _opened(layout, name) as (stream, size):
            left = size
            while left and (chunk := stream.read(min(left, _CHUNK))):
                left -= len(chunk)
                yield chunk
    except FileNotFoundError as error:
        raise absent(f"`{layout.path}` has no file `{name}`") from error
    except OSError as error:
        raise InfrastructureError(
            f"`{name}` in `{layout.path}` cannot be read: {error.strerror}", code="image-unreadable"
        ) from error


@contextmanager
def _opened(layout: Layout, name: str) -> Iterator[tuple[BinaryIO, int]]:
    if layout.members is None:
        descriptor = os.open(layout.path / name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as stream:  # noqa: PTH123
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise malformed(f"`{name}` is not a regular file")
            yield stream, status.st_size
    elif name not in layout.members:
        raise FileNotFoundError(name)
    else:
        offset, size = layout.members[name]
        with layout.path.open("rb", buffering=0) as stream:
            stream.seek(offset)
            yield stream, size


def tar_members(path: Path) -> Mapping[str, tuple[int, int]]:
    """Return offset and size of each regular file in the tar; one with links or special files is refused."""
    import tarfile

    from launcher.archives.tars import BoundedTar

    members: dict[str, tuple[int, int]] = {}
    try:
        with BoundedTar.open(path, "r:") as archive:
            for count, member in enumerate(archive):
                name = member.name.removeprefix("./")
                if count >= _MOST_MEMBERS:
                    raise malformed(f"`{path}` has more than {_MOST_MEMBERS} members")
                if member.isdir():
                    continue
                if member.issym() and name.endswith("/layer.tar"):
                    raise saved_image(path)
                if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse:
                    raise malformed(f"`{path}` holds a link or a special file: {member.name!r}")
                if name in members or name.startswith("/") or ".." in name.split("/"):
                    raise malformed(f"`{path}` holds {member.name!r} twice or outside itself")
                members[name] = (member.offset_data, member.size)
    except (tarfile.TarError, EOFError, UnicodeError, ValueError) as error:
        raise absent(f"`{path}` is not an uncompressed tar of an image layout: {error}") from error
    except OSError as error:
        raise InfrastructureError(
            f"`{path}` cannot be read: {error.strerror or error}", code="image-unreadable"
        ) from error
    return members


def expect(layout: Layout, what: str, expected: str, got: str) -> None:
    """Raise an `InfrastructureError` unless `got` is as `expected`."""
    if got != expected:
        raise mismatch(layout, what, expected, got)


def mismatch(layout: Layout, what: str, expected: str, got: str) -> InfrastructureError:
    """Return the error for bytes that are not what their digest says."""
    return InfrastructureError(
        f"{what} in `{layout.path}` has other bytes than its digest says",
        code="image-digest-mismatch",
        context=f"expected {expected}, got {got}",
        hint="remove the layout and make it again: `evalctl image build FOLDER`",
    )


def absent(message: str) -> InfrastructureError:
    """Return the error for an image, or a part of one, that is not there."""
    return InfrastructureError(
        message,
        code="image-not-found",
        hint="build one with `evalctl image build FOLDER`, FOLDER one of images/*",
    )


def saved_image(path: Path) -> InfrastructureError:
    """Return the error for what `docker save` of old wrote where a layout was wanted."""
    return InfrastructureError(
        f"`{path}` is what `docker save` writes, not an OCI image layout",
        code="image-not-found",
        hint=f"make a layout of it: `evalctl image import {path} --out LAYOUT`",
    )


def malformed(message: str) -> InfrastructureError:
    """Return the error for bytes that are as pinned and still no image."""
    return InfrastructureError(message, code="image-malformed")
