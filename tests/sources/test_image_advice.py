"""What to type where an image is not to be had."""

from pathlib import Path

import pytest

from launcher.sources.images import advice
from launcher.spec.blueprint import Image
from launcher.spec.reading import read_blueprint
from tests.image.makers import make_layout

TEXT = """schema = "evalctl/blueprint/v1"
[blueprint]
name = "a/b"
version = "1.0.0"
[image]
ref = "{place}@{digest}"
[code]
git = "."
commit = "0000000000000000000000000000000000000000"
[run]
command = ["true"]
[[metric]]
name = "accuracy"
definition = "accuracy@1"
"""


def image(digest: str, place: str = "oci:image") -> Image:
    return read_blueprint(
        TEXT.format(place=place, digest=digest).encode(), file="x", supported_only=False
    ).image


@pytest.fixture
def own(tmp_path: Path) -> tuple[Path, str]:
    """Build a layout as a clone of evalctl has it, and return the folder of recipes and the digest."""
    folder = tmp_path / "images" / "eval-python" / "layout"
    folder.mkdir(parents=True)
    return tmp_path / "images", make_layout(folder)


def test_a_layout_that_evalctl_built_itself_only_wants_to_be_loaded(
    tmp_path: Path, own: tuple[Path, str]
) -> None:
    recipes, digest = own
    said = advice(image(digest), tmp_path, recipes)
    assert f"`evalctl image load {recipes}/eval-python/layout`" in said


def test_another_image_is_to_be_put_where_the_blueprint_looks(tmp_path: Path, own: tuple[Path, str]) -> None:
    said = advice(image("sha256:" + "0" * 64), tmp_path, own[0])
    assert f"at `{tmp_path}/image`" in said
    assert "--blueprint-dir" in said


def test_a_layout_that_lacks_beside_its_recipe_is_to_be_built(tmp_path: Path, own: tuple[Path, str]) -> None:
    (tmp_path / "recipe.toml").write_text("")
    said = advice(image("sha256:" + "0" * 64), tmp_path, own[0])
    assert said == f"build it with `evalctl image build {tmp_path}`"


def test_a_layout_of_another_image_is_called_that(tmp_path: Path, own: tuple[Path, str]) -> None:
    (tmp_path / "image").symlink_to(own[0] / "eval-python" / "layout")
    said = advice(image("sha256:" + "0" * 64), tmp_path, own[0])
    assert f"`{tmp_path}/image` holds another image" in said
    assert "evalctl image inspect" in said


def test_nothing_is_to_be_put_into_a_bundle(tmp_path: Path, own: tuple[Path, str]) -> None:
    (tmp_path / "SHA256SUMS").write_text("")
    assert advice(image(own[1]), tmp_path, own[0]).endswith("`--blueprint-dir`")


def test_an_image_of_a_registry_needs_a_mirror(tmp_path: Path, own: tuple[Path, str]) -> None:
    assert "`mirrors`" in advice(image(own[1], "registry.example/a/b"), tmp_path, own[0])
