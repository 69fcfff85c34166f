"""The blueprints that ship are whole: files as pinned, code as committed, published figures consistent."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from launcher.digest import hash_file
from launcher.metrics.evaluation import evaluate
from launcher.spec.reading import read_blueprint
from launcher.spec.sample import Sample
from scripts.code_bundle import bundled_commit, commit_sources, main, write_bundle

ROOT = Path(__file__).parent.parent
BLUEPRINTS = sorted(path.parent for path in ROOT.glob("blueprints/*/blueprint.toml"))
DIGITS = ROOT / "blueprints" / "digits-svm"

every_blueprint = pytest.mark.parametrize("folder", BLUEPRINTS, ids=lambda folder: folder.name)


def blueprint(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "blueprint.toml").read_text())


def published(name: str) -> float:
    (value,) = (m["published"]["value"] for m in blueprint(DIGITS)["metric"] if m["name"] == name)
    return value


@every_blueprint
def test_every_local_input_has_the_pinned_bytes(folder: Path) -> None:
    pins = blueprint(folder)
    for pin in [*pins.get("model", []), *pins.get("data", [])]:
        if ":" not in pin["uri"]:
            assert hash_file(folder / pin["uri"]) == (pin["sha256"], pin["size"]), pin["name"]


@every_blueprint
def test_the_pinned_commit_is_made_of_the_sources_beside_it(folder: Path, tmp_path: Path) -> None:
    commit = blueprint(folder)["code"]["commit"]
    assert commit_sources(folder / "src", tmp_path) == commit
    assert bundled_commit(folder / "code.bundle") == commit


@every_blueprint
def test_the_bundle_of_code_is_whole_in_a_shallow_clone(folder: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(folder / "code.bundle"), str(clone)], check=True)
    sources = {path.relative_to(folder / "src") for path in (folder / "src").rglob("*.py")}
    cloned = {path.relative_to(clone) for path in clone.rglob("*") if path.is_file()}
    assert {path for path in cloned if path.parts[0] != ".git"} == sources
    for path in sources:
        assert (clone / path).read_bytes() == (folder / "src" / path).read_bytes()


def test_the_commit_changes_with_the_sources_and_with_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "demo" / "src" / "answer.py"
    source.parent.mkdir(parents=True)
    source.write_text("print(42)\n")
    first = write_bundle(tmp_path / "demo")

    source.chmod(0o755)
    (source.parent / "__pycache__").mkdir()
    (source.parent / "__pycache__" / "answer.pyc").write_bytes(b"bytecode")
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody Else")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    assert write_bundle(tmp_path / "demo") == first

    source.write_text("print(43)\n")
    assert write_bundle(tmp_path / "demo") != first


def test_a_bundle_that_is_up_to_date_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "answer.py").write_text("print(42)\n")
    write_bundle(tmp_path)
    before = (tmp_path / "code.bundle").stat()
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / "code.bundle").stat().st_mtime_ns == before.st_mtime_ns


def test_images_and_labels_of_the_digits_speak_of_the_same_ids() -> None:
    images = [json.loads(line) for line in (DIGITS / "images.jsonl").read_text().splitlines()]
    labels = [json.loads(line) for line in (DIGITS / "labels.jsonl").read_text().splitlines()]
    assert [image["id"] for image in images] == [label["id"] for label in labels]
    assert len({label["id"] for label in labels}) == 899
    assert all(0 <= value <= 16 for image in images for row in image["pixels"] for value in row)


def test_the_published_tables_of_the_digits_agree_with_each_other() -> None:
    matrix = json.loads((DIGITS / "published-confusion.json").read_text())["matrix"]
    targets = [json.loads(line)["target"] for line in (DIGITS / "labels.jsonl").read_text().splitlines()]
    correct = [matrix[digit][digit] for digit in range(10)]
    true = [sum(row) for row in matrix]
    predicted = [sum(column) for column in zip(*matrix, strict=True)]

    assert true == [targets.count(digit) for digit in range(10)]
    assert (sum(correct), sum(true)) == (871, 899)
    assert published("accuracy") == round(871 / 899, 2)
    for digit in range(10):
        assert published(f"precision-{digit}") == round(correct[digit] / predicted[digit], 2)
        assert published(f"recall-{digit}") == round(correct[digit] / true[digit], 2)
        assert published(f"f1-{digit}") == round(2 * correct[digit] / (true[digit] + predicted[digit]), 2)


def test_the_published_confusion_matrix_meets_every_published_figure_and_the_threshold() -> None:
    matrix = json.loads((DIGITS / "published-confusion.json").read_text())["matrix"]
    read = read_blueprint((DIGITS / "blueprint.toml").read_bytes(), file="blueprint.toml")
    samples = [
        Sample(id=f"{true}-{predicted}-{index}", prediction=predicted, target=true, replicate=0, seed=0)
        for true, row in enumerate(matrix)
        for predicted, count in enumerate(row)
        for index in range(count)
    ]
    results = evaluate(read.metrics, samples, read.run.seeds)
    assert len(results) == 34
    assert [result.name for result in results if not result.published_met] == []
    assert (results[0].name, results[0].n, results[0].verdict) == ("accuracy", 899, "pass")
    assert results[0].value == pytest.approx(871 / 899)


@pytest.mark.engine
@pytest.mark.image
def test_a_launch_of_the_digits_gives_the_published_confusion_matrix(tmp_path: Path) -> None:
    if not (ROOT / "images" / "eval-python" / "layout" / "index.json").is_file():
        pytest.skip("images/eval-python is not built: make setup")
    launch = [
        sys.executable,
        "-c",
        "import sys; from launcher.cli.app import main; sys.exit(main())",
        "launch",
    ]
    environment = os.environ | {"EVALCTL_HOME": str(tmp_path / "home")}
    result = subprocess.run(
        [*launch, str(DIGITS / "blueprint.toml"), "--json"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    launched = json.loads(result.stdout)
    assert (launched["status"], launched["verdict"]) == ("succeeded", "pass")
    assert all(metric["published_met"] for metric in launched["metrics"])

    bundle = Path(launched["bundle"])
    confusion = json.loads((bundle / "result.json").read_text())["tables"]["confusion"]
    assert confusion["labels"] == list(range(10))
    assert confusion["counts"] == json.loads((DIGITS / "published-confusion.json").read_text())["matrix"]
    events = [json.loads(line) for line in (bundle / "events.jsonl").read_text().splitlines()]
    phases = {event.get("phase") for event in events if event["source"] == "container"}
    assert phases == {"loading", "features", "inference"}
