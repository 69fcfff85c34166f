"""Whatever bytes stand where a harness's logs should: samples, or one error of ours."""

import copy
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.errors import MalformedError
from launcher.harness.inspect_archive import Archive
from launcher.harness.output import Harness, HarnessOutput
from launcher.harness.reading import read_harness
from launcher.spec.sample import bundle_samples
from tests.spec.bundled import read_bundled

LOGS = Path(__file__).parent / "logs"
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["attachment://a", "C", "1e999", "9" * 400, "\ud800", "-3.5", "task"])
)
VALUES = st.recursive(
    SCALARS, lambda item: st.lists(item, max_size=3) | st.dictionaries(st.text(max_size=5), item, max_size=3)
)


def read(harness: Harness, folder: Path) -> HarnessOutput | None:
    """Read, and hold what comes out to what a bundle takes."""
    try:
        output = read_harness(harness, folder)
    except MalformedError as error:
        assert error.code in ("bad-harness-log", "harness-failed")
        assert error.message.isprintable()
        return None
    made = bundle_samples([output.samples], [0])
    assert read_bundled(made.data) == list(made.samples)
    return output


def changed(value: Any, draw: Callable[[Any], Any]) -> Any:
    """Change one place in a JSON value, or take it away."""
    if isinstance(value, dict) and value and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(value)))
        rest = {name: item for name, item in value.items() if name != key}
        return rest if not draw(st.integers(0, 4)) else {**rest, key: changed(value[key], draw)}
    if isinstance(value, list) and value and draw(st.integers(0, 5)):
        index = draw(st.integers(0, len(value) - 1))
        return [*value[:index], changed(value[index], draw), *value[index + 1 :]]
    return draw(VALUES)


def log_files(case: str) -> dict[str, bytes]:
    folder = LOGS / case
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*.*")
        if path.is_file()
    }


LM_EVAL = log_files("lm-eval")
INSPECT = json.loads(next(iter(log_files("inspect-errors").values())))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_changed_results_and_samples_of_lm_eval_are_read_or_refused(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(LM_EVAL)))
    with tempfile.TemporaryDirectory() as folder:
        for other, content in LM_EVAL.items():
            path = Path(folder, other)
            path.parent.mkdir(exist_ok=True)
            lines = content.decode().splitlines() if other.endswith("l") else [content.decode()]
            if other == name:
                place = data.draw(st.integers(0, len(lines) - 1))
                lines[place] = json.dumps(changed(json.loads(lines[place]), data.draw))
            path.write_text("".join(line + "\n" for line in lines))
        read("lm-eval", Path(folder))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_changed_log_of_inspect_is_read_or_refused(data: st.DataObject) -> None:
    log = copy.deepcopy(INSPECT)
    for sample in log["samples"]:
        sample.pop("events")
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps(changed(log, data.draw))
        Path(folder, "2026-01-01T00-00-00_words_x.json").write_text(text)
        read("inspect", Path(folder))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_changed_eval_file_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(next(iter(log_files("inspect-eval").values())))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, 30))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "x.eval").write_bytes(content[: len(content) - end])
        read("inspect", Path(folder))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("x.eval", "2026-01-01T00-00-00_a_b.json", "results_2026-01-01T00-00-00.json"):
            Path(folder, name).write_bytes(data)
        assert read("lm-eval", Path(folder)) is None
        assert read("inspect", Path(folder)) is None


@pytest.mark.parametrize("depth", [100, 249, 250, 5000, 200_000])
def test_deep_nesting_is_refused_where_it_matters(tmp_path: Path, depth: int) -> None:
    shutil.copytree(LOGS / "lm-eval-limited", tmp_path / "out")
    path = next((tmp_path / "out").rglob("samples_*"))
    first, *rest = path.read_text().splitlines()
    deep = "[" * depth + "]" * depth
    path.write_text("\n".join([f'{first[:-1]}, "noise": {deep}}}', *rest]))
    assert (read("lm-eval", tmp_path / "out") is None) == (depth > 249)
    path.write_text("\n".join([first.replace('"target": "0"', f'"target": {deep}'), *rest]))
    assert read("lm-eval", tmp_path / "out") is None


def test_the_members_of_a_real_eval_file_are_all_readable() -> None:
    path = next((LOGS / "inspect-eval").iterdir())
    archive = Archive(path)
    assert len(list(archive.objects("samples/"))) == 8
