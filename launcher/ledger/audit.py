"""Look at a whole log: every hash again from its entries, and whether it begins as it was seen before."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from launcher.errors import CheckFailedError
from launcher.ledger.checkpoint import Checkpoint, check_signature, cosigners, named_key
from launcher.ledger.count import Row, rows
from launcher.ledger.entries import read_entry
from launcher.ledger.folder import WITNESSED, LogFolder
from launcher.ledger.tiles import WIDTH, Hashes, leaf_hashes, tiles_of
from launcher.ledger.tree import fold
from launcher.trust.notes import NoteKey

_EVIDENCE: Final = "keep this copy: with what was signed before it shows that the ledger was rewritten"


class Audit(Struct, frozen=True):
    """A log that is whole: its checkpoint, its attempts, and the newest checkpoint with a cosignature."""

    checkpoint: Checkpoint
    rows: list[Row]
    hashes: Hashes
    cosigned: Checkpoint | None = None


def audit(folder: LogFolder, seen: Iterable[Checkpoint] = (), known: tuple[NoteKey, ...] = ()) -> Audit:
    """Check the log in `folder` from its entries up, and against the checkpoints of it that were `seen`.

    One that witnesses co-signed, where it is beside the log, is among those; `known` are witnesses with names
    that are not of ours. Raises `CheckFailedError` for anything that is wrong: a hash, a signature, an entry,
    a count, a log that became shorter, and one with another past.
    """
    checkpoint = folder.checkpoint()
    if checkpoint is None:
        raise CheckFailedError(f"there is no ledger in `{folder.path}`", code="no-ledger")
    check_signature(checkpoint, own_key(checkpoint))
    entries = list(folder.entries(0, checkpoint.size))
    levels = _levels(folder, checkpoint.size, leaf_hashes(entries))
    refuse_other_past(checkpoint, levels)
    cosigned = _cosigned(folder, checkpoint, known)
    for before in (*seen, *([cosigned] if cosigned else [])):
        refuse_fork(before, checkpoint, levels)
    return Audit(checkpoint, rows(map(read_entry, entries)), levels, cosigned)


def _cosigned(folder: LogFolder, checkpoint: Checkpoint, known: tuple[NoteKey, ...]) -> Checkpoint | None:
    """Return the newest checkpoint of the log with a cosignature that holds, None where there is none."""
    for found in (checkpoint, folder.checkpoint(WITNESSED)):
        if found is not None and cosigners(found, known):
            check_signature(found, own_key(checkpoint))
            return found
    return None


def own_key(checkpoint: Checkpoint) -> NoteKey:
    """Return the key that a ledger's origin names; raises `CheckFailedError` where it names none."""
    key = named_key(checkpoint.origin)
    if key is None:
        raise CheckFailedError("the ledger's origin does not name its key", code="other-ledger")
    return key


def refuse_fork(before: Checkpoint, now: Checkpoint, hashes: Hashes) -> None:
    """Raise `CheckFailedError` unless what was signed `before` is the beginning of the log as it is `now`."""
    if before.origin != now.origin:
        raise CheckFailedError("these are two ledgers", code="other-ledger")
    if before.size > now.size:
        raise CheckFailedError(
            "the ledger was truncated",
            code="ledger-truncated",
            context=f"{before.size} entries were signed before, and {now.size} are left",
            hint=_EVIDENCE,
        )
    if hashes.range(0, before.size) != before.root:
        raise CheckFailedError(
            "the ledger was forked",
            code="ledger-forked",
            context=f"its first {before.size} entries are not those that were signed before",
            hint=_EVIDENCE,
        )


def refuse_other_past(checkpoint: Checkpoint, hashes: Hashes) -> None:
    """Raise `CheckFailedError` unless the checkpoint is over these hashes."""
    if hashes.root != checkpoint.root:
        raise CheckFailedError("the ledger's entries are not those that were signed", code="ledger-damaged")


def _levels(folder: LogFolder, size: int, leaves: Sequence[bytes]) -> Hashes:
    """Return the hashes over all entries, after comparing each tile with what it must be."""
    tiles: dict[tuple[int, int], bytes] = {}
    level, hashes = 0, list(leaves)
    while hashes:
        for tile in tiles_of(size, level):
            data = b"".join(hashes[tile.number * WIDTH : tile.number * WIDTH + tile.width])
            if folder.tile(tile)[: len(data)] != data:
                raise CheckFailedError(
                    "a tile of the ledger is not that of its entries",
                    code="ledger-damaged",
                    context=f"`{tile.path}`",
                )
            tiles[level, tile.number] = data
        full = len(hashes) // WIDTH
        hashes = [fold(hashes[at * WIDTH : (at + 1) * WIDTH]) for at in range(full)]
        level += 1
    return Hashes(size, lambda tile: tiles[tile.level, tile.number])
