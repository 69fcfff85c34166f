"""Recipes and locks of images by somebody who wants to run something here."""

import io
import os
import shutil
import tempfile
import tracemalloc
from pathlib import Path

import pytest

from launcher.errors import MalformedError
from launcher.image.recipe import load_recipe
from launcher.image.tree import Spool, Tree
from launcher.image.wheel import TreeDestination, install_wheel
from tests.image.makers import make_wheel

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


@pytest.mark.parametrize("kind", ["link", "folder-link", "fifo", "folder"])
def test_a_recipe_brings_in_no_file_of_this_machine(tmp_path: Path, kind: str) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("private")
    folder = tmp_path / "image"
    shutil.copytree(RECIPE, folder, ignore=shutil.ignore_patterns("layout"))
    text = (folder / "recipe.toml").read_text()
    name = "src/key" if kind == "folder-link" else "key"
    (folder / "recipe.toml").write_text(
        text.replace("[files]", f'[files]\n"etc/key" = {{ from = "{name}" }}')
    )
    if kind == "link":
        (folder / "key").symlink_to(secret / "key")
    elif kind == "folder-link":
        (folder / "src").symlink_to(secret)
    elif kind == "fifo":
        os.mkfifo(folder / "key")
    else:
        (folder / "key").mkdir()
    with pytest.raises(MalformedError, match="not a regular file inside"):
        load_recipe(folder)


def test_a_library_of_a_wheel_is_never_whole_in_memory(tmp_path: Path) -> None:
    size = 64 << 20
    wheel = make_wheel({"tiny/library.so": "x" * size})
    with tempfile.TemporaryFile(dir=tmp_path) as stream:
        destination = TreeDestination(
            Tree(), Spool(stream), lambda _: True, "site", "usr", "/usr/bin/python3"
        )
        tracemalloc.start()
        try:
            install_wheel(io.BytesIO(wheel), "tiny-1.0-py3-none-any.whl", destination)
            assert tracemalloc.get_traced_memory()[1] < size // 8
        finally:
            tracemalloc.stop()
    node = destination.tree.get("site/tiny/library.so")
    assert node and node.extent and node.extent.size == size
