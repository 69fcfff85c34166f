"""What the README says to type works as it says."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.transcripts import CHECKOUT

README = (CHECKOUT / "README.md").read_text()
DIGITS = (CHECKOUT / "blueprints" / "digits-svm" / "blueprint.toml").read_text()


def test_the_readme_pins_the_image_that_the_shipped_blueprint_pins() -> None:
    assert set(re.findall(r"@sha256:[0-9a-f]{64}", README)) == set(
        re.findall(r"@sha256:[0-9a-f]{64}", DIGITS)
    )


@pytest.mark.engine
@pytest.mark.image
def test_the_blueprint_of_ones_own_launches_as_the_readme_shows(tmp_path: Path) -> None:
    if not (CHECKOUT / "images" / "eval-python" / "layout" / "index.json").is_file():
        pytest.skip("images/eval-python is not built: make setup")
    for name in (".venv", "images"):
        (tmp_path / name).symlink_to(CHECKOUT / name)
    script, ending = re.findall(r"(?s)```sh\n(.*?)```.*?```\n(.*?)```", README)[0]
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        env=os.environ | {"EVALCTL_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ending.endswith("\n(... the bundle's path ...)\n")
    shown = ending.removesuffix("(... the bundle's path ...)\n")
    assert done.stdout.startswith(f"blueprint.toml: valid (me/coin 1.0.0)\n{shown}/")
