"""Look at this machine as a place to launch; what cannot be read is None."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from msgspec import Struct

ControlGroups = Literal["v1", "hybrid", "v2", "none"]

_TIMEX_BYTES, _UNSYNCHRONISED = 256, 5


class DiskFacts(Struct, frozen=True):
    """The file system below `path`, or below its nearest folder that exists; sizes are in bytes.

    `free_inodes` is -1 where the file system makes them as they are asked for.
    """

    path: Path
    exists: bool
    writable: bool
    executable: bool
    file_system: str
    free: int
    free_inodes: int
    device: int


class ClockFacts(Struct, frozen=True):
    """The clock, the newest of the files that it should be ahead of, and whether the kernel trusts it."""

    now: datetime
    newest: datetime | None
    newest_file: str
    synchronised: bool | None


class MachineFacts(Struct, frozen=True):
    """What the operating system tells; `git` is None where it is not installed."""

    python: tuple[int, int, int]
    git: str | None
    control_groups: ControlGroups
    user_namespaces: int | None
    memory_available: int | None


def processor_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """Return the name of this machine's first processor, as its maker gave it."""
    try:
        with cpuinfo.open(encoding="utf-8", errors="replace") as lines:
            found = next((line for line in lines if line.startswith("model name")), "")
    except OSError:
        return None
    return found.partition(":")[2].strip() or None


def observe_machine(proc: Path = Path("/proc")) -> MachineFacts:
    """Return what the kernel and the programs of this machine say."""
    import sys

    return MachineFacts(
        python=sys.version_info[:3],
        git=_git_version(),
        control_groups=control_groups(text_of(proc / "self" / "mounts") or ""),
        user_namespaces=_number(text_of(proc / "sys" / "user" / "max_user_namespaces")),
        memory_available=_available(text_of(proc / "meminfo") or ""),
    )


def observe_disk(path: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> DiskFacts:
    """Return what is known of the file system that `path` is on, or will be made on."""
    place = next(folder for folder in (path, *path.parents) if folder.exists())
    facts = os.statvfs(place)
    return DiskFacts(
        path=path,
        exists=path.exists(),
        writable=os.access(place, os.W_OK | os.X_OK),
        executable=not facts.f_flag & os.ST_NOEXEC,
        file_system=file_system(place.resolve(), text_of(mountinfo) or ""),
        free=facts.f_bavail * facts.f_frsize,
        free_inodes=facts.f_favail if facts.f_files else -1,
        device=place.stat().st_dev,
    )


def observe_clock(files: Iterable[Path]) -> ClockFacts:
    """Compare the clock with the newest of `files`, and ask the kernel whether it is synchronised."""
    times = {path: path.stat().st_mtime for path in files if path.exists()}
    newest = max(times, key=lambda path: times[path], default=None)
    return ClockFacts(
        now=datetime.now(UTC),
        newest=datetime.fromtimestamp(times[newest], UTC) if newest else None,
        newest_file=str(newest or ""),
        synchronised=_synchronised(),
    )


def control_groups(mounts: str) -> ControlGroups:
    """Return which control groups are mounted, from the text of `/proc/self/mounts`."""
    kinds = {words[2] for line in mounts.splitlines() if len(words := line.split()) > 2}
    if "cgroup" in kinds:
        return "hybrid" if "cgroup2" in kinds else "v1"
    return "v2" if "cgroup2" in kinds else "none"


def file_system(path: Path, mountinfo: str) -> str:
    """Return the type of the file system at `path` (absolute, no links), as mountinfo says."""
    found, deepest = "unknown", -1
    for line in mountinfo.splitlines():
        head, separator, tail = line.partition(" - ")
        if not separator or len(head.split()) < 5:
            continue
        point = Path(head.split()[4].replace("\\040", " "))
        if path.is_relative_to(point) and len(point.parts) >= deepest:
            found, deepest = tail.split()[0], len(point.parts)
    return found


def _synchronised() -> bool | None:
    """Ask adjtimex(2), which changes nothing here; None where it may not be asked."""
    import ctypes

    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _UNSYNCHRONISED


def _git_version() -> str | None:
    import subprocess

    try:
        done = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip().removeprefix("git version ")


def _available(meminfo: str) -> int | None:
    for line in meminfo.splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            kib = _number(value.removesuffix("kB"))
            return None if kib is None else kib << 10
    return None


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def text_of(path: Path) -> str | None:
    """Return a small file's text without the blanks around it, None where it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
