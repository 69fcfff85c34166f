"""Install Debian packages, as root."""

import os
import shutil

from scripts.console import Console, SetupError


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
