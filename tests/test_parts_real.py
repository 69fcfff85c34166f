"""Two containers, a folder of a model, and a draft, on a real engine."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from launcher.store.trees import read_tree

ROOT = Path(__file__).parent.parent
LAYOUT = ROOT / "images" / "eval-python" / "layout"
EVALCTL = Path(sys.executable).parent / "evalctl"
DIGEST = "sha256:61fe3e45e11401a567669af8561b511a7f1aa6ee578e8182af4adfafed679f76"

pytestmark = [
    pytest.mark.engine,
    pytest.mark.image,
    pytest.mark.skipif(not LAYOUT.is_dir(), reason="images/eval-python is not built: make setup"),
]

RUN = """
import json, os, pathlib, sys
seen = set(os.listdir("/eval/inputs"))
assert seen == {"model", "items"}, seen
assert not pathlib.Path("/eval/predictions").exists()
factor = json.loads(pathlib.Path("/eval/inputs/model/config.json").read_text())["factor"]
items = pathlib.Path("/eval/inputs/items").read_text().split()
limit = int(os.environ.get("EVALCTL_LIMIT", len(items)))
out = pathlib.Path("/eval/out/nested")
out.mkdir()
(out / "answers.json").write_text(json.dumps({item: factor * int(item) for item in items[:limit]}))
"""

SCORE = """
import json, pathlib
predictions = pathlib.Path("/eval/predictions")
try:
    (predictions / "nested" / "answers.json").write_text("{}")
    raise SystemExit("the predictions can be written")
except OSError:
    pass
answers = json.loads((predictions / "nested" / "answers.json").read_text())
labels = json.loads(pathlib.Path("/eval/inputs/labels").read_text())
with open("/eval/out/samples.jsonl", "w") as samples:
    for item, answer in answers.items():
        print(json.dumps({"id": item, "prediction": answer, "target": labels[item]}), file=samples)
"""

BLUEPRINT = """
schema = "evalctl/blueprint/v1"
[blueprint]
name = "tests/parts"
version = "1.0.0"
[image]
ref = "oci:{layout}@{digest}"
[code]
git = "code"
commit = "{commit}"
[[model]]
name = "model"
slot = "candidate"
uri = "model"
sha256 = "{model}"
[[data]]
name = "items"
uri = "items.txt.gz"
sha256 = "{items}"
unpack = "gz"
[[data]]
name = "labels"
uri = "labels.json"
sha256 = "{labels}"
role = "held-out"
[run]
command = ["python3.11", "run.py"]
seeds = [1, 2]
timeout = "1m"
[score]
command = ["python3.11", "score.py"]
timeout = "1m"
[score.resources]
memory = "128MiB"
output = "8MiB"
[resources]
memory = "128MiB"
output = "8MiB"
[[metric]]
name = "accuracy"
definition = "accuracy@1"
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def sha256(path: Path) -> str:
    return subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout[:64]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    code, model = tmp_path / "code", tmp_path / "model"
    for place in (code, model / "deep"):
        place.mkdir(parents=True)
    (code / "run.py").write_text(RUN)
    (code / "score.py").write_text(SCORE)
    (model / "config.json").write_text('{"factor": 2}')
    (model / "deep" / "weights").write_bytes(b"\0" * 1000)
    items = [str(number) for number in range(20)]
    (tmp_path / "items.txt").write_text("\n".join(items))
    subprocess.run(["gzip", "-n", tmp_path / "items.txt"], check=True)
    labels = {item: 2 * int(item) + (item == "7") for item in items}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    git(code, "init", "--quiet")
    git(code, "add", ".")
    git(code, "commit", "--quiet", "-m", "First")
    (tmp_path / "blueprint.toml").write_text(
        BLUEPRINT.format(
            layout=LAYOUT,
            digest=DIGEST,
            commit=git(code, "rev-parse", "HEAD"),
            model=read_tree(model).sha256,
            items=sha256(tmp_path / "items.txt.gz"),
            labels=sha256(tmp_path / "labels.json"),
        )
    )
    return tmp_path


def evalctl(folder: Path, *arguments: str, code: int = 0) -> Any:
    done = subprocess.run(
        [EVALCTL, *arguments, "--json"],
        cwd=folder,
        env={**os.environ, "EVALCTL_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


def test_two_containers_a_folder_and_a_packed_input_work_and_reproduce(folder: Path) -> None:
    launched = evalctl(folder, "launch", "blueprint.toml")
    (metric,) = launched["metrics"]
    assert (metric["value"], metric["n"], metric["per_replicate"]) == (0.95, 20, [0.95, 0.95])
    bundle = Path(launched["bundle"])
    assert (bundle / "predictions" / "1" / "nested" / "answers.json").is_file()
    assert evalctl(folder, "verify", str(bundle))["verdict"] == "verified"
    for more, scope in (([], "full"), (["--score-only"], "score-only"), (["--samples", "3"], "samples")):
        again = evalctl(folder, "reproduce", str(bundle), *more)
        assert (again["verdict"], again["scope"]) == ("identical", scope)
        assert evalctl(folder, "verify", again["bundle"])["verdict"] == "verified"
        assert again["samples"]["n"] == (6 if scope == "samples" else 40)
    assert len(evalctl(folder, "verify", str(bundle))["reproductions"]) == 1


def test_a_checkpoint_fills_the_slot_and_a_draft_runs_what_is_not_committed(folder: Path) -> None:
    other = folder / "checkpoint"
    other.mkdir()
    (other / "config.json").write_text('{"factor": 3}')
    launched = evalctl(folder, "launch", "blueprint.toml", "--model", "candidate=checkpoint")
    assert launched["metrics"][0]["value"] == 0.05
    run = folder / "code" / "run.py"
    run.write_text(run.read_text().replace("factor * int(item)", "factor * int(item) + 1"))
    launched = evalctl(folder, "launch", "blueprint.toml", "--draft", "--limit", "10", "--note", "an idea")
    assert (launched["metrics"][0]["value"], launched["marks"]) == (0.1, ["partial", "draft"])
    assert evalctl(folder, "verify", launched["bundle"])["verdict"] == "verified"
    assert evalctl(folder, "reproduce", launched["bundle"])["verdict"] == "identical"
