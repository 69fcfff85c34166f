"""What this machine and this launcher are, as the operating system tells it.

Bundles are published: no name of a machine or person, address, serial number or path of the host is a fact.
"""

import os
import platform
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from launcher import __version__
from launcher.environment.facts import Fact
from launcher.environment.machine import control_groups, text_of
from launcher.environment.processor import processor_facts

# What the launcher's own numbers and canonical texts are computed with.
_NUMERIC = ("numpy", "rfc8785", "msgspec")


def observe_host(root: Path = Path("/")) -> list[Fact]:
    """Return facts about kernel, processor, memory, operating system, Python and launcher."""
    return [*_machine(root), *processor_facts(root), *_launcher()]


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


def runtime_facts(runtime: str) -> Iterator[Fact]:
    """Yield the version of gVisor's runtime, by its own program; of runc the engine tells it."""
    import shutil
    import subprocess

    if runtime != "runsc" or (program := shutil.which(runtime)) is None:
        return
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return
    if words := done.stdout.partition("\n")[0].split():
        yield Fact("host.runsc", words[-1][:200], "host")


def _machine(root: Path) -> Iterator[Fact]:
    yield Fact("host.kernel", platform.release(), "host")
    yield Fact("host.kernel-version", platform.version(), "host")
    yield Fact("host.machine", platform.machine(), "host")
    yield Fact("host.cpus", os.cpu_count(), "host")
    yield Fact("host.memory", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "host")
    if system := _first_value(text_of(root / "etc/os-release") or "", "PRETTY_NAME"):
        yield Fact("host.operating-system", system, "host")
    if libc := " ".join(part for part in platform.libc_ver() if part):
        yield Fact("host.libc", libc, "host")
    yield Fact("host.control-groups", control_groups(text_of(root / "proc/self/mounts") or ""), "host")
    namespaces = text_of(root / "proc/sys/user/max_user_namespaces")
    if namespaces is not None and namespaces.isdecimal():
        yield Fact("host.user-namespaces", int(namespaces) > 0, "host")


def _launcher() -> Iterator[Fact]:
    yield Fact("launcher.version", __version__, "host")
    yield Fact("launcher.commit", launcher_commit(), "host")
    yield Fact("launcher.python", platform.python_version(), "host")
    found = {name: version for name in _NUMERIC if (version := _installed_version(name))}
    yield Fact("launcher.libraries", found, "host")


def _installed_version(name: str) -> str | None:
    """Return the version in the name of a distribution's folder; `importlib.metadata` takes 40 ms to load."""
    for folder in sys.path:
        for path in Path(folder or ".").glob(f"{name}-*.dist-info"):
            return path.name.removeprefix(f"{name}-").removesuffix(".dist-info")
    return None


def _first_value(text: str, key: str) -> str | None:
    for line in text.splitlines():
        name, found, value = line.partition("=")
        if found and name.strip() == key:
            return value.strip().strip("\"'")
    return None
