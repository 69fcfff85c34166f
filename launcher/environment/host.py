"""What this machine and this launcher are, as the operating system tells it."""

import os
import platform
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from launcher import __version__
from launcher.environment.facts import Fact


def observe_host() -> list[Fact]:
    """Return facts about kernel, processor, memory, operating system, Python and launcher."""
    return [*_machine(), *_launcher()]


@cache
def launcher_commit() -> str | None:
    """Return the commit this launcher's sources are at (`-dirty` when changed), None when installed."""
    import subprocess

    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists() or not (root / "pyproject.toml").is_file():
        return None
    describe = ["git", "-C", str(root), "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        done = subprocess.run(describe, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _machine() -> Iterator[Fact]:
    yield Fact("host.kernel", platform.release(), "host")
    yield Fact("host.machine", platform.machine(), "host")
    yield Fact("host.cpus", os.cpu_count(), "host")
    yield Fact("host.memory", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "host")
    model = _first_value("/proc/cpuinfo", "model name", ":")
    if model:
        yield Fact("host.cpu-model", model, "host")
    system = _first_value("/etc/os-release", "PRETTY_NAME", "=")
    if system:
        yield Fact("host.operating-system", system.strip('"'), "host")


def _launcher() -> Iterator[Fact]:
    yield Fact("launcher.version", __version__, "host")
    yield Fact("launcher.commit", launcher_commit(), "host")
    yield Fact("launcher.python", platform.python_version(), "host")


def _first_value(path: str, key: str, separator: str) -> str | None:
    """Return the value of the first `key` line of a text file, None where there is none."""
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        name, found, value = line.partition(separator)
        if found and name.strip() == key:
            return value.strip()
    return None
