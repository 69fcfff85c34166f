"""Measure a folder that a stranger may be writing to: bounded in work, and nothing is followed."""

import os

from msgspec import Struct

MAX_DEPTH = 64

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Measure(Struct, frozen=True):
    """What a folder holds: bytes (holes included, links counted each time) and entries.

    `hidden` says in words what could not be measured, "" where everything was.
    """

    bytes: int = 0
    entries: int = 0
    hidden: str = ""


def measure(folder: str | os.PathLike[str], most_entries: int) -> Measure:
    """Measure what is below `folder`; stop where there are more than `most_entries`, or something hides."""
    walk = _Walk(most_entries)
    walk.into(folder, None, 0)
    return Measure(walk.bytes, walk.entries, walk.hidden)


class _Walk:
    def __init__(self, most_entries: int) -> None:
        self.bytes = self.entries = 0
        self.hidden = ""
        self._most = most_entries

    def into(self, name: str | os.PathLike[str], parent: int | None, depth: int) -> None:
        """Add what is in a folder and below it; a folder that has just gone holds nothing."""
        if depth > MAX_DEPTH:
            self.hidden = f"folders nested more than {MAX_DEPTH} deep"
            return
        try:
            folder = os.open(name, _OPEN, dir_fd=parent)
        except FileNotFoundError:
            return
        except OSError as error:
            self.hidden = f"a folder that cannot be looked into ({error.strerror})"
            return
        try:
            for child in self._list(folder):
                if not self.hidden and self.entries <= self._most:
                    self.into(child, folder, depth + 1)
        finally:
            os.close(folder)

    def _list(self, folder: int) -> list[str]:
        """Add what lies in an open folder and return the names of the folders in it."""
        folders = []
        with os.scandir(folder) as listing:
            for entry in listing:
                self.entries += 1
                if self.entries > self._most:
                    break
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                else:
                    self.bytes += _size(entry)
        return folders


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        facts = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return 0
    return max(facts.st_size, 512 * facts.st_blocks)
