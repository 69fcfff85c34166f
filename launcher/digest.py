"""Digests: the one way evalctl names bytes (`sha256:<64 lowercase hex>`)."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CHUNK = 1 << 20


def is_sha256_hex(text: str) -> bool:
    """Say whether `text` is 64 lowercase hexadecimal digits."""
    return _HEX.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Say whether `text` is `sha256:` and 64 lowercase hexadecimal digits."""
    return text.startswith("sha256:") and is_sha256_hex(text[7:])


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 lowercase hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of(data: bytes) -> str:
    """Return `sha256:<hex>` of `data`."""
    return "sha256:" + sha256_hex(data)


def hash_stream(stream: BinaryIO) -> tuple[str, int]:
    """Read `stream` to its end; return its SHA-256 in hex and its size in bytes."""
    state, size = hashlib.sha256(), 0
    while chunk := stream.read(_CHUNK):
        state.update(chunk)
        size += len(chunk)
    return state.hexdigest(), size


def hash_file(path: Path) -> tuple[str, int]:
    """Return the SHA-256 in hex and the size in bytes of the file at `path`."""
    with path.open("rb", buffering=0) as stream:
        return hash_stream(stream)


def sums_text(entries: Iterable[tuple[str, str]]) -> bytes:
    """Return the bytes `sha256sum -c` reads for `(path, hex)` pairs, sorted by the path's UTF-8 bytes."""
    ordered = sorted((path.encode(), sha256) for path, sha256 in entries)
    return b"".join(sha256.encode() + b"  " + path + b"\n" for path, sha256 in ordered)
