"""Which process launches an attempt, so that it, and no other that got its number, can be asked to stop."""

import os
import signal
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any


def own_process() -> dict[str, Any]:
    """Return what tells this process from every other of this machine, before and after."""
    return {"pid": os.getpid(), "started": _started(os.getpid()), "boot": _boot()}


def interrupt(process: Mapping[str, Any]) -> bool:
    """Send Ctrl-C to the process that `own_process` described; return whether it lives.

    One that ignores it is sent SIGTERM: a script's shell starts what ends in `&` so. The process is held by
    a descriptor while it is looked at: its number cannot pass to another meanwhile.
    """
    pid, started = process.get("pid"), process.get("started")
    if not isinstance(pid, int) or pid <= 1 or started is None or process.get("boot") != _boot():
        return False
    try:
        with closing(_Held(pid)) as held:
            if _started(pid) != started:
                return False
            wanted = signal.SIGTERM if _ignores(pid, signal.SIGINT) else signal.SIGINT
            signal.pidfd_send_signal(held.descriptor, wanted)
    except ProcessLookupError:
        return False
    return True


class _Held:
    def __init__(self, pid: int) -> None:
        self.descriptor = os.pidfd_open(pid)

    def close(self) -> None:
        os.close(self.descriptor)


def _started(pid: int) -> int | None:
    """Return when a process was started, in clock ticks since the machine was, None where it is not there."""
    try:
        text = Path("/proc", str(pid), "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name in parentheses may hold anything, spaces and parentheses too.
    fields = text.rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 else None


def _ignores(pid: int, number: signal.Signals) -> bool:
    """Say whether a process ignores a signal: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html."""
    try:
        lines = Path("/proc", str(pid), "status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    mask = next((line.split()[1] for line in lines if line.startswith("SigIgn:")), "0")
    return bool(int(mask, 16) >> (number - 1) & 1)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
