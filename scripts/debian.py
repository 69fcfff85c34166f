"""Install Debian packages, as root."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from scripts.console import Console, SetupError

# What tests build attackers with, or hold our keys against; by the program that shows it is there.
_TEST_TOOLS: Final[Mapping[str, tuple[str, ...]]] = {
    "/bin/busybox": ("busybox-static",),
    "gcc": ("gcc", "libc6-dev"),
    "ssh-keygen": ("openssh-client",),
}


def can_install() -> bool:
    """Say whether this process may install packages with apt."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def install_packages(names: list[str], console: Console) -> None:
    """Install `names`, refreshing the package lists only where that is needed."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
    options = ["--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=120"]
    install, doing = ["apt-get", "install", *options, *names], f"Debian packages: {' '.join(names)}"
    try:
        console.run(install, doing, environment=environment)
    except SetupError:
        console.run(["apt-get", "update"], "Debian packages: refreshing the lists", environment=environment)
        console.run(install, doing, environment=environment)


def ensure_test_tools(_root: Path, console: Console) -> None:
    """Install what some tests need; where that cannot be, say what to type."""
    missing = [name for program, names in _TEST_TOOLS.items() if not shutil.which(program) for name in names]
    if missing and can_install():
        install_packages(missing, console)
    elif missing:
        console.say(f"tests: some need more than is here; type: sudo apt-get install -y {' '.join(missing)}")
