"""Read what a shared library says of itself: its SONAME, and the version texts that BLAS libraries carry.

https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html; 64-bit little-endian files only, never run.
"""

import re
import struct
from collections.abc import Iterator
from typing import Final

_HEADER: Final = struct.Struct("<16xHHIQQQIHHHHHH")
_SEGMENT: Final = struct.Struct("<IIQQQQQQ")
_ENTRY: Final = struct.Struct("<qQ")
_LOAD, _DYNAMIC = 1, 2
_NULL, _STRINGS, _SONAME = 0, 5, 14
_MOST_ENTRIES: Final = 4096
_LONGEST: Final = 200
_STATED: Final = (
    (b"OpenBLAS ", re.compile(rb"OpenBLAS \d+\.\d+[ -~]{0,120}")),
    (b"Math Kernel Library Version", re.compile(rb"Math Kernel Library Version \d[ -~]{0,120}")),
    (b"BLIS ", re.compile(rb"BLIS \d+\.\d+[ -~]{0,60}")),
)
_MOST_TRIES: Final = 64


def library_facts(data: bytes) -> dict[str, str]:
    """Return `soname` and `states`, each where the library has it; a file of another kind has neither."""
    found = {}
    if soname := _soname(data):
        found["soname"] = soname
    if stated := _stated(data):
        found["states"] = stated
    return found


def _stated(data: bytes) -> str:
    """Return the first version text; looking for its first word beforehand is many times faster."""
    for word, pattern in _STATED:
        at = data.find(word)
        for _ in range(_MOST_TRIES):
            if at < 0:
                break
            if found := pattern.match(data, at):
                return found[0].decode("ascii").strip()
            at = data.find(word, at + 1)
    return ""


def _soname(data: bytes) -> str:
    try:
        return _read_soname(data)
    except (struct.error, ValueError, UnicodeDecodeError):
        return ""


def _read_soname(data: bytes) -> str:
    if data[:6] != b"\x7fELF\x02\x01":
        return ""
    segments = list(_segments(data))
    entries = next((_entries(data, segment) for segment in segments if segment[0] == _DYNAMIC), {})
    if _SONAME not in entries or _STRINGS not in entries:
        return ""
    address = entries[_STRINGS] + entries[_SONAME]
    for kind, offset, start, size in segments:
        if kind == _LOAD and start <= address < start + size:
            begin = offset + address - start
            end = data.index(b"\0", begin, begin + _LONGEST)
            return data[begin:end].decode("ascii")
    return ""


def _segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield type, offset, address and size in the file of each program header."""
    _, _, _, _, table, _, _, _, size, count, *_ = _HEADER.unpack_from(data)
    for at in range(count):
        kind, _, offset, address, _, length, _, _ = _SEGMENT.unpack_from(data, table + at * size)
        yield kind, offset, address, length


def _entries(data: bytes, segment: tuple[int, int, int, int]) -> dict[int, int]:
    _, offset, _, size = segment
    found: dict[int, int] = {}
    for at in range(min(size // _ENTRY.size, _MOST_ENTRIES)):
        tag, value = _ENTRY.unpack_from(data, offset + at * _ENTRY.size)
        if tag == _NULL:
            break
        found.setdefault(tag, value)
    return found
