"""Count files without a name that processes still hold: no walk over folders sees them."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_MOST_FILES: Final = 65536
_BLOCK: Final = 512


def nameless_bytes(folder: Path, target: str, proc: Path = Path("/proc")) -> int:
    """Return the bytes on disk of nameless files that were made in `folder` by those who see it at `target`.

    Only processes whose files this user may see count: with root's rights, all of them.
    """
    facts = folder.stat()
    sizes: dict[int, int] = {}
    for process in proc.iterdir():
        if process.name.isdecimal() and _sees(process, target, (facts.st_dev, facts.st_ino)):
            for file in _held(process):
                if (file.st_dev, file.st_nlink) == (facts.st_dev, 0) and stat.S_ISREG(file.st_mode):
                    sizes[file.st_ino] = file.st_blocks * _BLOCK
    return sum(sizes.values())


def _sees(process: Path, target: str, identity: tuple[int, int]) -> bool:
    """Say whether `target` of a process is the folder; what stands there is looked at and not followed."""
    try:
        found = os.lstat(f"{process}/root{target}")
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == identity


def _held(process: Path) -> Iterator[os.stat_result]:
    """Yield what a process holds open or mapped, within bounds; it may end meanwhile."""
    count = 0
    for kind in ("fd", "map_files"):
        with suppress(OSError), os.scandir(process / kind) as listing:
            for entry in listing:
                count += 1
                if count > _MOST_FILES:
                    return
                with suppress(OSError):
                    yield entry.stat()
