"""The tiles of a log as static files: their paths, their bytes, and hashes of any range from them.

https://c2sp.org/tlog-tiles. A tile of level L holds up to 256 hashes, each over 256^L entries; a bundle of
entries holds 256 entries, each after its length in two bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from launcher.errors import CheckFailedError
from launcher.ledger.tree import HASH_BYTES, fold, leaf_hash, node_hash, split

WIDTH: Final = 256
ENTRIES: Final = -1
MAX_ENTRY_BYTES: Final = (1 << 16) - 1
MAX_BUNDLE_BYTES: Final = WIDTH * (2 + MAX_ENTRY_BYTES)
# Far beyond what is ever launched, and small enough for every reader.
MAX_SIZE: Final = 1 << 40


class Tile(Struct, frozen=True):
    """One file of a log; the level `ENTRIES` stands for a bundle of entries."""

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Return where it stands below the log's folder."""
        digits = f"{self.number:03}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        folder = "entries" if self.level == ENTRIES else str(self.level)
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return "/".join(["tile", folder, *(f"x{part}" for part in parts[:-1]), parts[-1]]) + partial


def last_tile(level: int, size: int) -> Tile | None:
    """Return the tile of `level` that holds the end of a log of `size` entries, None where there is none."""
    count = size >> (8 * max(level, 0))
    return None if count == 0 else Tile(level, (count - 1) // WIDTH, (count - 1) % WIDTH + 1)


def tiles_of(size: int, level: int) -> Iterator[Tile]:
    """Yield the tiles of `level` in a log of `size` entries."""
    last = last_tile(level, size)
    if last is not None:
        for number in range(last.number):
            yield Tile(level, number)
        yield last


def pack_entries(entries: Sequence[bytes]) -> bytes:
    """Return the bytes of a bundle of entries."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unpack_entries(data: bytes, width: int) -> list[bytes]:
    """Return the `width` entries of a bundle; raises `CheckFailedError` where it holds anything else."""
    entries, at = [], 0
    for _ in range(width):
        size = int.from_bytes(data[at : at + 2], "big")
        entries.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    if at != len(data):
        raise CheckFailedError(f"a bundle of the ledger does not hold {width} entries", code="bad-ledger")
    return entries


class Hashes:
    """Hashes over any range of a log's first `size` entries, out of its tiles; each is read once.

    `read` gives a tile's bytes, those of its beginning where only a wider one is there.
    """

    def __init__(self, size: int, read: Callable[[Tile], bytes]) -> None:
        self.size = size
        self._read = read
        self._known: dict[tuple[int, int], list[bytes]] = {}

    def range(self, start: int, end: int) -> bytes:
        """Return the hash of the entries from `start` to `end`, which is what a tree over them has."""
        count = end - start
        if count == 0:
            return fold(())
        if count & (count - 1) == 0 and start % count == 0:
            return self._complete(start, count.bit_length() - 1)
        middle = start + split(count)
        return node_hash(self.range(start, middle), self.range(middle, end))

    @property
    def root(self) -> bytes:
        """Return the hash of the whole log."""
        return self.range(0, self.size)

    def _complete(self, start: int, height: int) -> bytes:
        level, within = divmod(height, 8)
        first = start >> (8 * level)
        number, offset = divmod(first, WIDTH)
        hashes = self.tile(level, number)[offset : offset + (1 << within)]
        return fold(hashes)

    def tile(self, level: int, number: int) -> list[bytes]:
        """Return the hashes of a tile as far as `size` goes."""
        known = self._known.get((level, number))
        if known is None:
            width = min(WIDTH, (self.size >> (8 * level)) - number * WIDTH)
            data = self._read(Tile(level, number, width))
            if len(data) < width * HASH_BYTES:
                raise CheckFailedError("a tile of the ledger is too short", code="bad-ledger")
            known = [data[at : at + HASH_BYTES] for at in range(0, width * HASH_BYTES, HASH_BYTES)]
            self._known[level, number] = known
        return known


def leaf_hashes(entries: Sequence[bytes]) -> list[bytes]:
    """Return the hash of each entry."""
    return [leaf_hash(entry) for entry in entries]
