"""Set-up touches `.venv` only where what is committed says something else."""

import json
from pathlib import Path

import pytest

from scripts.console import Console
from scripts.virtual_environment import STAMP, ensure_environment, wanted_stamp

PROJECT = """
[build-system]
requires = ["hatchling"]
[project]
name = "demo"
[tool.hatch]
version = 1
[tool.ruff]
line-length = 110
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout whose `.venv` is up to date and whose interpreter only notes its arguments."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "pip.txt").write_text("pip==1\n")
    (tmp_path / "requirements" / "dev.txt").write_text("demo==1\n")
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$2 $3" >>"$(dirname "$0")/calls"\n')
    python.chmod(0o755)
    (tmp_path / ".venv" / STAMP).write_text(json.dumps(wanted_stamp(tmp_path)))
    return tmp_path


def calls(checkout: Path) -> list[str]:
    return [
        line.split()[0]
        for line in (checkout / ".venv" / "bin" / "calls").read_text().split("\n")
        if line.strip()
    ]


def test_an_environment_as_committed_is_left_alone(checkout: Path) -> None:
    ensure_environment(checkout, Console())
    assert calls(checkout) == ["compileall"]


def test_settings_of_other_tools_do_not_count_as_a_change(checkout: Path) -> None:
    (checkout / "pyproject.toml").write_text(PROJECT.replace("110", "100"))
    ensure_environment(checkout, Console())
    assert calls(checkout) == ["compileall"]


def test_a_change_of_the_project_installs_the_project_alone(checkout: Path) -> None:
    (checkout / "pyproject.toml").write_text(PROJECT.replace('"demo"', '"other"'))
    ensure_environment(checkout, Console())
    assert calls(checkout) == ["pip", "compileall"]
    ensure_environment(checkout, Console())
    assert calls(checkout) == ["pip", "compileall", "compileall"]


def test_the_stamp_covers_every_lock_and_the_place(checkout: Path, tmp_path: Path) -> None:
    before = wanted_stamp(checkout)["locked"]
    for name in ("pip.txt", "dev.txt"):
        (checkout / "requirements" / name).write_text("changed==2\n")
        after = wanted_stamp(checkout)["locked"]
        assert after != before
        before = after
    moved = checkout.rename(tmp_path.with_name("moved"))
    assert wanted_stamp(moved)["locked"] != before
