"""A recipe becomes the same layout each time; a layout in place is used again or replaced whole."""

import threading
import tomllib
from pathlib import Path

import pytest

from launcher.errors import EvalctlError, InfrastructureError, MalformedError
from launcher.image.build import build_image
from launcher.image.finished import finished_image, inputs_digest
from launcher.image.oci import Description, write_layer, write_layout
from launcher.image.recipe import load_recipe
from launcher.image.staging import put_in_place, staging_folder
from launcher.image.workshop import Workshop
from tests.image.makers import lock_text, make_deb, text_file

RECIPE = """
schema = "evalctl/image-recipe/v1"
name = "tiny"
platform = "linux/amd64"
source-date-epoch = 1767225600
[config]
user = "65532:65532"
working-directory = "/"
environment = { PATH = "/usr/bin" }
labels = {}
[packages]
exclude = ["usr/share/doc/*"]
keep = ["usr/share/doc/*/copyright"]
[wheels]
[python]
version = "3.11"
interpreter = "/usr/bin/python3.11"
standard-library = "/usr/lib/python3.11"
prefix = "/usr/local"
site-packages = "/usr/local/lib/python3.11/dist-packages"
[links]
[files]
"etc/passwd" = "root:x:0:0:root:/root:/usr/sbin/nologin"
"""

IMAGES = Path(__file__).resolve().parents[2] / "images"

Files = dict[str, tuple[str, str, bytes]]


def write_recipe(folder: Path, packages: Files, wheels: Files, text: str = RECIPE) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.toml").write_text(text)
    (folder / "packages.lock").write_text(lock_text("package", packages))
    (folder / "wheels.lock").write_text(lock_text("wheel", wheels))


def quiet(_: str) -> None:
    pass


@pytest.fixture
def finished(tmp_path: Path) -> tuple[Path, str]:
    """Return a layout of one layer and the inputs it is marked with."""
    write_recipe(tmp_path / "recipe", {}, {})
    recipe = load_recipe(tmp_path / "recipe")
    layout = tmp_path / "layout"
    image = Description(recipe.platform, recipe.time, recipe.config)
    write_layout(layout, image, [write_layer(layout, [b"a tar"], "tests")], inputs_digest(recipe))
    return layout, inputs_digest(recipe)


def test_a_finished_layout_is_used_again(finished: tuple[Path, str], tmp_path: Path) -> None:
    layout, inputs = finished
    built = build_image(tmp_path / "recipe", layout, Workshop(tmp_path / "cache", quiet))
    assert built == finished_image(layout, inputs)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("change", ["index", "manifest", "cut", "missing", "marker"])
def test_a_layout_that_is_not_whole_is_not_used_again(finished: tuple[Path, str], change: str) -> None:
    layout, inputs = finished
    built = finished_image(layout, inputs)
    assert built is not None
    blobs = layout / "blobs" / "sha256"
    layer = blobs / built.diff_ids[0][7:]
    if change == "index":
        (layout / "index.json").write_text('{"manifests": [3]}')
    elif change == "manifest":
        (blobs / built.digest[7:]).write_text("{}")
    elif change == "cut":
        layer.write_bytes(b"a")
    elif change == "missing":
        layer.unlink()
    else:
        (layout / "oci-layout").unlink()
    assert finished_image(layout, inputs) is None


def test_another_lock_means_another_build(finished: tuple[Path, str]) -> None:
    assert finished_image(finished[0], "sha256:" + "0" * 64) is None


def test_a_missing_interpreter_is_a_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    deb = make_deb(text_file("./usr/share/x"))
    write_recipe(tmp_path / "recipe", {"pool/main/t/tiny.deb": ("tiny", "1.0", deb)}, {})
    mirror = tmp_path / "mirror" / "pool" / "main" / "t"
    mirror.mkdir(parents=True)
    (mirror / "tiny.deb").write_bytes(deb)
    with pytest.raises(InfrastructureError, match="no loader"):
        build_image(
            tmp_path / "recipe",
            tmp_path / "out" / "layout",
            Workshop(tmp_path / "cache", quiet, [str(tmp_path / "mirror")]),
        )
    assert list((tmp_path / "out").iterdir()) == []


def test_a_lock_that_names_another_package_is_refused(tmp_path: Path) -> None:
    deb = make_deb(text_file("./usr/share/x"), name="other")
    write_recipe(tmp_path / "recipe", {"tiny.deb": ("tiny", "1.0", deb)}, {})
    (tmp_path / "tiny.deb").write_bytes(deb)
    with pytest.raises(InfrastructureError, match="another package"):
        build_image(tmp_path / "recipe", tmp_path / "o", Workshop(tmp_path / "c", quiet, [str(tmp_path)]))


def test_a_folder_that_is_no_layout_is_never_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "home"
    precious.mkdir()
    (precious / "thesis.tex").write_text("x")
    (tmp_path / "new").mkdir()
    with pytest.raises(InfrastructureError) as caught:
        put_in_place(tmp_path / "new", precious)
    assert caught.value.code == "destination-occupied"
    assert (precious / "thesis.tex").exists()


def test_what_a_killed_build_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".layout.building" / "layout" / "blobs"
    left.mkdir(parents=True)
    with staging_folder(tmp_path / "layout", lambda: None) as folder:
        assert list(folder.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_second_builder_waits_for_the_first(tmp_path: Path) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with staging_folder(tmp_path / "layout", waiting.set):
            order.append("second")

    with staging_folder(tmp_path / "layout", lambda: None):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"evalctl/image-recipe/v1"', '"evalctl/image-recipe/v9"'),
        ('name = "tiny"', "name = 3"),
        ("source-date-epoch = 1767225600", "source-date-epoch = true"),
        ("[python]", "[snake]"),
        ("labels = {}", "labels = { a = 1 }"),
        ("[wheels]", '[wheels]\nexclude = "x"'),
        ("[config]", "[config"),
    ],
)
def test_a_malformed_recipe_names_what_is_wrong(tmp_path: Path, old: str, new: str) -> None:
    write_recipe(tmp_path, {}, {}, RECIPE.replace(old, new, 1))
    with pytest.raises(MalformedError) as caught:
        load_recipe(tmp_path)
    assert "recipe.toml" in caught.value.message


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "", "a/./b"])
def test_a_lock_with_a_path_that_is_not_plain_is_refused(tmp_path: Path, path: str) -> None:
    write_recipe(tmp_path, {path: ("tiny", "1.0", b"")}, {})
    with pytest.raises(MalformedError, match="plain relative path"):
        load_recipe(tmp_path)


def test_a_folder_without_a_recipe_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(EvalctlError) as caught:
        build_image(tmp_path, tmp_path / "layout", Workshop(tmp_path, quiet))
    assert (caught.value.code, caught.value.exit_status) == ("recipe-not-found", 2)


def test_a_foreign_platform_is_a_requirement_not_met(tmp_path: Path) -> None:
    write_recipe(tmp_path, {}, {}, RECIPE.replace("linux/amd64", "linux/riscv64"))
    with pytest.raises(EvalctlError) as caught:
        build_image(tmp_path, tmp_path / "layout", Workshop(tmp_path, quiet))
    assert caught.value.exit_status == 6


@pytest.mark.parametrize("recipe", sorted(IMAGES.glob("*/recipe.toml")), ids=lambda path: path.parent.name)
def test_a_committed_lock_is_of_its_recipe_and_of_the_frozen_suite_alone(recipe: Path) -> None:
    wanted = tomllib.loads(recipe.read_text())["packages"]["names"]
    loaded = load_recipe(recipe.parent)
    assert [package.name for package in loaded.packages] == sorted(wanted)
    assert all(package.file.startswith("pool/main/") for package in loaded.packages)
    if loaded.build is not None:
        wanted = tomllib.loads(recipe.read_text())["build"]["names"]
        assert [package.name for package in loaded.build.packages] == sorted(wanted)
        assert all(package.file.startswith("pool/main/") for package in loaded.build.packages)
