"""PyTorch with worker processes and a compiler of its own runs under the whole sandbox."""

import json
import shutil
from pathlib import Path

import pytest

from scripts.layouts import LARGE, held_digests, pinned_layouts
from tests.cli.documents import compare, exchanges
from tests.cli.transcripts import CHECKOUT, Exchange, replay

pytestmark = [
    pytest.mark.harness,
    pytest.mark.engine,
    pytest.mark.image,
    pytest.mark.slow,
    pytest.mark.timeout(900),
]

PAGE = CHECKOUT / "blueprints" / "torch-compile" / "README.md"


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    for layout, (digest, _) in pinned_layouts(CHECKOUT).items():
        if layout.parent.name in LARGE and digest not in held_digests(layout):
            pytest.skip(f"{layout.parent.relative_to(CHECKOUT)} is not built: make harness")


def test_a_compiled_network_answers_as_the_page_shows_and_only_exec_tmp_is_widened(tmp_path: Path) -> None:
    shown = exchanges(PAGE.read_text())
    compare(shown, list(replay(shown, tmp_path)))
    bundle = tmp_path / "work" / "build" / "torch"
    result = json.loads((bundle / "result.json").read_bytes())
    (deviation,) = result["deviations"]
    assert deviation.startswith("sandbox widened (1 of 1): exec-tmp")
    steps = [json.loads(line) for line in (bundle / "events.jsonl").read_bytes().splitlines()]
    names = [step["step"] for step in steps if step["source"] == "container"]
    assert (names.count("compile"), names.count("compiled")) == (1, 7)
    listed = json.loads((bundle / "environment.json").read_bytes())["facts"]
    facts = {fact["name"]: fact["value"] for fact in listed}
    assert [each["name"] for each in facts["image.compilers"]] == ["g++-12", "gcc-12"]
    assert facts["image.torch-build"][0]["version"] == "2.13.0+cpu"


def test_without_the_widening_the_compiled_code_cannot_be_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "narrow"
    shutil.copytree(PAGE.parent, folder, ignore=shutil.ignore_patterns("src"))
    text = (folder / "blueprint.toml").read_text().replace('allow = ["exec-tmp"]', "allow = []")
    text = text.replace("../../images", str(CHECKOUT / "images"))
    text = text.replace("../digits-svm", str(CHECKOUT / "blueprints" / "digits-svm"))
    (folder / "blueprint.toml").write_text(text)
    command = f"evalctl launch {folder}/blueprint.toml --out build/narrow --json"
    list(replay([Exchange("", command, "")], tmp_path))
    result = json.loads((tmp_path / "work" / "build" / "narrow" / "result.json").read_bytes())
    assert (result["status"], result["failure"]) == ("failed", "candidate")
    said = (tmp_path / "work" / "build" / "narrow" / "logs" / "run-0.stderr").read_text()
    assert "failed to map segment from shared object" in said
