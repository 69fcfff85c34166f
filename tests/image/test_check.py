"""`image check` builds twice in other surroundings, and names the first file that is not the same."""

import json
import shutil
from pathlib import Path

import pytest

from launcher.cli.app import run
from launcher.image.differences import HeldImage, image_differences
from launcher.sources.layout import open_layout, pin_image
from tests.image.makers import make_deb, make_layout, tar_member, tar_of, text_file
from tests.image.test_build import write_recipe

# Stands for the image's loader, which runs its interpreter: it leaves "bytecode" whose body is $BODY.
LOADER = """#!/bin/sh
for root; do :; done
while read -r path; do
    mkdir -p "$root${path%/*}/__pycache__"
    name=${path##*/}
    cached=$root${path%/*}/__pycache__/${name%.py}.cpython-311.pyc
    printf '\\247\\r\\r\\n\\001\\000\\000\\000%s' "BODY" > "$cached"
done
"""
MODULE = "usr/lib/python3.11/__pycache__/thing.cpython-311.pyc"


def recipe_of(folder: Path, body: str) -> Path:
    """Write a recipe whose one package lies beside it, to be named with --mirror."""
    deb = make_deb(
        text_file("./lib64/ld-linux-x86-64.so.2", LOADER.replace("BODY", body), 0o755),
        text_file("./usr/bin/python3.11", "x", 0o755),
        text_file("./usr/lib/python3.11/thing.py", "pass\n"),
    )
    write_recipe(folder, {"pool/main/t/tiny.deb": ("tiny", "1.0", deb)}, {})
    place = folder / "mirror/pool/main/t"
    place.mkdir(parents=True)
    (place / "tiny.deb").write_bytes(deb)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVALCTL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def check(recipe: Path, *arguments: str) -> int:
    return run(["image", "check", str(recipe), "--mirror", str(recipe / "mirror"), *arguments])


def test_the_same_bytes_twice_are_exit_0_and_their_digests(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = recipe_of(tmp_path / "recipe", "same")
    assert run(["image", "build", str(recipe), "--mirror", str(recipe / "mirror"), "--json"]) == 0
    built = json.loads(capsys.readouterr().out)
    assert check(recipe, "--json") == 0
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert answer["equal"] and answer["differences"] == []
    assert {key: answer[key] for key in ("digest", "config", "diff_ids")} == {
        key: built[key] for key in ("digest", "config", "diff_ids")
    }
    assert answer["expected"] == [{"name": str(recipe / "layout"), "digest": built["digest"]}]
    first, second = (build["surroundings"] for build in answer["builds"])
    assert "umask 022" in first and "umask 077" in second and "Asia/Tokyo" in second
    assert captured.err == ""
    assert not list((home / "cache").glob("check-*"))


def test_a_planted_difference_is_exit_1_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = recipe_of(tmp_path / "recipe", "$(cat /proc/sys/kernel/random/uuid)")
    assert check(recipe) == 1
    captured = capsys.readouterr()
    assert f"differs   layer 1 of 2: {MODULE}: bytes sha256 " in captured.out
    assert "build 2 of 2: umask 077" in captured.err


def test_a_finished_layout_in_the_cache_hides_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = recipe_of(tmp_path / "recipe", "$(cat /proc/sys/kernel/random/uuid)")
    for out in ("one", "two"):
        assert (
            run(
                [
                    "image",
                    "build",
                    str(recipe),
                    "--mirror",
                    str(recipe / "mirror"),
                    "--out",
                    str(tmp_path / out),
                ]
            )
            == 0
        )
    one, two = (line.split()[0] for line in capsys.readouterr().out.splitlines())
    assert one == two
    assert check(recipe) == 1


def test_a_layout_that_was_built_from_something_else_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = recipe_of(tmp_path / "recipe", "same")
    assert run(["image", "build", str(recipe), "--mirror", str(recipe / "mirror")]) == 0
    text = (recipe / "recipe.toml").read_text()
    (recipe / "recipe.toml").write_text(text.replace("root:x:0:0", "toor:x:0:0"))
    assert check(recipe) == 1
    assert f"{recipe}/layout: layer 1 of 2: etc/passwd: bytes sha256 " in capsys.readouterr().out


def test_a_damaged_blob_of_the_layout_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = recipe_of(tmp_path / "recipe", "same")
    assert run(["image", "build", str(recipe), "--mirror", str(recipe / "mirror"), "--json"]) == 0
    layer = recipe / "layout/blobs/sha256" / json.loads(capsys.readouterr().out)["diff_ids"][0][7:]
    layer.write_bytes(layer.read_bytes()[:-1] + b"?")
    assert check(recipe, "--json") == 1
    (difference,) = json.loads(capsys.readouterr().out)["differences"]
    assert difference["where"] == f"{recipe}/layout: damaged"
    # The damage is in the cache of layouts too, for files are shared; it is seen there and goes no further.
    shutil.rmtree(recipe / "layout")
    assert run(["image", "build", str(recipe)]) == 0
    assert check(recipe) == 0


def test_a_blueprint_that_pins_another_digest_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blueprint = Path(__file__).parents[2] / "blueprints/digits-svm/blueprint.toml"
    assert check(recipe_of(tmp_path / "recipe", "same"), "--blueprint", str(blueprint)) == 1
    assert f"differs   {blueprint}: it pins sha256:61fe3e45" in capsys.readouterr().out


def test_a_build_that_fails_is_the_error_of_that_build(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = recipe_of(tmp_path / "recipe", "same")
    text = (recipe / "recipe.toml").read_text()
    (recipe / "recipe.toml").write_text(text.replace("/usr/bin/python3.11", "/usr/bin/python3.12"))
    assert check(recipe, "--json") == 4
    assert json.loads(capsys.readouterr().err.splitlines()[-1])["error"]["code"] == "image-build-failed"


def held(folder: Path, **changes: object) -> HeldImage:
    digest = make_layout(folder, **changes)  # type: ignore[arg-type]
    layout = open_layout(folder)
    return HeldImage(layout, pin_image(layout, digest, "linux/amd64"))


def one_file(
    name: str = "etc/x", text: str = "a", *, mode: int = 0o644, time: int = 1, uid: int = 0
) -> bytes:
    member = tar_member(name, mode=mode, uid=uid)
    member.mtime = time
    return tar_of((member, text.encode()), compression="")


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (one_file(mode=0o600), "mode 0644 and 0600"),
        (one_file(time=2), "mtime 1 and 2"),
        (one_file(uid=7), "owner 0:0 and 7:0"),
        (one_file(text="b"), "bytes sha256 ca978112ca1b and 3e23e8160039"),
        (one_file(text="ab", mode=0o755), "mode 0644 and 0755, size 1 and 2, bytes"),
    ],
)
def test_what_differs_about_a_file_is_said(tmp_path: Path, other: bytes, what: str) -> None:
    (found,) = image_differences(
        held(tmp_path / "a", layers=[one_file("etc/same"), one_file()]),
        held(tmp_path / "b", layers=[one_file("etc/same"), other]),
    )
    assert (found.where, found.path) == ("layer 2 of 2", "etc/x")
    assert found.what.startswith(what)


def test_files_on_one_side_only_are_said(tmp_path: Path) -> None:
    first = held(tmp_path / "a", layers=[one_file("a")])
    found = image_differences(first, held(tmp_path / "b", layers=[one_file("b")]))
    assert [(each.path, each.what) for each in found] == [
        ("a", "only in the first"),
        ("b", "only in the second"),
    ]


def test_of_equal_layers_the_configuration_is_compared_by_key(tmp_path: Path) -> None:
    found = image_differences(
        held(tmp_path / "a", config={"Labels": {"x": "1", "y": "2"}}),
        held(tmp_path / "b", config={"Labels": {"x": "1", "y": "3"}}),
    )
    assert [(each.where, each.path, each.what) for each in found] == [
        ("configuration", "config.Labels.y", "'2' and '3'")
    ]


def test_more_differences_than_fit_are_counted(tmp_path: Path) -> None:
    layers = [tar_of(*(text_file(f"f{at}", text) for at in range(30)), compression="") for text in "ab"]
    found = image_differences(
        held(tmp_path / "a", layers=layers[:1]), held(tmp_path / "b", layers=layers[1:])
    )
    assert len(found) == 21
    assert found[-1].what == "10 more files differ"
