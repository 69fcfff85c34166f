"""Unpack an archive of an input: plain files only, in the order they stand, bounded by the disk."""

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from launcher.archives.tars import BoundedTar
from launcher.archives.zips import open_zip
from launcher.archives.zstandard import zstandard
from launcher.errors import InfrastructureError
from launcher.spec.blueprint import Unpack
from launcher.store.trees import MAX_FILES, Member, refused

# What a tree holds that was one compressed file.
WHOLE = "file"

_CHUNK = 1 << 20
_Chunks = Callable[[Any], Iterator[bytes]]


def is_one_file(unpack: Unpack) -> bool:
    """Say whether `unpack` gives one file, and not a folder."""
    return unpack in ("zst", "gz")


def unpacked_members(archive: Path, unpack: Unpack, *, what: str) -> Iterator[Member]:
    """Yield what is in `archive`; that of a compressed file is one member named `WHOLE`.

    Raises `InfrastructureError` for what is no such archive, or holds links, devices or odd names.
    """

    def chunks(plain: Any) -> Iterator[bytes]:
        # Read after this generator has yielded, so its faults are explained apart.
        with _explained(unpack, what):
            while chunk := plain.read(_CHUNK):
                yield chunk

    with _explained(unpack, what), archive.open("rb") as stream:
        match unpack:
            case "gz":
                with gzip.GzipFile(fileobj=stream) as plain:
                    yield Member(WHOLE, chunks(plain))
            case "zst":
                with zstandard().ZstdFile(stream) as plain:
                    yield Member(WHOLE, chunks(plain))
            case "tar":
                yield from _tar_members(stream, what, chunks)
            case "zip":
                yield from _zip_members(archive, what, chunks)
            case "none":
                raise ValueError("nothing to unpack")


@contextmanager
def _explained(unpack: Unpack, what: str) -> Iterator[None]:
    """Turn what the libraries raise over damaged archives into one error."""
    try:
        yield
    except (
        tarfile.TarError,
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        ValueError,
        # A method that is not known, or a member under a password.
        RuntimeError,
        zstandard().ZstdError,
    ) as error:
        raise _damaged(unpack, what, error) from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise _damaged(unpack, what, error) from error


def _damaged(unpack: Unpack, what: str, error: Exception) -> InfrastructureError:
    return InfrastructureError(
        f"`{what}` cannot be unpacked",
        code="input-not-unpacked",
        context=f"expected {unpack}: {error}",
        hint="correct `unpack` in the blueprint, or get the file that it names",
    )


def _tar_members(stream: IO[bytes], what: str, chunks: _Chunks) -> Iterator[Member]:
    """Yield the files of a tar, compressed (gz, xz, bz2) or not; its members stand one behind the other."""
    with _tar_in(stream) as archive:
        count = 0
        while (member := archive.next()) is not None:
            # Python would keep each of them; folders count too, which make no file.
            archive.members.clear()
            count += 1
            if count > MAX_FILES:
                raise refused(what, f"it has more than {MAX_FILES} members")
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise refused(what, f"{member.name!a} is neither a regular file nor a folder")
            content = archive.extractfile(member)
            assert content is not None  # noqa: S101 - it is a regular file
            yield Member(member.name.removeprefix("./"), chunks(content))


def _tar_in(stream: IO[bytes]) -> BoundedTar:
    try:
        return BoundedTar.open(fileobj=stream, mode="r|*")
    except TypeError as error:
        # Python asks for the number of a byte where the header of gzip has ended.
        raise tarfile.ReadError("its gzip header is cut short") from error


def _zip_members(path: Path, what: str, chunks: _Chunks) -> Iterator[Member]:
    with open_zip(path, MAX_FILES) as archive:
        for entry in archive.infolist():
            kind = entry.external_attr >> 28
            if entry.filename.endswith("/"):
                continue
            # Zero where the archive was made on a system without Unix modes.
            if entry.create_system == 3 and kind not in (0, 8):
                raise refused(what, f"{entry.filename!a} is neither a regular file nor a folder")
            with archive.open(entry) as content:
                yield Member(entry.filename, chunks(content))
