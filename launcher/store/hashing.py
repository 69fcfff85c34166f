"""Hash many files of a bundle: small ones in turn, each folder opened once, large ones beside each other."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from launcher.store.directory import Inventory, changed, found_file, open_below, open_file, unreadable

_LARGE: Final = 1 << 20


def hash_files(inventory: Inventory, names: Iterable[str]) -> dict[str, str]:
    """Return the hex SHA-256 of each file; raises `CheckFailedError` where one is not as the walk saw it."""
    ordered = sorted(names)
    large = [name for name in ordered if inventory.files[name].size > _LARGE]
    digests = dict.fromkeys(ordered, "")
    if large:
        digests.update(_hash_large(inventory, large))
    with _trail(inventory.root) as trail:
        for name in ordered:
            if not digests[name]:
                digests[name] = trail.sha256(inventory, name)
    return digests


def _hash_large(inventory: Inventory, names: list[str]) -> Iterator[tuple[str, str]]:
    """Hash on all processors, which hashing leaves free for each other; the largest begin."""
    from concurrent.futures import ThreadPoolExecutor

    names = sorted(names, key=lambda name: -inventory.files[name].size)
    width = min(len(names), os.cpu_count() or 1)
    if width == 1:
        return zip(names, map(inventory.sha256, names), strict=True)
    with ThreadPoolExecutor(width) as pool:
        return zip(names, list(pool.map(inventory.sha256, names)), strict=True)


class _Trail:
    """The folders of the file that was hashed last, which are mostly those of the next one too."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._folders: list[tuple[str, int]] = []

    def sha256(self, inventory: Inventory, name: str) -> str:
        """Return the hex SHA-256 of a file that is read at once."""
        size = inventory.files[name].size
        *segments, last = name.split("/")
        try:
            descriptor = open_file(last, self._enter(segments))
            try:
                if found_file(os.fstat(descriptor), name) != inventory.files[name]:
                    raise changed(name)
                data = os.read(descriptor, size + 1)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise unreadable(name, error) from error
        # A regular file gives less than it was asked for only at its end.
        if len(data) != size:
            raise changed(name)
        return hashlib.sha256(data).hexdigest()

    def _enter(self, segments: list[str]) -> int:
        """Return the descriptor of a folder, opened from the deepest that is open already."""
        common = 0
        for (open_segment, _), segment in zip(self._folders, segments, strict=False):
            if open_segment != segment:
                break
            common += 1
        self.leave(common)
        for segment in segments[common:]:
            self._folders.append((segment, open_below(segment, self._folder)))
        return self._folder

    @property
    def _folder(self) -> int:
        return self._folders[-1][1] if self._folders else self._root

    def leave(self, depth: int) -> None:
        """Close the folders below `depth`."""
        while len(self._folders) > depth:
            os.close(self._folders.pop()[1])


@contextmanager
def _trail(root: int) -> Iterator[_Trail]:
    trail = _Trail(root)
    try:
        yield trail
    finally:
        trail.leave(0)
