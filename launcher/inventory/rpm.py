"""Read RPM's database: the sqlite and ndb forms; Berkeley DB, of rpm before 4.16, is not read and said so.

Header blobs: https://rpm-software-management.github.io/rpm/manual/format_header.html; ndb: lib/backend/ndb in
rpm's sources. Whatever is out of bounds or of another type is refused.
"""

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from launcher.environment.packages import Package
from launcher.errors import MalformedError
from launcher.inventory.texts import tidy

if TYPE_CHECKING:
    import sqlite3

_NAME, _VERSION, _RELEASE, _EPOCH = 1000, 1001, 1002, 1003
_VENDOR, _LICENCE, _ARCH, _SOURCE = 1011, 1014, 1022, 1044
_SHA256_HEADER: Final = 273
_INT32, _STRING, _ARRAY, _I18N = 4, 6, 8, 9
_INDEX: Final = struct.Struct(">iiii")
_MOST_ENTRIES: Final = 4096
_WANTED: Final = frozenset(
    {_NAME, _VERSION, _RELEASE, _EPOCH, _VENDOR, _LICENCE, _ARCH, _SOURCE, _SHA256_HEADER}
)
_LONGEST_TEXT: Final = 8192
_MOST_PACKAGES: Final = 50_000
# Thousands of steps of sqlite's machine: a database of 5,000 packages takes fewer than a hundred.
_MOST_STEPS: Final = 20_000
_NDB_PAGE: Final = 4096
_NDB_BLOCK: Final = 16


def rpm_packages(data: bytes, path: str) -> Iterator[Package]:
    """Yield what the database says is installed; raises `MalformedError` where it cannot be read."""
    if data[:16] == b"SQLite format 3\0":
        blobs = _sqlite(data)
    elif data[:4] == b"RpmP":
        blobs = _ndb(data)
    else:
        raise _unreadable("it is no sqlite or ndb database; Berkeley DB is not read")
    for blob in blobs:
        fields = _header(blob)
        if fields.get(_NAME) and fields[_NAME] != "gpg-pubkey":
            yield _package(fields, path)


def _package(fields: dict[int, Any], path: str) -> Package:
    qualifiers = {"arch": tidy(fields.get(_ARCH)), "epoch": str(fields.get(_EPOCH) or "")}
    named = (("source-package", _SOURCE), ("vendor", _VENDOR))
    digest = tidy(fields.get(_SHA256_HEADER))
    origin = [(word, tidy(fields[tag])) for word, tag in named if fields.get(tag)]
    return Package(
        "rpm",
        tidy(fields[_NAME]),
        f"{tidy(fields.get(_VERSION))}-{tidy(fields.get(_RELEASE))}",
        path,
        qualifiers=tuple((key, value) for key, value in qualifiers.items() if value),
        licences=(licence,) if (licence := tidy(fields.get(_LICENCE))) else (),
        origin=(*origin, *((("header-sha256", digest),) if digest else ())),
    )


def _sqlite(data: bytes) -> Iterator[bytes]:
    import sqlite3

    # A database in memory has no write-ahead log beside it; as rpm leaves it, the log is empty.
    plain = data[:18] + b"\x01\x01" + data[20:]
    connection = sqlite3.connect(":memory:")
    steps = iter(range(_MOST_STEPS))
    try:
        connection.deserialize(plain)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, len(data))
        connection.set_progress_handler(lambda: next(steps, None) is None, 1000)
        _refuse_computed(connection)
        for count, (blob,) in enumerate(connection.execute("SELECT blob FROM Packages")):
            if count >= _MOST_PACKAGES or not isinstance(blob, bytes):
                raise _unreadable("it has too many packages, or rows of another kind")
            yield blob
    except (sqlite3.Error, OverflowError, MemoryError) as error:
        raise _unreadable("sqlite cannot read it") from error
    finally:
        connection.close()


def _refuse_computed(connection: "sqlite3.Connection") -> None:
    """Refuse what is computed when it is read, and may have no end: a view, a generated column."""
    named = "SELECT type, sql FROM sqlite_master WHERE lower(name) = 'packages'"
    kinds = [(kind, str(text)[:13].upper()) for kind, text in connection.execute(named)]
    columns = connection.execute("PRAGMA table_xinfo(Packages)").fetchall()
    if kinds != [("table", "CREATE TABLE ")] or any(column[6] for column in columns):
        raise _unreadable("its list of packages is computed")


def _ndb(data: bytes) -> Iterator[bytes]:
    try:
        _, version, _, pages = struct.unpack_from("<4sIII", data)
        if version != 0:
            raise _unreadable("it is an ndb database of another version")
        found, left = 0, len(data)
        for at in range(32, min(pages * _NDB_PAGE, len(data)), 16):
            magic, number, block, _ = struct.unpack_from("<4sIII", data, at)
            if magic != b"Slot" or number == 0:
                continue
            start = block * _NDB_BLOCK
            magic, same, _, size = struct.unpack_from("<4sIII", data, start)
            if magic != b"BlbS" or same != number or start + 16 + size > len(data):
                raise _unreadable("a record is not where its slot says")
            found, left = found + 1, left - size
            if found > _MOST_PACKAGES or left < 0:
                raise _unreadable("it has too many packages, or several in one place")
            yield data[start + 16 : start + 16 + size]
    except struct.error as error:
        raise _unreadable("it ends too early") from error


def _header(blob: bytes) -> dict[int, Any]:
    """Return the first value of each text and 32-bit integer in a header."""
    try:
        count, size = struct.unpack_from(">II", blob)
        store = blob[8 + 16 * count :]
        if count > _MOST_ENTRIES or size > len(store):
            raise _unreadable("a header is longer than its record")
        found: dict[int, Any] = {}
        for at in range(count):
            tag, kind, offset, _ = _INDEX.unpack_from(blob, 8 + 16 * at)
            if offset < 0 or tag not in _WANTED:
                continue
            if kind in (_STRING, _ARRAY, _I18N):
                found.setdefault(tag, _text(store, offset))
            elif kind == _INT32:
                found.setdefault(tag, struct.unpack_from(">I", store, offset)[0])
    except (struct.error, ValueError) as error:
        raise _unreadable("a header is malformed") from error
    return found


def _text(store: bytes, offset: int) -> str:
    end = store.index(b"\0", offset, offset + _LONGEST_TEXT)
    return store[offset:end].decode(errors="replace")


def _unreadable(reason: str) -> MalformedError:
    return MalformedError(f"RPM's database cannot be read: {reason}", code="bad-package-database")
