"""The targets of the Makefile, and the scripts they call, as a new user meets them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.setup import main

ROOT = Path(__file__).parent.parent.parent


def run(*command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    clean = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        command, cwd=ROOT, env=clean | environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_make_alone_lists_every_public_target_in_one_line() -> None:
    result = run("make")
    listed = [line.split()[0] for line in result.stdout.splitlines()]
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert result.returncode == 0
    assert listed == [
        name
        for name in phony.split()
        if name not in ("environment", "tools", "engines", "browser", "verifiers")
    ]
    assert all(len(line.split()) > 2 for line in result.stdout.splitlines())


def test_the_python_that_set_up_finds_is_new_enough() -> None:
    found = run("scripts/find-python.sh", PYTHON="")
    assert found.returncode == 0
    version = run(found.stdout.strip(), "-c", "import sys; print(sys.version_info >= (3, 11))")
    assert version.stdout == "True\n"


def test_the_python_that_the_user_names_is_taken() -> None:
    assert run("scripts/find-python.sh", PYTHON=sys.executable).stdout == f"{sys.executable}\n"


def test_without_a_new_enough_python_set_up_says_what_to_type() -> None:
    result = run("scripts/find-python.sh", PYTHON="no-such-python false")
    assert result.returncode == 1
    assert "error: no Python >= 3.11 found (tried no-such-python false)" in result.stderr
    assert "sudo apt-get install" in result.stderr


def test_an_unknown_step_of_set_up_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["motors"]) == 2
    assert "no such step: motors" in capsys.readouterr().err


def test_what_the_targets_make_is_ignored_by_git() -> None:
    made = [
        ".venv/bin/python",
        "build/engine/dockerd.log",
        "images/eval-python/layout/index.json",
        ".ruff_cache/x",
    ]
    assert run("git", "check-ignore", *made).stdout.splitlines() == made
