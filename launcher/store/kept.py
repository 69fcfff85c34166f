"""A folder of files with a record beside them: whole, or found out to be not."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from launcher.canonical import parse_json
from launcher.digest import hash_file, sha256_hex
from launcher.errors import EvalctlError
from launcher.store.closing import RECORD
from launcher.store.files import sync_folder, write_atomically

_MOST_BYTES = 16 << 20


def write_record(folder: Path, facts: Mapping[str, Any], *, durable: bool) -> None:
    """Put a record of `facts` and of every file below `folder` into it, by a rename.

    Unless `durable`, a power cut may take some of the bytes, which `read_record` finds out. Raises
    `InfrastructureError` where the disk is full.
    """
    files = {path: _digest(folder / path, durable=durable) for path in _files(folder)}
    if durable:
        for place, _, _ in os.walk(folder):
            sync_folder(Path(place))
    data = msgspec.json.encode({"facts": facts, "files": files})
    write_atomically(folder / RECORD, sha256_hex(data).encode() + b"\n" + data, durable=durable)


def read_record(folder: Path) -> Any:
    """Return the facts of the record in `folder`, None unless it and every file are as they were written."""
    try:
        if (folder / RECORD).stat().st_size > _MOST_BYTES:
            return None
        digest, _, data = (folder / RECORD).read_bytes().partition(b"\n")
        if sha256_hex(data).encode() != digest:
            return None
        record = parse_json(data, what="the record")
        same = record["files"] == {path: hash_file(folder / path)[0] for path in _files(folder)}
    except (OSError, EvalctlError, KeyError, TypeError):
        return None
    return record["facts"] if same else None


def _files(folder: Path) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        for name in names:
            path = (Path(place) / name).relative_to(folder).as_posix()
            if path != RECORD:
                yield path


def _digest(path: Path, *, durable: bool) -> str:
    if durable:
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    return hash_file(path)[0]
