"""Read an Inspect `.eval` file, a zip whose members are mostly Zstandard, within bounds.

https://inspect.aisi.org.uk/eval-logs.html; the members are compressed with method 93 of the zip format, which
Python's `zipfile` knows from 3.14 on, and one member may be several Zstandard frames.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, Final

from msgspec import Struct

from launcher.archives.zips import open_zip
from launcher.archives.zstandard import zstandard
from launcher.harness.files import read_object
from launcher.harness.output import bad_log, shown

_STORED, _DEFLATED, _ZSTANDARD = 0, 8, 93
_LOCAL_HEADER: Final = 30
_FAULTS: Final = (zipfile.BadZipFile, NotImplementedError, ValueError, OverflowError, EOFError, struct.error)


class ArchiveLimits(Struct, frozen=True):
    """How much one `.eval` file may hold: members, bytes of one and of all that are read, unpacked."""

    members: int = 200_000
    member: int = 128 << 20
    total: int = 4 << 30


class Archive:
    """One `.eval` file; nothing is unpacked to disk."""

    def __init__(self, path: Path, limits: ArchiveLimits = ArchiveLimits()) -> None:
        self._path = path
        self._limits = limits
        self._left = limits.total
        self._members = self._listed()

    @property
    def names(self) -> list[str]:
        """Return the members' names, in the order of the file."""
        return list(self._members)

    def read(self, name: str) -> dict[str, Any]:
        """Return the JSON object in a member."""
        what = f"`{shown(name)}` in `{shown(self._path.name)}`"
        with self._path.open("rb") as stream:
            data = self._unpacked(stream, self._members[name], what)
        return read_object(data, what)

    def objects(self, prefix: str) -> Iterator[dict[str, Any]]:
        """Yield the JSON objects whose names start with `prefix`, one at a time."""
        for name in self._members:
            if name.startswith(prefix) and name.endswith(".json"):
                yield self.read(name)

    def _listed(self) -> dict[str, zipfile.ZipInfo]:
        name = shown(self._path.name)
        try:
            with open_zip(self._path, self._limits.members) as archive:
                entries = archive.infolist()
        except _FAULTS as error:
            raise bad_log(f"`{name}` is not a whole zip file: {shown(str(error))}") from error
        members: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            if entry.filename in members:
                raise bad_log(f"`{name}` has two members named `{shown(entry.filename)}`")
            members[entry.filename] = entry
        return members

    def _unpacked(self, stream: BinaryIO, entry: zipfile.ZipInfo, what: str) -> bytes:
        if entry.flag_bits & 1:
            raise bad_log(f"{what} is encrypted")
        packed = self._packed(stream, entry, what)
        limit = min(self._limits.member, self._left)
        try:
            data = _inflated(packed, entry.compress_type, limit + 1)
        except (*_FAULTS, zlib.error, zstandard().ZstdError) as error:
            raise bad_log(f"{what} cannot be unpacked: {shown(str(error))}") from error
        if len(data) > limit:
            raise bad_log(f"{what} unpacks to more than {limit} bytes")
        self._left -= len(data)
        if zlib.crc32(data) != entry.CRC:
            raise bad_log(f"{what} is damaged: its checksum differs")
        return data

    def _packed(self, stream: BinaryIO, entry: zipfile.ZipInfo, what: str) -> bytes:
        """Return the member's packed bytes, found by its local header."""
        if not 0 <= entry.header_offset < self._path.stat().st_size:
            raise bad_log(f"{what} is not where the zip file says")
        stream.seek(entry.header_offset)
        header = stream.read(_LOCAL_HEADER)
        if len(header) < _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
            raise bad_log(f"{what} is not where the zip file says")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        stream.seek(entry.header_offset + _LOCAL_HEADER + name_length + extra_length)
        return stream.read(min(entry.compress_size, self._path.stat().st_size))


def _inflated(packed: bytes, method: int, limit: int) -> bytes:
    if method == _STORED:
        return packed[:limit]
    if method == _DEFLATED:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, limit)
    if method == _ZSTANDARD:
        with zstandard().ZstdFile(BytesIO(packed)) as stream:
            return bytes(stream.read(limit))
    raise ValueError(f"its compression method {method} is not known")
