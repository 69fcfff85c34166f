"""Write the hash-locked requirement files anew from the ranges in `pyproject.toml` and the `*.in` files.

Usage: python -m scripts.lock [UV ARGUMENTS], such as `--upgrade` or `--upgrade-package NAME`

Pins that still fit are kept. One file serves Python 3.11 and later (`--universal`), and none names an
index: pip asks the one that the machine is configured with, and the hashes decide.
"""

import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_UV_HOME = ROOT / "build" / "lock-venv"


def main(arguments: list[str]) -> int:
    """Relock every file."""
    uv = _install_uv()
    for target, inputs in _locks():
        print(f"locking {target.relative_to(ROOT)}", flush=True)
        command = [str(uv), "pip", "compile", *inputs, "--output-file", str(target.relative_to(ROOT))]
        options = ["--quiet", "--universal", "--generate-hashes", "--python-version", "3.11"]
        quiet_about = ["--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "make lock"]
        subprocess.run([*command, *options, *quiet_about, *arguments], cwd=ROOT, check=True)
    return 0


def _locks() -> Iterator[tuple[Path, list[str]]]:
    requirements = ROOT / "requirements"
    yield requirements / "pip.txt", ["--group", "pip"]
    yield requirements / "lock.txt", ["--group", "lock"]
    yield requirements / "dev.txt", ["pyproject.toml", "--all-extras", "--group", "dev"]
    constraint = ["--constraint", "requirements/dev.txt"]
    yield requirements / "browser.txt", ["--group", "browser", *constraint]
    yield requirements / "fuzz.txt", ["--group", "fuzz", *constraint]
    yield requirements / "runtime.txt", ["pyproject.toml", *constraint]
    for source in sorted(ROOT.glob("blueprints/*/*.in")):
        yield source.with_suffix(".txt"), [str(source.relative_to(ROOT))]


def _install_uv() -> Path:
    """Make an environment of its own for uv, at the locked version; return the path of uv."""
    venv.create(_UV_HOME, with_pip=True)
    python = _UV_HOME / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    subprocess.run([*install, "--requirement", str(ROOT / "requirements" / "lock.txt")], check=True)
    return _UV_HOME / "bin" / "uv"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
