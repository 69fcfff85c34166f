"""A log's folder, as anybody may have been given it: bounded reads of its checkpoint, tiles and entries."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct

from launcher.errors import CheckFailedError
from launcher.ledger.checkpoint import Checkpoint, read_checkpoint
from launcher.ledger.tiles import (
    ENTRIES,
    MAX_BUNDLE_BYTES,
    WIDTH,
    Hashes,
    Tile,
    tiles_of,
    unpack_entries,
)
from launcher.ledger.tree import HASH_BYTES
from launcher.trust.notes import MAX_NOTE_BYTES

CHECKPOINT: Final = "checkpoint"
# The newest checkpoint that somebody else has signed too; entries may have come after it.
WITNESSED: Final = "witnessed"


class LogFolder(Struct, frozen=True):
    """The files of a log below `path`; whatever is wrong with them is a `CheckFailedError`."""

    path: Path

    def checkpoint(self, name: str = CHECKPOINT) -> Checkpoint | None:
        """Return what the log says of itself, None where it says nothing yet; not verified."""
        try:
            data = read_bounded(self.path / name, MAX_NOTE_BYTES)
        except FileNotFoundError:
            return None
        return read_checkpoint(data)

    def tile(self, tile: Tile) -> bytes:
        """Return the bytes of a tile, or of a wider one where that has taken its place."""
        limit = MAX_BUNDLE_BYTES if tile.level == ENTRIES else WIDTH * HASH_BYTES
        for width in (tile.width, WIDTH, *self.widths(tile.level, tile.number)):
            if width >= tile.width:
                try:
                    return read_bounded(self.path / Tile(tile.level, tile.number, width).path, limit)
                except FileNotFoundError:
                    continue
        raise CheckFailedError(
            "the ledger is not whole", code="ledger-damaged", context=f"`{tile.path}` is missing"
        )

    def widths(self, level: int, number: int) -> list[int]:
        """Return the widths of the partial tiles that are there, widest first."""
        folder = (self.path / Tile(level, number, 1).path).parent
        try:
            names = [each.name for each in folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        widths = (int(name) for name in names if name.isascii() and name.isdigit() and len(name) < 4)
        return sorted((width for width in widths if 0 < width < WIDTH), reverse=True)

    def bundle(self, number: int, width: int) -> list[bytes]:
        """Return the first `width` entries of a bundle."""
        for tile in (Tile(ENTRIES, number, each) for each in (width, *self._wider(number, width))):
            try:
                data = read_bounded(self.path / tile.path, MAX_BUNDLE_BYTES)
            except FileNotFoundError:
                continue
            return unpack_entries(data, tile.width)[:width]
        raise CheckFailedError(
            "the ledger is not whole",
            code="ledger-damaged",
            context=f"`{Tile(ENTRIES, number, width).path}` is missing",
        )

    def _wider(self, number: int, width: int) -> Iterator[int]:
        yield WIDTH
        yield from (each for each in self.widths(ENTRIES, number) if each > width)

    def entries(self, start: int, size: int) -> Iterator[bytes]:
        """Yield the entries from `start` to `size`."""
        for tile in tiles_of(size, 0):
            if (tile.number + 1) * WIDTH > start:
                yield from self.bundle(tile.number, tile.width)[max(0, start - tile.number * WIDTH) :]

    def hashes(self, size: int) -> Hashes:
        """Return the hashes over the log's first `size` entries."""
        return Hashes(size, self.tile)


def read_bounded(path: Path, limit: int) -> bytes:
    """Return the bytes of a regular file of at most `limit` bytes.

    Raises `FileNotFoundError` where there is none, `CheckFailedError` for anything else.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
            data = stream.read(limit + 1) if regular else b""
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(path) from error
    except OSError as error:
        raise CheckFailedError(
            f"cannot read `{path}`", code="ledger-not-readable", context=error.strerror
        ) from error
    if not regular or len(data) > limit:
        raise CheckFailedError(
            f"`{path}` is no file of a ledger",
            code="bad-ledger",
            context=f"expected a regular file of at most {limit} bytes",
        )
    return data
