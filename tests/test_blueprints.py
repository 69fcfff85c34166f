"""The blueprints that ship are whole: files as pinned, code as committed, published figures consistent."""

import csv
import json
import math
import os
import re
import subprocess
import sys
import tomllib
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy
import pytest

from launcher.digest import hash_file
from launcher.metrics.evaluation import evaluate
from launcher.spec.reading import read_blueprint
from launcher.spec.sample import Sample
from launcher.store.trees import read_tree
from scripts.code_bundle import bundled_commit, commit_sources, main, write_bundle

ROOT = Path(__file__).parent.parent
BLUEPRINTS = sorted(path.parent for path in ROOT.glob("blueprints/*/blueprint.toml"))
DIGITS = ROOT / "blueprints" / "digits-svm"
WINE = ROOT / "blueprints" / "wine-loo"
ANOVA = ROOT / "blueprints" / "nist-anova"

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
        if ":" in pin["uri"]:
            continue
        place = folder / pin["uri"]
        tree = read_tree(place) if place.is_dir() else None
        found = (tree.sha256, tree.size) if tree else hash_file(place)
        assert found == (pin["sha256"], pin["size"]), pin["name"]


@every_blueprint
def test_the_pinned_commit_is_made_of_the_sources_beside_it(folder: Path, tmp_path: Path) -> None:
    commit = blueprint(folder)["code"]["commit"]
    assert commit_sources(folder / "src", tmp_path) == commit
    assert bundled_commit(folder / "code.bundle") == commit


@every_blueprint
def test_the_bundle_of_code_is_whole_in_a_shallow_clone(folder: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(folder / "code.bundle"), str(clone)], check=True)
    files = (path.relative_to(folder / "src") for path in (folder / "src").rglob("*") if path.is_file())
    sources = {path for path in files if "__pycache__" not in path.parts}
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
    launched = evalctl(tmp_path, "launch", DIGITS / "blueprint.toml")
    assert (launched["status"], launched["verdict"]) == ("succeeded", "pass")
    assert all(metric["published_met"] for metric in launched["metrics"])

    bundle = Path(launched["bundle"])
    confusion = json.loads((bundle / "result.json").read_text())["tables"]["confusion"]
    assert confusion["labels"] == list(range(10))
    assert confusion["counts"] == json.loads((DIGITS / "published-confusion.json").read_text())["matrix"]
    assert phases(bundle) == {"loading", "features", "inference"}


def wines() -> tuple[Any, Any]:
    header, *rows = csv.reader((WINE / "wine.csv").read_text().splitlines())
    assert (header[0], header[-1], len(header)) == ("id", "class", 15)
    values = numpy.array([[float(value) for value in row[1:-1]] for row in rows])
    return values, numpy.array([int(row[-1]) for row in rows])


def nearest(known: Any, asked: Any) -> int:
    return int(((known - asked) ** 2).sum(axis=1).argmin())


def wrong_neighbours(values: Any, classes: Any, *, ddof: int, in_fold: bool) -> list[int]:
    """Leave each wine out; return the wines whose nearest other one, z-transformed, is of another class."""
    wrong = []
    for left_out, asked in enumerate(values):
        others = numpy.delete(numpy.arange(len(values)), left_out)
        reference = values[others] if in_fold else values
        centre, spread = reference.mean(axis=0), reference.std(axis=0, ddof=ddof)
        found = nearest((values[others] - centre) / spread, (asked - centre) / spread)
        if classes[others[found]] != classes[left_out]:
            wrong.append(left_out)
    return wrong


def test_the_wines_and_their_labels_agree() -> None:
    values, classes = wines()
    labels = [json.loads(line) for line in (WINE / "labels.jsonl").read_text().splitlines()]
    assert labels == [{"id": f"wine-{i:03}", "target": int(label)} for i, label in enumerate(classes)]
    # What the data set's own description says of it.
    assert [int((classes == label).sum()) for label in range(3)] == [59, 71, 48]
    assert (values[:, 0].min(), values[:, 0].max(), values[:, 12].max()) == (11.03, 14.83, 1680)


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("in_fold", [False, True])
def test_no_reading_of_z_transformed_gives_the_published_nearest_neighbour(ddof: int, in_fold: bool) -> None:
    assert wrong_neighbours(*wines(), ddof=ddof, in_fold=in_fold) == [65, 71, 73, 83, 96, 118, 121, 123]


def test_the_pooled_deviation_within_the_classes_would_give_the_published_figure() -> None:
    values, classes = wines()
    within = [(values[classes == label] - values[classes == label].mean(axis=0)) ** 2 for label in range(3)]
    scaled = values / numpy.sqrt(sum(part.sum(axis=0) for part in within) / (len(values) - 3))
    distances = ((scaled[:, None] - scaled[None]) ** 2).sum(axis=-1)
    numpy.fill_diagonal(distances, numpy.inf)
    assert int((classes[distances.argmin(axis=1)] == classes).sum()) == 171


@pytest.mark.engine
@pytest.mark.image
def test_a_launch_of_the_wines_meets_two_published_figures_and_says_that_it_misses_one(
    tmp_path: Path,
) -> None:
    launched = evalctl(tmp_path, "launch", WINE / "blueprint.toml")
    assert (launched["status"], launched["verdict"]) == ("succeeded", "pass")
    assert [
        (m["name"], round(m["value"] * 178), m["n"], m["published_met"]) for m in launched["metrics"]
    ] == [
        ("lda-accuracy", 176, 178, True),
        ("qda-accuracy", 177, 178, True),
        ("1nn-accuracy", 170, 178, False),
    ]
    bundle = Path(launched["bundle"])
    samples = [json.loads(line) for line in (bundle / "samples.jsonl").read_text().splitlines()]
    wrong = [
        int(s["id"].removeprefix("wine-"))
        for s in samples
        if s["task"] == "1nn" and s["prediction"] != s["target"]
    ]
    assert wrong == wrong_neighbours(*wines(), ddof=0, in_fold=False)
    assert phases(bundle) == {"loading", "inference"}


def responses(dataset: str, *, as_doubles: bool) -> list[list[Fraction]]:
    treatments: dict[str, list[Fraction]] = {}
    for line in (ANOVA / "data" / f"{dataset}.dat").read_text().splitlines()[60:]:
        treatment, response = line.split()
        treatments.setdefault(treatment, []).append(Fraction(float(response) if as_doubles else response))
    return list(treatments.values())


def exact_statistic(treatments: list[list[Fraction]]) -> Fraction:
    """Return the F statistic of a one-way analysis of variance, in fractions."""
    everything = [value for treatment in treatments for value in treatment]
    correction = sum(everything) ** 2 / len(everything)
    between = sum(sum(treatment) ** 2 / len(treatment) for treatment in treatments)
    total = sum(value * value for value in everything)
    degrees = (len(treatments) - 1, len(everything) - len(treatments))
    return Fraction((between - correction) / degrees[0]) / Fraction((total - between) / degrees[1])


def certified() -> dict[str, float]:
    lines = (ANOVA / "certified.jsonl").read_text().splitlines()
    return {label["id"]: label["target"] for label in map(json.loads, lines)}


def test_the_certified_values_are_the_exact_statistics_of_the_printed_responses() -> None:
    assert len(certified()) == 11
    for dataset, target in certified().items():
        heading = (ANOVA / "data" / f"{dataset}.dat").read_text().splitlines()[40:47]
        (row,) = [line for line in heading if line.startswith("Between")]
        assert float(row.split()[-1]) == target
        exact = exact_statistic(responses(dataset, as_doubles=False))
        assert abs(exact - Fraction(target)) <= Fraction(target) / 10**14, dataset


@pytest.mark.parametrize("dataset", ["SmLs04", "SmLs05", "SmLs06", "SmLs07", "SmLs08", "SmLs09", "AtmWtAg"])
def test_doubles_hold_no_more_digits_of_the_hard_sets_than_the_page_says(dataset: str) -> None:
    target = certified()[dataset]
    exact = exact_statistic(responses(dataset, as_doubles=True))
    digits = -math.log10(abs(exact / Fraction(target) - 1))
    page = (ANOVA / "README.md").read_text()
    (shown,) = re.findall(rf"(?m)^{dataset} +([0-9.]+) ", page)
    assert digits == pytest.approx(float(shown), abs=1e-3)


@pytest.mark.engine
@pytest.mark.image
def test_a_launch_of_the_analyses_of_variance_keeps_every_bound_and_counts_right(tmp_path: Path) -> None:
    launched = evalctl(tmp_path, "launch", ANOVA / "blueprint.toml")
    assert (launched["status"], launched["verdict"]) == ("succeeded", "pass")
    metrics = {metric["name"]: metric for metric in launched["metrics"]}
    bundle = Path(launched["bundle"])
    samples = [json.loads(line) for line in (bundle / "samples.jsonl").read_text().splitlines()]
    assert {sample["id"]: sample["target"] for sample in samples} == certified()
    counted = []
    for sample in samples:
        error = abs(Fraction(sample["prediction"]) / Fraction(sample["target"]) - 1)
        counted.append(min(15.0, -math.log10(error)) if error else 15.0)
        assert metrics[sample["id"]]["value"] == pytest.approx(counted[-1], abs=1e-9)
        assert (metrics[sample["id"]]["n"], metrics[sample["id"]]["verdict"]) == (1, "pass")
    assert metrics["digits"]["value"] == pytest.approx(sum(counted) / 11, abs=1e-9)
    assert [metrics[f"digits-{level}"]["n"] for level in ("lower", "average", "higher")] == [4, 4, 3]


def phases(bundle: Path) -> set[str]:
    events = [json.loads(line) for line in (bundle / "events.jsonl").read_text().splitlines()]
    return {event.get("phase") for event in events if event["source"] == "container"}


def evalctl(home: Path, *arguments: str | Path) -> dict[str, Any]:
    """Run `evalctl` with a home of its own on the real engine; return what it prints as JSON."""
    if not (ROOT / "images" / "eval-python" / "layout" / "index.json").is_file():
        pytest.skip("images/eval-python is not built: make setup")
    program = "import sys; from launcher.cli.app import main; sys.exit(main())"
    result = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments), "--json"],
        env=os.environ | {"EVALCTL_HOME": str(home / "home")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer
