"""The image with a compiled operator comes out the same twice, and an evaluation can use the operator."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.cli.app import run
from launcher.image.differences import HeldImage, image_differences
from launcher.sources.layout import only_digest, open_layout, pin_image
from launcher.store.home import find_home

pytestmark = [pytest.mark.image, pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]

RECIPE = Path(__file__).resolve().parents[2] / "images/eval-op"
EVALUATION = """
import json
from eval_op import edit_distances, self_check

self_check()
pairs = [json.loads(line) for line in open("/eval/inputs/pairs")]
found = edit_distances([pair["heard"] for pair in pairs], [pair["said"] for pair in pairs]).tolist()
with open("/eval/out/samples.jsonl", "w") as stream:
    for pair, distance in zip(pairs, found, strict=True):
        scores = {"edits": distance}
        stream.write(json.dumps({"id": pair["id"], "prediction": pair["heard"], "scores": scores}) + "\\n")
"""
PAIRS = [("kitten", "sitting"), ("same", "same"), ("", "four"), ("naïve", "naive")]
BLUEPRINT = """
schema = "evalctl/blueprint/v1"
[blueprint]
name = "tests/edits"
version = "1.0.0"
[image]
ref = "oci:{layout}@{digest}"
[code]
git = "."
commit = "{commit}"
[[data]]
name = "pairs"
uri = "pairs.jsonl"
sha256 = "{sha256}"
[run]
command = ["python3", "evaluate.py"]
determinism = "bitwise"
[[metric]]
name = "edits"
definition = "mean@1"
of = "scores.edits"
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a copy of the recipe with its layout built."""
    folder = tmp_path_factory.mktemp("eval-op") / "recipe"
    shutil.copytree(RECIPE, folder, ignore=shutil.ignore_patterns("layout"))
    assert run(["image", "build", str(folder)]) == 0
    yield folder
    shutil.rmtree(folder)


def held(layout: Path) -> HeldImage:
    opened = open_layout(layout)
    return HeldImage(opened, pin_image(opened, only_digest(opened), "linux/amd64"))


def test_two_compilations_elsewhere_give_the_same_bytes(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["image", "check", str(recipe), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["digest"] == answer["expected"][0]["digest"]
    assert len(answer["diff_ids"]) == 3


def test_a_flag_changes_the_operator_and_nothing_else(recipe: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(recipe, other, ignore=shutil.ignore_patterns("layout"))
    text = (other / "recipe.toml").read_text()
    (other / "recipe.toml").write_text(text.replace('"-O2"', '"-O1"'))
    assert run(["image", "build", str(other)]) == 0
    (found,) = image_differences(held(recipe / "layout"), held(other / "layout"))
    assert (found.where, found.path) == ("layer 3 of 3", "usr/local/lib/libeval_op.so")


def test_an_evaluation_uses_the_operator_in_the_sandbox(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from launcher.digest import sha256_hex

    rows = [{"id": str(at), "heard": one, "said": other} for at, (one, other) in enumerate(PAIRS)]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (tmp_path / "pairs.jsonl").write_bytes(data)
    (tmp_path / "evaluate.py").write_text(EVALUATION)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for arguments in (["init", "-q"], ["add", "evaluate.py"], ["commit", "-q", "-m", "edits"]):
        subprocess.run([*git, *arguments], check=True, timeout=60)
    commit = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True, timeout=60)
    text = BLUEPRINT.format(
        layout=recipe / "layout",
        digest=held(recipe / "layout").pins.manifest,
        commit=commit.strip(),
        sha256=sha256_hex(data),
    )
    (tmp_path / "blueprint.toml").write_text(text)
    monkeypatch.setenv("EVALCTL_HOME", str(tmp_path / "home"))
    capsys.readouterr()
    assert run(["launch", str(tmp_path / "blueprint.toml"), "--json"]) == 0
    (metric,) = json.loads(capsys.readouterr().out)["metrics"]
    assert (metric["value"], metric["n"]) == (2.0, 4)
    assert find_home().root == tmp_path / "home"
