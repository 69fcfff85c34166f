"""What was seen of other people's ledgers: a log that shows another past than before is caught by it.

One checkpoint a size is kept, until the log's whole folder was looked at: then the newest stands for all.
"""

from pathlib import Path
from typing import Final

from launcher.errors import CheckFailedError
from launcher.ledger.audit import own_key
from launcher.ledger.checkpoint import Checkpoint, read_checkpoint
from launcher.ledger.folder import read_bounded
from launcher.store.files import write_atomically
from launcher.store.home import make_private
from launcher.trust.notes import MAX_NOTE_BYTES

_MOST: Final = 4096


def seen_checkpoints(root: Path, origin: Checkpoint) -> list[Checkpoint]:
    """Return the checkpoints of the same ledger that are kept below `root`, by size."""
    folder = _folder(root, origin)
    if not folder.is_dir():
        return []
    sizes = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
    return [read_checkpoint(read_bounded(folder / str(size), MAX_NOTE_BYTES)) for size in sizes]


def remember(root: Path, checkpoint: Checkpoint) -> int:
    """Keep a checkpoint whose signature holds; return how many others it was not held against.

    Raises `CheckFailedError` where another root of the same size was seen, `InfrastructureError`.
    """
    others = 0
    for before in seen_checkpoints(root, checkpoint):
        if before.size != checkpoint.size:
            others += 1
        elif before.root == checkpoint.root:
            continue
        else:
            raise CheckFailedError(
                "the ledger was forked",
                code="ledger-forked",
                context=f"it was seen with other entries when it had {before.size}, too",
            )
    place = make_private(_folder(root, checkpoint)) / str(checkpoint.size)
    if not place.exists() and others < _MOST:
        write_atomically(place, checkpoint.data, mode=0o600)
    return others


def supersede(root: Path, checkpoint: Checkpoint) -> None:
    """Keep this checkpoint, which all others that were seen were held against, in their place."""
    old = [before.size for before in seen_checkpoints(root, checkpoint) if before.size != checkpoint.size]
    remember(root, checkpoint)
    for size in old:
        (_folder(root, checkpoint) / str(size)).unlink(missing_ok=True)


def _folder(root: Path, checkpoint: Checkpoint) -> Path:
    return root / own_key(checkpoint).public.point.hex()
