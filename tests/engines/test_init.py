import shutil
import subprocess
from pathlib import Path

import pytest

from launcher.engines.docker_request import INIT_SOURCE

FOLDER = INIT_SOURCE.parent


def installed_toolchain() -> str:
    compiler = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout
    linker = subprocess.run(["ld", "--version"], capture_output=True, text=True, check=True).stdout
    return f"gcc {compiler.strip()}\n{linker.splitlines()[0]}\n"


def test_the_committed_init_is_what_its_source_builds(tmp_path: Path) -> None:
    if shutil.which("gcc") is None or shutil.which("ld") is None:
        pytest.skip("no gcc and ld to rebuild the init with")
    if installed_toolchain() != (wanted := (FOLDER / "toolchain").read_text()):
        pytest.skip(f"the init was built with another toolchain: {wanted.strip()}")
    built = tmp_path / "built"
    subprocess.run(["sh", FOLDER / "build.sh", built], check=True, timeout=60)
    assert built.read_bytes() == INIT_SOURCE.read_bytes()


def test_the_init_is_small_static_and_executable() -> None:
    data = INIT_SOURCE.read_bytes()
    assert data[:4] == b"\x7fELF"
    assert len(data) < 16384
    assert b"ld-linux" not in data
    assert INIT_SOURCE.stat().st_mode & 0o111 == 0o111


def test_the_init_refuses_to_be_anything_but_pid_one() -> None:
    done = subprocess.run([INIT_SOURCE, "true"], stdin=subprocess.DEVNULL, timeout=10, check=False)
    assert done.returncode == 64
