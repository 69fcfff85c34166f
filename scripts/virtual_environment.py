"""Make `.venv` from the hash-locked requirements, with the project installed in place."""

import hashlib
import importlib.util
import json
import subprocess
import sys
import tomllib
from pathlib import Path

from scripts.console import Console, SetupError, environment_without
from scripts.debian import can_install, install_packages

STAMP = "evalctl-setup.json"
BROWSER_STAMP = "evalctl-browser.sha256"
# Settings that send packages elsewhere or change what is locked; where they come from is left alone.
_PIP_OVERRIDES = (
    "PIP_CONSTRAINT",
    "PIP_NO_BINARY",
    "PIP_NO_DEPS",
    "PIP_PREFIX",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_REQUIREMENT",
    "PIP_ROOT",
    "PIP_TARGET",
    "PIP_USER",
    "PYTHONHOME",
    "PYTHONPATH",
)


def ensure_environment(root: Path, console: Console) -> None:
    """Bring `.venv` under `root` to what is committed; do nothing where it already is.

    A stamp, written after each step, keeps the digests of what was used: a broken-off step is taken again.
    """
    venv = root / ".venv"
    wanted = wanted_stamp(root)
    found = _read_stamp(venv)
    if found.get("locked") != wanted["locked"]:
        _create(root, venv, console)
        found = {"locked": wanted["locked"]}
        (venv / STAMP).write_text(json.dumps(found))
    if found.get("project") != wanted["project"]:
        _install_project(root, venv, console)
        (venv / STAMP).write_text(json.dumps(wanted))
    _compile(root, venv)
    console.say(f"virtual environment: ready in {venv}")


def ensure_browser_driver(root: Path, console: Console) -> None:
    """Bring what drives a browser in tests into `.venv`; do nothing where it already is."""
    venv, locked = root / ".venv", root / "requirements" / "browser.txt"
    stamp, wanted = venv / BROWSER_STAMP, hashlib.sha256(locked.read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    _pip(venv, console, "virtual environment: a browser's driver", "--requirement", locked)
    stamp.write_text(wanted)


def wanted_stamp(root: Path) -> dict[str, str]:
    """Return the stamp of an environment that is as committed."""
    return {"locked": _locked_digest(root, root / ".venv"), "project": _project_digest(root)}


def _locked_digest(root: Path, venv: Path) -> str:
    """Cover the requirement files, and the place: scripts in an environment name their interpreter's path."""
    parts = [str(venv).encode()]
    parts += [(root / "requirements" / name).read_bytes() for name in ("pip.txt", "dev.txt")]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def _project_digest(root: Path) -> str:
    """Cover what an editable install takes from `pyproject.toml`: metadata, scripts, the build."""
    document = tomllib.loads((root / "pyproject.toml").read_text())
    parts = [document["build-system"], document["project"], document["tool"]["hatch"]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _read_stamp(venv: Path) -> dict[str, str]:
    """Return the stamp, or nothing where there is none or its interpreter no longer starts."""
    try:
        stamp: dict[str, str] = json.loads((venv / STAMP).read_text())
        subprocess.run([venv / "bin" / "python", "-c", ""], check=True, capture_output=True)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return {}
    return stamp


def _create(root: Path, venv: Path, console: Console) -> None:
    """Make the environment anew: pip first, at its locked version, then every locked package.

    Python 3.11 adds a setuptools of its own, not locked, whose start-up hook slows every command.
    """
    _need_ensurepip(console)
    # An activated `.venv` must not be asked to clear itself.
    interpreter = getattr(sys, "_base_executable", sys.executable)
    version = ".".join(map(str, sys.version_info[:3]))
    console.run([interpreter, "-m", "venv", "--clear", venv], f"virtual environment: Python {version}")
    _pip(venv, console, "virtual environment: pip", "--requirement", root / "requirements" / "pip.txt")
    uninstall = ["-m", "pip", "uninstall", "--yes", "setuptools"]
    console.run([venv / "bin" / "python", *uninstall], "virtual environment: without setuptools")
    locked = root / "requirements" / "dev.txt"
    count = sum(line[:1].isalnum() for line in locked.read_text().splitlines())
    _pip(venv, console, f"virtual environment: {count} locked packages", "--requirement", locked)


def _install_project(root: Path, venv: Path, console: Console) -> None:
    options: list[str | Path] = ["--no-build-isolation", "--editable", root]
    _pip(venv, console, "virtual environment: evalctl itself", *options, hashes=False)


def _pip(venv: Path, console: Console, doing: str, *arguments: str | Path, hashes: bool = True) -> None:
    command: list[str | Path] = [venv / "bin" / "python", "-m", "pip", "install", "--no-deps"]
    command += ["--disable-pip-version-check", "--no-input", *(["--require-hashes"] if hashes else [])]
    console.run([*command, *arguments], doing, environment=environment_without(*_PIP_OVERRIDES))


def _compile(root: Path, venv: Path) -> None:
    """Write the launcher's bytecode now, for starts that are fast where Python must not write it later."""
    command: list[str | Path] = [venv / "bin" / "python", "-m", "compileall", "-q", root / "launcher"]
    subprocess.run(command, check=True, env=environment_without("PYTHONHOME", "PYTHONPATH"))


def _need_ensurepip(console: Console) -> None:
    """See that `python -m venv` can work; Debian keeps what it needs in a package of its own."""
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not can_install():
        advice = [f"sudo apt-get install -y {package}"]
        raise SetupError(
            f"`{sys.executable} -m venv` does not work here: `ensurepip` is missing", advice=advice
        )
    install_packages([package], console)
    importlib.invalidate_caches()
