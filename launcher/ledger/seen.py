"""What was seen of other people's ledgers: a log that shows another past than before is caught by it.

One checkpoint a size is kept, until the log was shown to have grown from it: then the newest stands for all.
"""

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from launcher.errors import CheckFailedError, InfrastructureError
from launcher.ledger.audit import own_key
from launcher.ledger.checkpoint import Checkpoint, read_checkpoint
from launcher.ledger.folder import read_bounded
from launcher.store.files import write_atomically
from launcher.store.home import make_private
from launcher.store.journal import open_lock
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
    with looking(root, must_remember=False):
        return _remember(root, checkpoint)


def supersede(root: Path, checkpoint: Checkpoint, held: Iterable[Checkpoint]) -> int:
    """Keep this checkpoint in the place of those that it was `held` against, while `looking`.

    Return how many others there are. Raises as `remember`.
    """
    _remember(root, checkpoint)
    for before in held:
        if before.size != checkpoint.size:
            (_folder(root, checkpoint) / str(before.size)).unlink(missing_ok=True)
    return len(seen_checkpoints(root, checkpoint)) - 1


@contextmanager
def looking(root: Path, *, must_remember: bool = True) -> Iterator[None]:
    """Keep other processes from looking and keeping at once: of two pasts, one must come second.

    Raises `InfrastructureError` where nothing can be kept, and it must.
    """
    with ExitStack() as stack:
        try:
            descriptor = stack.enter_context(open_lock(make_private(root) / "looking.flock"))
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except InfrastructureError:
            if must_remember:
                raise
        yield


def _remember(root: Path, checkpoint: Checkpoint) -> int:
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


def _folder(root: Path, checkpoint: Checkpoint) -> Path:
    return root / own_key(checkpoint).public.point.hex()
