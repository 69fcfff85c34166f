"""Inputs that are folders or archives: pinned as fetched, mounted as files."""

import bz2
import gzip
import io
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from launcher.errors import InfrastructureError
from launcher.sources.inputs import Fetched, FetchSettings, fetch_input, identify
from launcher.spec.blueprint import Input, Unpack
from launcher.store.cache import Cache
from launcher.store.trees import read_tree

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

FILES = {"config.json": b"{}", "weights/model.bin": bytes(range(256)) * 100}


def fetch(
    tmp_path: Path, uri: str, digest: str, *, unpack: Unpack = "none", offline: bool = False
) -> Fetched:
    settings = FetchSettings(tmp_path, offline=offline)
    return fetch_input(
        Input("data", "items", uri, digest, unpack=unpack), Cache(tmp_path / "cache"), settings
    )


def make_folder(root: Path, files: Mapping[str, bytes] = FILES) -> str:
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return read_tree(root).sha256


def files_of(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def tar_of(files: Mapping[str, bytes] = FILES, *more: tarfile.TarInfo, prefix: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(prefix + path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for member in more:
            archive.addfile(member)
    return stream.getvalue()


def zip_of(files: Mapping[str, bytes] = FILES, mode: int = 0o100644) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("weights/"), b"")
        for path, data in files.items():
            entry = zipfile.ZipInfo(path)
            entry.create_system, entry.external_attr = 3, mode << 16
            archive.writestr(entry, data)
    return stream.getvalue()


def broken_lzma() -> bytes:
    """Return a zip whose only member is compressed by LZMA, and changed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a", bytes(range(256)) * 4)
    # Behind the local header stand the name, then LZMA's own header of nine bytes.
    data = bytearray(stream.getvalue())
    data[30 + 1 + 9 + 8] ^= 0xFF
    return bytes(data)


def put(tmp_path: Path, data: bytes) -> str:
    (tmp_path / "archive").write_bytes(data)
    return sha256(data).hexdigest()


def test_a_folder_is_pinned_by_its_tree_digest_and_kept(tmp_path: Path) -> None:
    digest = make_folder(tmp_path / "model")
    found = fetch(tmp_path, "model", digest)
    assert (found.sha256, found.size, found.tree) == (digest, sum(map(len, FILES.values())), True)
    assert files_of(found.path) == FILES
    (tmp_path / "model" / "config.json").write_bytes(b"other")
    assert fetch(tmp_path, "model", digest, offline=True) == found


def test_a_folder_with_other_files_than_its_digest_says_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path / "model")
    with pytest.raises(InfrastructureError) as caught:
        fetch(tmp_path, "model", "0" * 64)
    assert caught.value.code == "input-digest-mismatch"


ARCHIVES: Mapping[str, tuple[Unpack, bytes]] = {
    "tar": ("tar", tar_of()),
    "tar with ./": ("tar", tar_of(prefix="./")),
    "tar.gz": ("tar", gzip.compress(tar_of())),
    "tar.bz2": ("tar", bz2.compress(tar_of())),
    "zip": ("zip", zip_of()),
    "zip without modes": ("zip", zip_of(mode=0)),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_is_pinned_as_fetched_and_mounted_unpacked(tmp_path: Path, name: str) -> None:
    unpack, data = ARCHIVES[name]
    digest = put(tmp_path, data)
    found = fetch(tmp_path, "archive", digest, unpack=unpack)
    assert (found.sha256, found.size, found.tree) == (digest, len(data), False)
    assert files_of(found.path) == FILES
    assert fetch(tmp_path, "archive", digest, unpack=unpack) == found


@pytest.mark.parametrize(("unpack", "compress"), [("gz", gzip.compress), ("zst", zstd.compress)])
def test_a_compressed_file_is_mounted_as_a_file(tmp_path: Path, unpack: Unpack, compress: object) -> None:
    plain = b"line\n" * 100_000
    data = compress(plain)  # type: ignore[operator]
    found = fetch(tmp_path, "archive", put(tmp_path, data), unpack=unpack)
    assert (found.path.read_bytes(), found.size) == (plain, len(data))


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def device(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.CHRTYPE
    return member


def sparse(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.GNUTYPE_SPARSE
    return member


def large_header(kind: bytes) -> bytes:
    """Return a tar whose first header asks for 4 GiB of memory."""
    member = tarfile.TarInfo("header")
    member.type, member.size = kind, 4 << 30
    return member.tobuf(tarfile.GNU_FORMAT) + b"\0" * (1 << 16)


def header_in_parts(kind: bytes) -> bytes:
    """Return a tar with one header for a file in more parts than Python can follow."""
    return pax(b"11 a=bbbbb\n", kind) * 3000 + tar_of({"a": b""})


def pax(records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    header = tarfile.TarInfo("header")
    header.type, header.size = kind, len(records)
    return header.tobuf(tarfile.USTAR_FORMAT) + records + b"\0" * (-len(records) % 512)


def endless_holes() -> bytes:
    """Return a tar of a file whose map of holes does not end."""
    records = b"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n"
    file = tarfile.TarInfo("holes")
    file.size = 1 << 20
    return pax(records) + file.tobuf() + b"99999999999\n" + b"1\n" * (1 << 19) + bytes(1 << 12)


def size_below_zero() -> bytes:
    return pax(b"14 size=-1024\n") + tar_of({"a": b""})


HOSTILE: Mapping[str, tuple[Unpack, bytes]] = {
    "a link": ("tar", tar_of({}, link("a", "/etc/passwd"))),
    "a hard link": ("tar", tar_of(FILES, link("a", "config.json", tarfile.LNKTYPE))),
    "a device": ("tar", tar_of({}, device("null"))),
    "a file with holes": ("tar", tar_of({}, sparse("holes"))),
    "a long header": ("tar", large_header(tarfile.XHDTYPE)),
    "a header in many parts": ("tar", header_in_parts(tarfile.XHDTYPE)),
    "a header for all in many parts": ("tar", header_in_parts(tarfile.XGLTYPE)),
    "endless holes": ("tar", endless_holes()),
    "a size below zero": ("tar", size_below_zero()),
    "a long name": ("tar", large_header(tarfile.GNUTYPE_LONGNAME)),
    "an absolute name": ("tar", tar_of({"/tmp/escaped": b""})),
    "a name that leads out": ("tar", tar_of({"../escaped": b""})),
    "a zip without a name": ("zip", zip_of({"": b""})),
    "a zip that leads out": ("zip", zip_of({"../escaped": b""})),
    "a link in a zip": ("zip", zip_of({"a": b"/etc/passwd"}, mode=0o120777)),
    "no tar": ("tar", b"not a tar" * 100),
    "half a tar": ("tar", tar_of()[:700]),
    "half a tar.gz": ("tar", gzip.compress(tar_of())[:40]),
    "half a header of gzip": ("tar", b"\x1f\x8b\x08\x04" + bytes(7)),
    "no zip": ("zip", b"PK nothing"),
    "a zip of broken LZMA": ("zip", broken_lzma()),
    "no gz": ("gz", b"nothing"),
    "half a gz": ("gz", gzip.compress(FILES["weights/model.bin"])[:-9]),
    "no zst": ("zst", b"nothing"),
    "half a zst": ("zst", zstd.compress(FILES["weights/model.bin"])[:-9]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_or_broken_archive_is_refused_and_nothing_of_it_stays(tmp_path: Path, name: str) -> None:
    unpack, data = HOSTILE[name]
    digest = put(tmp_path, data)
    with pytest.raises(InfrastructureError) as caught:
        fetch(tmp_path, "archive", digest, unpack=unpack)
    assert caught.value.code in ("input-tree-refused", "input-not-unpacked")
    assert ("a header of" in str(caught.value.context)) == name.startswith(("a long", "a header"))
    assert not list((tmp_path / "cache" / "trees").iterdir())


def test_the_folders_of_a_tar_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.sources.unpack.MAX_FILES", 10)
    folder = tarfile.TarInfo("folder")
    folder.type = tarfile.DIRTYPE
    digest = put(tmp_path, gzip.compress(tar_of({}, *[folder] * 11)))
    with pytest.raises(InfrastructureError) as caught:
        fetch(tmp_path, "archive", digest, unpack="tar")
    assert "more than 10 members" in str(caught.value.context)


def test_the_members_of_a_zip_are_counted_before_they_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.sources.unpack.MAX_FILES", 10)
    digest = put(tmp_path, zip_of({f"{number}/": b"" for number in range(11)}))
    with pytest.raises(InfrastructureError) as caught:
        fetch(tmp_path, "archive", digest, unpack="zip")
    assert "more than 10 members" in str(caught.value.context)


def test_what_a_path_names_now_is_identified(tmp_path: Path) -> None:
    digest, cache = make_folder(tmp_path / "model"), Cache(tmp_path / "cache")
    settings = FetchSettings(tmp_path)
    assert identify("it", "model", cache, settings).sha256 == digest
    file = identify("it", "model/config.json", cache, settings)
    assert (file.sha256, file.size, file.tree) == (sha256(b"{}").hexdigest(), 2, False)
    with pytest.raises(InfrastructureError, match="not to be had"):
        identify("it", "nowhere", cache, settings)
