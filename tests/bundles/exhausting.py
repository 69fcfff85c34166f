"""Bundles made to cost more than they are worth, and things that are no bundle's folder."""

import io
import os
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from launcher.spec import bundle as names
from tests.bundles.case import Case, Forge, Row, rows
from tests.bundles.forging import RESULT, edit, payload, sealed, then, write

_MIB = 1 << 20
_ADDED = "attestations/reproduction-{}.sigstore.json"


def cases() -> Iterator[Case]:
    """Yield the bundles that exhaust, and the archives."""
    yield from rows("exhaustion", "files", _SIZES)
    yield from rows("exhaustion", "files", _HEAVY_SIZES, heavy=True)
    yield from rows("exhaustion", "checksums", _SUMS, heavy=True)
    yield from rows("exhaustion", "signature:result", _ENVELOPES, heavy=True)
    yield from rows("exhaustion", "contents", _CONTENTS, heavy=True)
    yield from rows("exhaustion", "", _ACCEPTED, heavy=True, exit_code=0)
    yield from rows("archives", "no-such-bundle", _ARCHIVES, exit_code=2)
    yield from rows("archives", "files", _PACKED)


def _sparse(name: str, size: int) -> Forge:
    """Return a forgery that makes a file of zeros which takes no room on disk."""

    def forge(bundle: Path) -> None:
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        with (bundle / name).open("wb") as stream:
            stream.truncate(size)

    return forge


def made(name: str, data: Callable[[], bytes]) -> Forge:
    """Return a forgery that writes what is only made then: nobody holds it in memory before."""
    return lambda bundle: (bundle / name).write_bytes(data())


def _deep(bundle: Path) -> None:
    """Make 200 folders in each other, far deeper than a bundle goes."""
    opened = os.open(bundle / "artifacts", os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(200):
        os.mkdir("d", dir_fd=opened)
        inner = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=opened)
        os.close(opened)
        opened = inner
    os.close(opened)


def _wide(bundle: Path) -> None:
    """Make more files than a bundle may have."""
    folder = os.open(bundle / "artifacts", os.O_RDONLY | os.O_DIRECTORY)
    for number in range(names.MAX_FILES + 1):
        os.close(os.open(f"f{number}", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.close(folder)


def _swollen(open_with: bytes, value: bytes, count: int, end: bytes) -> bytes:
    return open_with + (value + b",") * (count - 1) + value + end


_SIZES: dict[str, Row] = {
    "sums-beyond-limit": ("made SHA256SUMS 1 GiB of zeros", _sparse(names.SUMS, 1 << 30), "the limit is"),
    "attestation-beyond-limit": (
        "made an attestation 1 GiB of zeros",
        _sparse(RESULT, 1 << 30),
        "the attestations are too large",
    ),
    "proof-beyond-limit": (
        "made the ledger's proof 1 GiB of zeros",
        _sparse(names.LEDGER_PROOF, 1 << 30),
        "the attestations are too large",
    ),
    "sparse-file": (
        "added a file of 1 TiB that takes no room",
        _sparse("artifacts/big", 1 << 40),
        "have more than",
    ),
    "sparse-files": (
        "added 64 files of 4 GiB that take no room",
        then(*(_sparse(f"artifacts/f{number}", 4 << 30) for number in range(64))),
        "have more than",
    ),
    "largest-size": (
        "added a file of the largest size there is",
        _sparse("artifacts/big", (1 << 43) - 1),
        "have more than",
    ),
    "too-many-attestations": (
        "attached 64 more attestations",
        then(*(write(_ADDED.format(number), b"{}\n") for number in range(64))),
        "more than 64",
    ),
    "deep-folders": ("made 200 folders in each other", _deep, "which it may not"),
    "many-empty-folders": (
        "added a thousand empty folders",
        then(
            *(
                lambda bundle, number=number: (bundle / f"artifacts/f{number}").mkdir()
                for number in range(1000)
            )
        ),
        "is empty",
    ),
}
_HEAVY_SIZES: dict[str, Row] = {
    "result-of-too-many-values": (
        "signed a result of three million values",
        sealed(made(names.RESULT, lambda: _swollen(b"[", b"1", 3_000_000, b"]\n"))),
        "holds more than 500000 values",
    ),
    "many-large-attestations": (
        "attached 60 files of 8 MiB, each called a reproduction",
        then(*(_sparse(_ADDED.format(number), 8 * _MIB) for number in range(60))),
        "the attestations are too large",
    ),
    "too-many-files": ("added 100,001 empty files", _wide, "more than 100000 files"),
}


def _lines(line: bytes, size: int) -> bytes:
    return line * (size // len(line))


def _numbered_sums(size: int) -> bytes:
    """Return as many lines of SHA256SUMS as fit, each of another file."""
    digest = b"0" * 64
    return b"".join(b"%b  artifacts/%07d\n" % (digest, number) for number in range(size // 84))


_SUMS: dict[str, Row] = {
    "sums-of-64-mib": (
        "listed 800,000 files that are not there",
        made(names.SUMS, lambda: _numbered_sums(64 * _MIB)),
        "lists more than 100000 files",
    ),
    "sums-of-one-line": (
        "made SHA256SUMS one line of 64 MiB",
        made(names.SUMS, lambda: b"a" * (64 * _MIB)),
        "is not `SHA-256  path`",
    ),
    "sums-of-empty-lines": (
        "made SHA256SUMS 64 Mi empty lines",
        made(names.SUMS, lambda: b"\n" * (64 * _MIB)),
        "is not `SHA-256  path`",
    ),
}
_ENVELOPES: dict[str, Row] = {
    "envelope-of-lists": (
        "made an attestation 8 MiB of empty lists",
        made(RESULT, lambda: b"[" + _lines(b"[],", 8 * _MIB - 4) + b"[]]"),
        "holds more than",
    ),
    "envelope-of-objects": (
        "made an attestation 8 MiB of empty objects",
        made(RESULT, lambda: b"[" + _lines(b"{},", 8 * _MIB - 4) + b"{}]"),
        "holds more than",
    ),
    "envelope-of-keys": (
        "made an attestation of a million keys",
        made(RESULT, lambda: b"{" + b",".join(b'"%x":0' % number for number in range(800_000)) + b"}\n"),
        "holds more than",
    ),
    "envelope-of-numbers": (
        "made an attestation 8 MiB of numbers",
        made(RESULT, lambda: b"[" + _lines(b"1,", 8 * _MIB - 4) + b"1]"),
        "holds more than",
    ),
    "envelope-of-one-string": (
        "made an attestation one string of 8 MiB without an end",
        made(RESULT, lambda: b'"' + _lines(b"\\u0041", 8 * _MIB - 8)),
        "malformed",
    ),
    "envelope-of-digits": (
        "made an attestation one number of 8 MiB",
        made(RESULT, lambda: b"9" * (8 * _MIB - 8)),
        "malformed",
    ),
    "payload-of-lists": (
        "signed 6 MiB of empty lists",
        payload(RESULT, lambda _: b"[" + _lines(b"[],", 5 * _MIB) + b"[]]"),
        "holds more than",
    ),
    "payload-of-keys": (
        "signed a predicate of half a million keys",
        payload(
            RESULT,
            lambda _: (
                b'{"predicate":{' + b",".join(b'"%06x":[]' % number for number in range(400_000)) + b"}}"
            ),
        ),
        "holds more than",
    ),
}


_CONTENTS: dict[str, Row] = {
    "result-of-lists": (
        "signed a result of 240,000 empty lists",
        sealed(made(names.RESULT, lambda: _swollen(b"[", b"[]", 240_000, b"]\n"))),
        "",
    ),
    "lock-of-lists": (
        "signed a lock of 240,000 empty objects",
        sealed(made(names.LOCK, lambda: _swollen(b"[", b"{}", 240_000, b"]"))),
        "",
    ),
    "samples-of-one-line": (
        "signed samples of one line of 300 MiB",
        sealed(_sparse(names.SAMPLES, 300 * _MIB)),
        "",
    ),
    "samples-of-empty-lines": (
        "signed samples of 64 Mi empty lines",
        sealed(made(names.SAMPLES, lambda: b"\n" * (64 * _MIB))),
        "",
    ),
    "sample-of-lists": (
        "signed a sample with 16 MiB of empty lists",
        sealed(
            made(
                names.SAMPLES,
                lambda: _swollen(
                    b'{"id":"a","prediction":[', b"[]", 5_000_000, b'],"replicate":0,"seed":3}\n'
                ),
            )
        ),
        "",
    ),
    "blueprint-of-tables": (
        "signed a lock with a blueprint of 100,000 tables",
        sealed(
            edit(
                names.LOCK,
                lambda it: it.replace(b'"blueprint":"', b'"blueprint":"' + _lines(b"[[a]]\\n", 600_000), 1),
            )
        ),
        "",
    ),
}
_ACCEPTED: dict[str, Row] = {
    "environment-of-lists": (
        "signed a fact of 240,000 empty lists",
        sealed(
            edit(
                names.ENVIRONMENT,
                lambda it: it.replace(
                    b'{"facts":[',
                    b'{"facts":['
                    + _swollen(b'{"name":"a","source":"host","value":[', b"[]", 240_000, b"]},"),
                    1,
                ),
            )
        ),
        "",
    ),
}


def _archive(data: bytes) -> Forge:
    """Return a forgery that puts an archive in the place of the whole folder."""

    def forge(bundle: Path) -> None:
        bundle.rename(bundle.with_name("unpacked"))
        bundle.write_bytes(data)

    return forge


def _tar(mode: str, name: str) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode=mode) as archive:
        member = tarfile.TarInfo(name)
        member.size = 2
        archive.addfile(member, io.BytesIO(b"{}"))
    return held.getvalue()


def _zip(name: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"{}")
    return held.getvalue()


_ARCHIVES: dict[str, Row] = {
    "tar": ("gave a tar for a bundle", _archive(_tar("w:", "lock.json")), "it is a file"),
    "tar-with-a-path-outside": (
        "gave a tar that unpacks elsewhere",
        _archive(_tar("w:", "../../lock.json")),
        "it is a file",
    ),
    "tar-bz2": ("gave a compressed tar", _archive(_tar("w:bz2", "lock.json")), "it is a file"),
    "zip": ("gave a zip for a bundle", _archive(_zip("lock.json")), "it is a file"),
    "zip-with-a-path-outside": (
        "gave a zip that unpacks elsewhere",
        _archive(_zip("/etc/lock.json")),
        "it is a file",
    ),
    "empty-file": ("gave an empty file for a bundle", _archive(b""), "it is a file"),
}
_PACKED: dict[str, Row] = {
    "tar-within": (
        "put the bundle as a tar beside its files",
        write("bundle.tar", _tar("w:", "lock.json")),
        "which it may not",
    ),
    "zip-within": (
        "put the bundle as a zip beside its files",
        write("bundle.zip", _zip("lock.json")),
        "which it may not",
    ),
}
