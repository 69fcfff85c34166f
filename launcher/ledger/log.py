"""The log of this home, as only its owner writes it: appended in one step, sealed in another.

An entry is in the log once its bundle of entries has its name and both are on the disk: that is what
`append` waits for. Tiles of hashes and the checkpoint follow from the entries, so `seal` may come later, and
makes up for what a crash left undone. Signatures are deterministic: a checkpoint that is made again is the
same one, and no size ever has two roots.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from launcher.errors import CheckFailedError, EvalctlError, InfrastructureError
from launcher.ledger.checkpoint import Checkpoint, check_signature
from launcher.ledger.folder import CHECKPOINT, WITNESSED, LogFolder
from launcher.ledger.tiles import ENTRIES, WIDTH, Hashes, Tile, leaf_hashes, pack_entries
from launcher.ledger.tree import EMPTY_ROOT, fold
from launcher.store.files import write_atomically
from launcher.store.removal import remove_tree
from launcher.trust.keys import Signer
from launcher.trust.notes import Note, NoteKey, sign_note

# Bundles of entries that were outgrown, for whoever copies the folder meanwhile.
_KEPT: Final = 4


class Disk(Protocol):
    """Where a log is written; a file appears whole or not at all."""

    def write(self, path: Path, data: bytes, *, durable: bool) -> None:
        """Put `data` at `path`; a `durable` file outlives a power cut from the moment this returns."""

    def remove(self, path: Path) -> None:
        """Remove a file or a folder, where it is there."""


class FileSystem:
    """The disk of this machine."""

    def write(self, path: Path, data: bytes, *, durable: bool) -> None:
        """Write through a temporary file and a rename; folders on the way are made."""
        if not path.parent.is_dir():
            _make_folders(path.parent)
        write_atomically(path, data, durable=durable)

    def remove(self, path: Path) -> None:
        """Remove what nobody needs any more; that it stays is no fault."""
        with suppress(OSError, EvalctlError):
            if path.is_dir():
                remove_tree(path)
            else:
                path.unlink(missing_ok=True)


class Log(Struct, frozen=True):
    """A log's folder with its owner's key; call its methods under the home's lock alone."""

    folder: LogFolder
    key: NoteKey
    disk: Disk = FileSystem()

    def read_end(self) -> "End":
        """Return where the log ends, sealed or not; raises `InfrastructureError` for a damaged one."""
        try:
            sealed = self.folder.checkpoint()
            return self._roll_forward(sealed or Checkpoint(self.key.name, 0, EMPTY_ROOT))
        except CheckFailedError as error:
            raise damaged(self.folder.path, error.in_words) from error

    def append(self, end: "End", entry: bytes) -> "End":
        """Write one more entry behind `end`, the log's own, and return the new end."""
        entries = [*end.entries, entry] if len(end.entries) < WIDTH else [entry]
        number, width = divmod(end.size, WIDTH)
        bundle = Tile(ENTRIES, number, width + 1)
        self.disk.write(self.folder.path / bundle.path, pack_entries(entries), durable=True)
        if width >= _KEPT:
            self.disk.remove(self.folder.path / Tile(ENTRIES, number, width + 1 - _KEPT).path)
        return replace(end, size=end.size + 1, entries=tuple(entries))

    def seal(self, end: "End", signer: Signer) -> Checkpoint:
        """Bring hashes and checkpoint up to `end`, and return the checkpoint.

        Raises `InfrastructureError` where what was signed before is not the beginning of what is there.
        """
        try:
            return self._seal(end, signer)
        except CheckFailedError as error:
            raise damaged(self.folder.path, error.in_words) from error

    def _seal(self, end: "End", signer: Signer) -> Checkpoint:
        old = end.sealed
        if old.note is not None:
            check_signature(old, self.key)
        tiles = self._tiles_up_to(end)
        self._write_tiles(tiles)
        if old.size == end.size and old.note is not None:
            return old
        if old.note is not None and len(old.note.signatures) > 1:
            self.disk.write(self.folder.path / WITNESSED, old.data, durable=True)
        new = self._signed(end.size, tiles, signer)
        self.disk.write(self.folder.path / CHECKPOINT, new.data, durable=True)
        for tile in tiles:
            if tile.width == WIDTH:
                self._remove_partial(tile)
        return new

    def _write_tiles(self, tiles: Mapping[Tile, Sequence[bytes]]) -> None:
        """Write what is not there: a power cut may have taken tiles that a checkpoint was signed over."""
        for tile, hashes in tiles.items():
            path, data = self.folder.path / tile.path, b"".join(hashes)
            if not path.is_file() or path.read_bytes() != data:
                self.disk.write(path, data, durable=tile.width == WIDTH)

    def _signed(self, size: int, tiles: Mapping[Tile, Sequence[bytes]], signer: Signer) -> Checkpoint:
        unsigned = Checkpoint(self.key.name, size, self._hashes(size, tiles).root)
        note = Note(unsigned.body, (sign_note(unsigned.body, self.key, signer),))
        return replace(unsigned, note=note)

    def _roll_forward(self, sealed: Checkpoint) -> "End":
        number = sealed.size // WIDTH
        size = number * WIDTH
        entries: tuple[bytes, ...] = ()
        while True:
            found = self._widest(number, sealed.size - number * WIDTH)
            if not found:
                break
            size, entries = number * WIDTH + len(found), tuple(found)
            if len(found) < WIDTH:
                break
            number += 1
        if size < sealed.size:
            raise CheckFailedError(
                f"{sealed.size} entries were signed, and {size} are there", code="ledger-damaged"
            )
        return End(size, entries, sealed)

    def _widest(self, number: int, needed: int) -> list[bytes]:
        """Return the entries of the widest bundle of this number; one that is torn was never in the log."""
        for width in (WIDTH, *self.folder.widths(ENTRIES, number)):
            if (self.folder.path / Tile(ENTRIES, number, width).path).exists():
                try:
                    return self.folder.bundle(number, width)
                except CheckFailedError:
                    if width <= needed:
                        raise
        return []

    def _tiles_up_to(self, end: "End") -> dict[Tile, Sequence[bytes]]:
        """Return the tiles at the end of the log, or all of them where a crash left too few."""
        for start in dict.fromkeys((end.sealed.size, 0)):
            with suppress(CheckFailedError):
                tiles = self._new_tiles(start, end.size)
                if self._hashes(end.sealed.size, tiles).root == end.sealed.root:
                    return tiles
        raise CheckFailedError("its entries are not those that were signed", code="ledger-damaged")

    def _new_tiles(self, old: int, new: int) -> dict[Tile, Sequence[bytes]]:
        """Return the tiles of hashes that a log of `new` entries has and one of `old` entries had not."""
        tiles: dict[Tile, Sequence[bytes]] = {}
        level = 0
        full: dict[int, bytes] = {}
        while count := new >> (8 * level):
            before, first = old >> (8 * level), (old >> (8 * level)) // WIDTH
            filled: dict[int, bytes] = {}
            for number in range(first, -(-count // WIDTH)):
                width = min(WIDTH, count - number * WIDTH)
                if level == 0:
                    hashes = leaf_hashes(self.folder.bundle(number, width))
                else:
                    known = max(0, min(WIDTH, before - number * WIDTH))
                    kept = self._hashes(old, {}).tile(level, number)[:known] if known else []
                    hashes = [*kept, *(full[number * WIDTH + at] for at in range(known, width))]
                tiles[Tile(level, number, width)] = hashes
                if width == WIDTH:
                    filled[number] = fold(hashes)
            level, full = level + 1, filled
        return tiles

    def _hashes(self, size: int, tiles: Mapping[Tile, Sequence[bytes]]) -> Hashes:
        """Return hashes that look into `tiles` before they look at the disk."""
        known = {(tile.level, tile.number): hashes for tile, hashes in tiles.items()}

        def read(tile: Tile) -> bytes:
            hashes = known.get((tile.level, tile.number))
            return self.folder.tile(tile) if hashes is None else b"".join(hashes)

        return Hashes(size, read)

    def _remove_partial(self, full: Tile) -> None:
        levels = (full.level, ENTRIES) if full.level == 0 else (full.level,)
        for level in levels:
            self.disk.remove((self.folder.path / Tile(level, full.number, 1).path).parent)


class End(Struct, frozen=True):
    """Where a log ends: its size, the entries of its last bundle, and the newest checkpoint on the disk."""

    size: int
    entries: tuple[bytes, ...]
    sealed: Checkpoint


def damaged(path: Path, reason: str) -> InfrastructureError:
    """Return the error of a log that must not be written to."""
    return InfrastructureError(
        f"the ledger `{path}` is damaged, so nothing can be recorded in it",
        code="ledger-damaged",
        context=reason,
        hint=f"bring back a copy, or move `{path}` away and begin another one, as every later bundle shows",
    )


def _make_folders(folder: Path) -> None:
    """Make folders whose names outlive a power cut."""
    from launcher.store.files import sync_folder

    missing = [folder]
    while not missing[-1].parent.is_dir():
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        try:
            each.mkdir(mode=0o700, exist_ok=True)
            sync_folder(each.parent)
        except OSError as error:
            raise InfrastructureError(
                f"cannot create the folder `{each}`",
                code="home-not-writable",
                context=error.strerror,
                hint="free some disk space, or set EVALCTL_HOME to a folder that you may write",
            ) from error
