"""Open zip files whose directory would otherwise be held in memory, however long it is."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_ENTRY: Final = b"PK\x01\x02"
_BYTES_AN_ENTRY: Final = 512


class _BoundedFile(io.BufferedReader):
    """A file that gives no directory of more than `most` members."""

    def __init__(self, path: Path, most: int) -> None:
        super().__init__(io.FileIO(path))
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > max(self._most * _BYTES_AN_ENTRY, 1 << 20):
            raise zipfile.BadZipFile("its directory is too long")
        data = super().read(size)
        # Each entry starts with these bytes; where they stand elsewhere too, it is only stricter.
        if len(data) > self._most * len(_ENTRY) and data.count(_ENTRY) > self._most:
            raise zipfile.BadZipFile(f"it has more than {self._most} members")
        return data


@contextmanager
def open_zip(path: Path, most: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip file of at most so many members; raises `BadZipFile` and what else `zipfile` does."""
    with _BoundedFile(path, most) as stream, zipfile.ZipFile(stream) as archive:
        yield archive
