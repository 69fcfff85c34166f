"""Start programs that run on in the background below one folder, and end whatever runs there."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

# Only what engines are made of is ever ended, whatever else has the folder's name on its command line.
_PROGRAMS: Final = ("dockerd", "containerd", "podman", "conmon", "runsc", "exe", "runc")
_GRACE_SECONDS: Final = 20.0
_WAIT_SECONDS: Final = 0.05


def start_detached(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start a program that outlives this process and its terminal; its output is added to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
            cwd="/",
            start_new_session=True,
        )


def end_all(folder: Path) -> None:
    """End every process of an engine below `folder`, the daemon first and gently, and take its mounts away.

    The daemon ends its own containers then; what is left of them is killed with their children.
    """
    for name in ("dockerd", "podman", "containerd"):
        _ask_to_end([pid for pid in processes_below(folder) if _name(pid) == name])
    for pid in sorted(_with_descendants(set(processes_below(folder)))):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: not processes_below(folder))
    unmount_below(folder)


def unmount_below(folder: Path) -> None:
    """Take away what is mounted below `folder`."""
    for place in _mounts_below(folder):
        subprocess.run(["umount", "--lazy", place], capture_output=True, check=False)


def processes_below(folder: Path) -> list[int]:
    """Return the living processes of engines that have `folder` on their command line."""
    needle = f"{folder}/".encode()
    return [
        pid
        for pid in _all_processes()
        if needle in _read(pid, "cmdline") and _name(pid).startswith(_PROGRAMS) and lives(pid)
    ]


def _ask_to_end(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    until(lambda: not any(map(lives, pids)))


def until(happened: Callable[[], bool]) -> None:
    """Wait a while for something to happen."""
    deadline = time.monotonic() + _GRACE_SECONDS
    while time.monotonic() < deadline and not happened():
        time.sleep(_WAIT_SECONDS)


def _with_descendants(pids: set[int]) -> set[int]:
    """Return `pids` with their children and theirs, which a daemon's shim has started."""
    parents = {pid: _parent(pid) for pid in _all_processes()}
    found = set(pids)
    while added := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= added
    return found - {os.getpid()}


def _all_processes() -> Iterator[int]:
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def _name(pid: int) -> str:
    return _read(pid, "comm").decode(errors="replace").strip()


def lives(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be reaped does not."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    state = _read(pid, "stat").rpartition(b") ")[2][:1]
    return state not in (b"", b"Z", b"X")


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(b") ")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _read(pid: int, name: str) -> bytes:
    try:
        return Path("/proc", str(pid), name).read_bytes()
    except OSError:
        return b""


def _mounts_below(folder: Path) -> list[str]:
    """Return what is mounted below `folder`, the last mount first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    places = [line.split(" ")[4].encode().decode("unicode_escape") for line in lines]
    return [place for place in reversed(places) if place.startswith(f"{folder}/")]
