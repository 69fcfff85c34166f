"""Read what a container uses from its control groups on this host, of version 1 or 2.

https://docs.kernel.org/admin-guide/cgroup-v2.html, https://docs.kernel.org/admin-guide/cgroup-v1/
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from launcher.spec.usage import LimitsHit, UsageSample

ROOT: Final = Path("/sys/fs/cgroup")
_READ: Final = 1 << 16
# Where engines put a container, by cgroup driver: cgroupfs and systemd, of docker and of podman.
_PLACES: Final = (
    "docker/{id}",
    "system.slice/docker-{id}.scope",
    "libpod_parent/libpod-{id}",
    "machine.slice/libpod-{id}.scope",
)
_ROOTLESS: Final = "user.slice/user-{uid}.slice/user@{uid}.service/{place}"
_ROOTLESS_PLACES: Final = (
    "user.slice/docker-{id}.scope",
    "user.slice/libpod-{id}.scope",
    "app.slice/docker-{id}.scope",
)
# Controller of version 1 and file; of version 2 the file alone.
_FILES: Final[Mapping[str, tuple[str, str, str]]] = {
    "cpu": ("cpuacct", "cpuacct.usage", "cpu.stat"),
    "throttled": ("cpu", "cpu.stat", ""),
    "memory": ("memory", "memory.usage_in_bytes", "memory.current"),
    "memory-peak": ("memory", "memory.max_usage_in_bytes", "memory.peak"),
    "memory-stat": ("memory", "memory.stat", "memory.stat"),
    "memory-kills": ("memory", "memory.oom_control", "memory.events"),
    "memory-refusals": ("memory", "memory.failcnt", ""),
    "io": ("blkio", "blkio.throttle.io_service_bytes_recursive", "io.stat"),
    "pids": ("pids", "pids.current", "pids.current"),
    "pids-peak": ("pids", "pids.peak", "pids.peak"),
    "pids-refusals": ("pids", "pids.events", "pids.events"),
    "processes": ("pids", "cgroup.procs", "cgroup.procs"),
}


class Peaks(Struct, frozen=True):
    """What the kernel remembers as the most there ever was; None where it does not."""

    memory_bytes: int | None = None
    pids: int | None = None


class Cgroups:
    """One container's control groups, held open, so that a reading is a few system calls.

    A group that is gone reads as None everywhere.
    """

    def __init__(self, folders: Mapping[str, Path]) -> None:
        """Open the files below `folders`: controller to folder, of version 2 the one under ``""``."""
        self._unified = "" in folders
        self._descriptors: dict[str, int] = {}
        for name, (controller, old, new) in _FILES.items():
            folder = folders.get("" if self._unified else controller)
            file = new if self._unified else old
            if folder is not None and file:
                with suppress(OSError):
                    self._descriptors[name] = os.open(folder / file, os.O_RDONLY | os.O_CLOEXEC)

    @property
    def version(self) -> Literal["cgroup-v1", "cgroup-v2"]:
        """Which version's files these are."""
        return "cgroup-v2" if self._unified else "cgroup-v1"

    @property
    def found(self) -> bool:
        """Whether there is anything to read."""
        return "cpu" in self._descriptors or "memory" in self._descriptors

    def sample(self, at: float) -> UsageSample:
        """Return what was used so far."""
        cpu, throttled = self._processor()
        memory = self._pairs("memory-stat")
        names = ("anon", "file") if self._unified else ("total_rss", "total_cache")
        read, written = self._transferred()
        return UsageSample(
            at=at,
            cpu_seconds=cpu,
            throttled_seconds=throttled,
            memory_bytes=self._number("memory"),
            anonymous_bytes=memory.get(names[0]),
            file_bytes=memory.get(names[1]),
            read_bytes=read,
            written_bytes=written,
            pids=self._number("pids"),
        )

    def limits(self) -> LimitsHit:
        """Return how often the container's limits were met so far."""
        events = self._pairs("memory-kills")
        refusals = events.get("max") if self._unified else self._number("memory-refusals")
        return LimitsHit(events.get("oom_kill"), refusals, self._pairs("pids-refusals").get("max"))

    def peaks(self) -> Peaks:
        """Return the most there ever was."""
        return Peaks(self._number("memory-peak"), self._number("pids-peak"))

    def processes(self) -> list[int]:
        """Return the ids, on this host, of the processes that it can name.

        Version 1 tells an open file what it told it before, for a second after each reading: this one is
        opened each time.
        """
        words = (self._read_anew("processes") or "").split()
        return [int(word) for word in words if word.isdigit() and word != "0"]

    def close(self) -> None:
        """Close every file; all then reads as None."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors = {}

    def _processor(self) -> tuple[float | None, float | None]:
        if self._unified:
            table = self._pairs("cpu")
            return _scaled(table.get("usage_usec"), 1e6), _scaled(table.get("throttled_usec"), 1e6)
        throttled = self._pairs("throttled").get("throttled_time")
        return _scaled(self._number("cpu"), 1e9), _scaled(throttled, 1e9)

    def _transferred(self) -> tuple[int | None, int | None]:
        text = self._text("io")
        if text is None:
            return None, None
        totals = {"read": 0, "write": 0}
        for kind, count in _transfers(text):
            totals[kind] += count
        return totals["read"], totals["write"]

    def _number(self, name: str) -> int | None:
        text = (self._text(name) or "").strip()
        return int(text) if text.isdigit() else None

    def _pairs(self, name: str) -> dict[str, int]:
        lines = (line.split() for line in (self._text(name) or "").splitlines())
        return {words[0]: int(words[1]) for words in lines if len(words) == 2 and words[1].isdigit()}

    def _text(self, name: str) -> str | None:
        descriptor = self._descriptors.get(name)
        if descriptor is None:
            return None
        try:
            return os.pread(descriptor, _READ, 0).decode("ascii", "replace")
        except OSError:
            return None

    def _read_anew(self, name: str) -> str | None:
        descriptor = self._descriptors.get(name)
        try:
            return Path(f"/proc/self/fd/{descriptor}").read_bytes().decode("ascii", "replace")
        except OSError:
            return None


def find_cgroups(container: str, process: Callable[[], int | None], root: Path = ROOT) -> Cgroups | None:
    """Return the control groups of a container by its id, else by its first process; None: not to be seen.

    `process` is asked only where no engine's usual place has the container.
    """
    for place in _places(container):
        if folders := _folders(root, dict.fromkeys(_controllers(root), place)):
            return _opened(folders)
    number = process()
    return _opened(_folders(root, _told(number))) if number else None


def _opened(folders: Mapping[str, Path]) -> Cgroups | None:
    groups = Cgroups(folders)
    if groups.found:
        return groups
    groups.close()
    return None


def _places(container: str) -> Iterator[str]:
    for place in _PLACES:
        yield place.format(id=container)
    for place in _ROOTLESS_PLACES:
        yield _ROOTLESS.format(uid=os.getuid(), place=place.format(id=container))


def _controllers(root: Path) -> tuple[str, ...]:
    """Return the controllers of version 1 that are mounted; only the nameless one where version 2 is."""
    if (root / "cgroup.controllers").exists():
        return ("",)
    return tuple(dict.fromkeys(controller for controller, _, _ in _FILES.values()))


def _told(process: int) -> dict[str, str]:
    """Return where the kernel says that a process is: controller to path."""
    try:
        lines = Path(f"/proc/{process}/cgroup").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return {}
    places: dict[str, str] = {}
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if ".." not in path and path.strip("/"):
            places.update((controller, path.lstrip("/")) for controller in controllers.split(","))
    return places


def _folders(root: Path, places: Mapping[str, str]) -> dict[str, Path]:
    """Return the folders that exist; of version 2 where that is what has the controllers."""
    wanted = _controllers(root)
    folders = {name: root / name / places[name] for name in wanted if name in places}
    return {name: folder for name, folder in folders.items() if folder.is_dir()}


def _transfers(text: str) -> Iterator[tuple[str, int]]:
    """Yield the bytes of each device: `8:0 Read 512` of version 1, `8:0 rbytes=512 wbytes=0` of version 2."""
    for line in text.splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in ("Read", "Write") and words[2].isdigit():
            yield words[1].lower(), int(words[2])
        for word in words[1:]:
            name, _, value = word.partition("=")
            if name in ("rbytes", "wbytes") and value.isdigit():
                yield "read" if name == "rbytes" else "write", int(value)


def _scaled(value: int | None, unit: float) -> float | None:
    return None if value is None else round(value / unit, 6)
