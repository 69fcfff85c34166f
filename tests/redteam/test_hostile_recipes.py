"""Recipes and locks of images by somebody who wants to run something here."""

import shutil
from pathlib import Path

import pytest

from launcher.errors import MalformedError
from launcher.image.recipe import load_recipe

RECIPE = Path(__file__).parents[2] / "images" / "eval-python"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "x @ file:///tmp/x-1.tar.gz#"),
        ("name", "./folder"),
        ("name", "--index-url"),
        ("name", "x\\n--index-url http://127.0.0.1/"),
        ("name", "x;python_version>'3'"),
        ("version", "1 --config-settings=a=b"),
        ("version", "1\\n-e ."),
        ("version", ""),
    ],
)
def test_a_lock_cannot_give_orders_to_pip(tmp_path: Path, key: str, value: str) -> None:
    folder = tmp_path / "image"
    shutil.copytree(RECIPE, folder)
    wheel = {"name": "x", "version": "1", "sha256": "0" * 64, "file": "x-1-py3-none-any.whl", key: value}
    lines = "".join(f'{name} = "{text}"\n' for name, text in wheel.items())
    (folder / "wheels.lock").write_text(f"[[wheel]]\n{lines}size = 1\n")
    with pytest.raises(MalformedError):
        load_recipe(folder)
