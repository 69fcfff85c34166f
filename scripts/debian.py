"""Install Debian packages, as root."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scripts.console import Console, SetupError

# What tests build attackers with, open pages in, make small disks with and hold keys and signatures against,
# by a program that shows it.
_TEST_TOOLS: Final[Mapping[str, tuple[str, ...]]] = {
    "/bin/busybox": ("busybox-static",),
    "chromium": ("chromium", "fonts-dejavu-core"),
    "gcc": ("gcc", "libc6-dev"),
    "mount": ("mount",),
    "node": ("nodejs",),
    "npm": ("npm",),
    "openssl": ("openssl",),
    "ssh-keygen": ("openssh-client",),
}
# What tests start engines of their own from: a second dockerd, gVisor's runtime, Podman, ranges of users.
_ENGINES: Final[Mapping[str, tuple[str, ...]]] = {
    "/usr/sbin/dockerd": ("docker.io",),
    "newuidmap": ("uidmap",),
    "podman": ("podman",),
    "runsc": ("runsc",),
}


def can_install() -> bool:
    """Say whether this process may install packages with apt."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_packages(names: list[str], console: Console) -> None:
    """Install `names`, refreshing the package lists only where that is needed.

    Raises `SetupError` with what to type to see whether apt works at all.
    """
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
    options = ["--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"]
    advice = [f"apt-get update && apt-get install -y {' '.join(names)}    # and then the same `make` again"]
    install, doing = ["apt-get", "install", *options, *names], f"Debian packages: {' '.join(names)}"
    try:
        console.run(install, doing, environment=environment)
    except SetupError:
        refresh = "Debian packages: refreshing the lists"
        console.run(["apt-get", "update"], refresh, environment=environment, advice=advice)
        console.run(install, doing, environment=environment, advice=advice)


def ensure_test_tools(_root: Path, console: Console) -> None:
    """Install what some tests need; where that cannot be, say what to type."""
    _ensure(_TEST_TOOLS, console)


def ensure_test_engines(_root: Path, console: Console) -> None:
    """Install what tests start engines of their own from; where that cannot be, say what to type."""
    _ensure(_ENGINES, console)


def _ensure(wanted: Mapping[str, tuple[str, ...]], console: Console) -> None:
    missing = [name for program, names in wanted.items() if not shutil.which(program) for name in names]
    if missing and can_install():
        install_packages(missing, console)
    elif missing:
        console.say(f"tests: some need more than is here; type: sudo apt-get install -y {' '.join(missing)}")
