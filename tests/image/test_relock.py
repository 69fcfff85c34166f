"""The locks of a recipe are written from the names it wants, without those it does not."""

import runpy
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.image.makers import make_wheel

RELOCK = runpy.run_path(str(Path(__file__).parents[2] / "images" / "relock.py"))
WANTED = {"requirements": ["needy"], "tags": ["manylinux_2_28_x86_64"]}


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put two packages where pip finds them, and a third, which one of them needs, nowhere."""
    needy = (
        "Metadata-Version: 2.1\nName: needy\nVersion: 1.0\nRequires-Dist: kept\nRequires-Dist: left-out>=3\n"
    )
    wheels = {
        "needy-1.0": make_wheel({"needy-1.0.dist-info/METADATA": needy}, name="needy"),
        "kept-1.0": make_wheel({"kept.py": ""}, name="kept"),
    }
    for name, data in wheels.items():
        (tmp_path / f"{name}-py3-none-any.whl").write_bytes(data)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))


def test_what_to_leave_out_is_neither_sought_nor_locked() -> None:
    lock = tomllib.loads(RELOCK["wheels_lock"]({**WANTED, "without": ["left-out"]}, "3.11"))
    assert [row["name"] for row in lock["wheel"]] == ["kept", "needy"]


def test_without_leaving_it_out_a_package_that_cannot_be_had_stops_the_lock() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        RELOCK["wheels_lock"](WANTED, "3.11")
