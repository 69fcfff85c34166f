"""What the README says to type works as it says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cli.documents import check, exchanges
from tests.cli.transcripts import CHECKOUT

README = (CHECKOUT / "README.md").read_text()
DIGITS = (CHECKOUT / "blueprints" / "digits-svm" / "blueprint.toml").read_text()


def test_the_readme_pins_the_image_that_the_shipped_blueprint_pins() -> None:
    assert set(re.findall(r"@sha256:[0-9a-f]{64}", README)) == set(
        re.findall(r"@sha256:[0-9a-f]{64}", DIGITS)
    )


@pytest.mark.engine
@pytest.mark.image
def test_every_line_of_the_real_run_in_the_readme_comes_in_its_order(tmp_path: Path) -> None:
    if not (CHECKOUT / "images" / "eval-python" / "layout" / "index.json").is_file():
        pytest.skip("images/eval-python is not built: make setup")
    (run,) = re.findall(r"(?s)## What it looks like\n.*?(```\n.*?```)", README)
    check(exchanges(run), tmp_path)


@pytest.mark.engine
@pytest.mark.image
def test_the_blueprint_of_ones_own_launches_and_a_stranger_reproduces_it(tmp_path: Path) -> None:
    if not (CHECKOUT / "images" / "eval-python" / "layout" / "index.json").is_file():
        pytest.skip("images/eval-python is not built: make setup")
    for name in (".venv", "images"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    own, strangers = re.findall(r"(?s)```sh\n(.*?)```", README)
    (ending,) = re.findall(r"(?s)It ends like this:\n\n```\n(.*?)\(\.\.\. the bundle's path", README)
    said = typed(own, tmp_path, home=tmp_path / "home")
    assert said.startswith(f"blueprint.toml: valid (me/coin 1.0.0)\n{ending}/")
    build = tmp_path / "build"
    shutil.copytree(said.splitlines()[-1], build / "bundle")
    shutil.copy(tmp_path / "home" / "keys" / "default.pub", build / "alice.pub")
    assert "\nidentical\n" in typed(strangers, build, home=tmp_path / "strangers-home")


def typed(script: str, folder: Path, *, home: Path) -> str:
    """Run what the README says to type; return its standard output."""
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        env=os.environ | {"EVALCTL_HOME": str(home), "PATH": f"{CHECKOUT}/.venv/bin:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
