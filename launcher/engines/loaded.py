"""See from outside which program files and libraries the processes of a container have loaded."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from launcher.spec.usage import LoadedObjects

MAX_PATHS: Final = 2000
_MAX_PROCESSES: Final = 64
_MAX_PATH_LENGTH: Final = 512
_MAX_MAP_BYTES: Final = 4 << 20
# The moments to look, in seconds since the start; beyond the last, at every doubling.
_MOMENTS: Final = (0.0, 0.1, 0.3, 1.0, 2.0, 8.0, 30.0, 120.0)
# https://man7.org/linux/man-pages/man5/proc_pid_maps.5.html: range, permissions, offset, device, inode, path.
_EXECUTABLE: Final = re.compile(rb"^\S+ ..x. \S+ \S+ [1-9]\d* +(/[^\n]*)$", re.MULTILINE)
_ODD: Final = re.compile(rb"[^!-~]|%")
_DELETED: Final = b" (deleted)"
_OWN: Final = b"/.evalctl-"


class LoadedWatch:
    """Looks at the maps of processes now and then and remembers what was mapped to execute."""

    def __init__(self) -> None:
        self._paths: set[str] = set()
        self._looks = 0
        self._due = 0.0
        self._truncated = False
        self._own_namespace = _mount_namespace("self")

    def is_due(self, at: float) -> bool:
        """Say whether a look should be taken, `at` seconds after the start; until one saw something, always.

        On a busy machine the command may begin long after its container.
        """
        return not self._paths or at >= self._due

    def look(self, processes: Iterable[int], at: float) -> None:
        """Read the maps of `processes`; one that is gone, or not ours to read, has none."""
        self._looks += 1
        self._due = _next_moment(at)
        for count, process in enumerate(processes):
            if count >= _MAX_PROCESSES:
                self._truncated = True
                return
            for path in _mapped(process, self._own_namespace):
                self._add(path)

    def found(self) -> LoadedObjects:
        """Return what was seen so far."""
        return LoadedObjects(tuple(sorted(self._paths)), self._looks, self._truncated)

    def _add(self, path: bytes) -> None:
        if path.endswith(_DELETED) or path.startswith(_OWN):
            return
        if len(path) > _MAX_PATH_LENGTH or len(self._paths) >= MAX_PATHS:
            self._truncated = True
            return
        self._paths.add(_ODD.sub(lambda odd: b"%%%02X" % odd[0][0], path).decode("ascii"))


def _next_moment(at: float) -> float:
    for moment in _MOMENTS:
        if moment > at:
            return moment
    return _MOMENTS[-1] * 2.0 ** (math.floor(math.log2(at / _MOMENTS[-1])) + 1)


def _mapped(process: int, own_namespace: str | None) -> list[bytes]:
    """Return the executable mappings of a process that sees other files than this one does."""
    namespace = _mount_namespace(str(process))
    if namespace is None or namespace == own_namespace:
        return []
    try:
        with Path(f"/proc/{process}/maps").open("rb") as maps:
            data = maps.read(_MAX_MAP_BYTES)
    except OSError:
        return []
    # What a process mapped twice stands there twice; the set of one process is small.
    return list(dict.fromkeys(_EXECUTABLE.findall(data)))


def _mount_namespace(process: str) -> str | None:
    try:
        return str(Path(f"/proc/{process}/ns/mnt").readlink())
    except OSError:
        return None
