"""What nothing in a home needs any more but an attempt that might go on, and how to remove it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from msgspec import Struct

from launcher.store.closing import PROGRESS, STATE_FOLDER
from launcher.store.home import Home
from launcher.store.journal import attempt_folders, held_if_free
from launcher.store.liveness import dead_marks
from launcher.store.measure import measure
from launcher.store.removal import remove_tree
from launcher.store.staging import dead_staged

_COUNTED = 10_000_000

What = Literal["dead-attempt", "half-made", "replicates", "state", "trash"]


class Garbage(Struct, frozen=True):
    """One thing to be removed: what it is, where, its bytes, and whether it is gone."""

    what: What
    path: Path
    bytes: int
    gone: bool


def dead_attempts(home: Home) -> list[Garbage]:
    """Return the marks of dead launchers, and bundles that the dead were making; nothing is removed."""
    marks = [Garbage("dead-attempt", mark, 0, gone=False) for mark in dead_marks(home)]
    made = [(folder, measure(folder, _COUNTED).bytes) for folder in dead_staged(home)]
    return [*marks, *(Garbage("half-made", folder, size, gone=False) for folder, size in made)]


def collect_progress(home: Home, *, remove: bool) -> Iterator[Garbage]:
    """Yield what is kept for attempts to go on with, of each lock that no launcher holds; perhaps remove it.

    What could not be removed before is tried again. Bundles, journals and the cache are never touched.
    """
    for place in sorted(home.trash.iterdir()) if home.trash.is_dir() else ():
        size = measure(place, _COUNTED).bytes
        yield Garbage("trash", place, size, gone=remove and remove_tree(place))
    for lock in sorted(home.runs.iterdir()) if home.runs.is_dir() else ():
        if not any(place.exists() for _, place in _progress(lock)):
            continue
        with held_if_free(lock) as free:
            for what, place in _progress(lock) if free else ():
                size = measure(place, _COUNTED).bytes
                yield Garbage(what, place, size, gone=remove and remove_tree(place))


def _progress(lock: Path) -> list[tuple[What, Path]]:
    found: list[tuple[What, Path]] = [("replicates", attempt / PROGRESS) for attempt in attempt_folders(lock)]
    found.append(("state", lock / STATE_FOLDER))
    return [(what, place) for what, place in found if place.exists()]
