"""Reading what Inspect 0.3.285 left, in both of its forms, and what a candidate may leave instead."""

import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from launcher.errors import MalformedError
from launcher.harness.inspect_archive import Archive, ArchiveLimits
from launcher.harness.inspect_log import read_inspect
from launcher.harness.inspect_samples import Counts, inspect_sample, value_to_number
from launcher.spec.sample import Sample

LOGS = Path(__file__).parent / "logs"


def log_of(case: str) -> Path:
    return next(path for path in (LOGS / case).iterdir())


def read_json(case: str) -> Any:
    return json.loads(log_of(case).read_text())


def write_log(folder: Path, log: Any, name: str = "2026-01-01T00-00-00-00-00_words_x.json") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(log))
    return folder


def refused(folder: Path, code: str = "bad-harness-log") -> MalformedError:
    with pytest.raises(MalformedError) as caught:
        read_inspect(folder)
    assert caught.value.code == code
    return caught.value


def changed(tmp_path: Path, change: Callable[[Any], Any], case: str = "inspect-json") -> Path:
    log = read_json(case)
    change(log)
    return write_log(tmp_path / "out", log)


def test_both_forms_of_a_log_give_the_same_samples_and_claims() -> None:
    one, other = read_inspect(LOGS / "inspect-json"), read_inspect(LOGS / "inspect-eval")

    def without_time(samples: tuple[Sample, ...]) -> list[Any]:
        tables = [{**sample.as_json(), "seconds": None} for sample in samples]
        return sorted(tables, key=lambda table: (table["id"], table["epoch"]))

    assert without_time(one.samples) == without_time(other.samples)
    assert one.claims == other.claims
    assert (len(one.samples), one.partial, one.notes) == (8, (), ())


def test_a_sample_has_its_answer_scores_tokens_metadata_and_epoch() -> None:
    first = next(
        sample for sample in read_inspect(LOGS / "inspect-json").samples if sample.key[1:] == ("w1", 2)
    )
    assert (first.task, first.prediction, first.target) == ("words", "the red one", "red")
    assert first.scores == {
        "includes": 1,
        "shape.length": 11,
        "shape.polite": 0,
        "usage.input_tokens": 3,
        "usage.output_tokens": 11,
        "usage.total_tokens": 14,
    }
    assert first.groups == {"task": "words", "completed": True, "metadata.letters": 3}
    assert first.seconds is not None


def test_claims_name_the_score_whose_mean_they_are() -> None:
    claims = {claim.metric: claim for claim in read_inspect(LOGS / "inspect-json").claims}
    assert {name: claim.score for name, claim in claims.items()} == {
        "includes/accuracy": "includes",
        "shape.length/mean": "shape.length",
        "shape.polite/mean": "shape.polite",
    }
    assert (claims["includes/accuracy"].value, claims["includes/accuracy"].n) == (0.5, 4)


def test_a_sample_that_failed_is_one_with_an_error_and_the_run_is_partial() -> None:
    output = read_inspect(LOGS / "inspect-errors")
    failed = [sample for sample in output.samples if sample.is_failed]
    assert [(sample.id, sample.error) for sample in failed] == [
        ("w2", "ValueError('the second word is too hard')")
    ]
    assert failed[0].groups is not None and failed[0].groups["completed"] is False
    assert output.partial == ("1 of 4 samples of `words` ended with an error",)


@pytest.mark.parametrize(
    ("case", "status"), [("inspect-failed", "error"), ("inspect-cancelled", "cancelled")]
)
def test_a_run_that_did_not_succeed_is_no_evaluation(case: str, status: str) -> None:
    assert f"with the status `{status}`" in refused(LOGS / case, "harness-failed").message


def test_the_reason_of_a_failed_run_is_said() -> None:
    message = refused(LOGS / "inspect-failed", "harness-failed").message
    assert message.endswith("ValueError('the second word is too hard')")


def test_a_failed_run_that_asked_for_a_docker_sandbox_says_that_none_can_be_had(tmp_path: Path) -> None:
    def change(log: Any) -> None:
        log["status"], log["eval"]["sandbox"] = "error", {"type": "docker"}

    message = refused(changed(tmp_path, change), "harness-failed").message
    assert "the task asks for the sandbox `docker`, which a container cannot start" in message


@pytest.mark.parametrize("kind", [["docker"], {"a": 1}, 7])
def test_a_failed_run_with_a_sandbox_that_is_no_text_is_said(tmp_path: Path, kind: object) -> None:
    def change(log: Any) -> None:
        log["status"], log["eval"]["sandbox"] = "error", {"type": kind}

    assert f"sandbox `{kind}`" in refused(changed(tmp_path, change), "harness-failed").message


def test_a_log_that_was_never_finished_is_a_failed_run(tmp_path: Path) -> None:
    members = Archive(log_of("inspect-eval"))
    with zipfile.ZipFile(tmp_path / "a.eval", "w") as archive:
        archive.writestr("_journal/start.json", json.dumps(members.read("_journal/start.json")))
    assert "with the status `started`" in refused(tmp_path, "harness-failed").message


def test_a_limited_run_is_partial() -> None:
    assert read_inspect(LOGS / "inspect-limited").partial == ("Inspect ran `words` with `limit` 2",)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda log: log["eval"]["config"].update(sample_id=["w1"]), "chosen samples of `words` alone"),
        (lambda log: log["samples"].pop(), "holds 7 of 8 samples"),
        (lambda log: log["results"].update(completed_samples=7), "completed 7 of 8 samples"),
        (lambda log: log["results"].update(early_stopping={"manager": "x"}), "stopped `words` early"),
        (lambda log: log.update(invalidated=True), "says that samples of it are invalid"),
        (
            lambda log: log["samples"][0].update(invalidation={"author": "x"}),
            "1 of 8 samples of `words` ended",
        ),
    ],
)
def test_what_is_missing_from_a_run_makes_it_partial(
    tmp_path: Path, change: Callable[[Any], Any], expected: str
) -> None:
    (reason,) = read_inspect(changed(tmp_path, change)).partial
    assert expected in reason


@pytest.mark.parametrize(
    "change",
    [
        lambda log: log["eval"].update(task="\ud800"),
        lambda log: log["samples"][0].update(model_usage={"m": {"input_tokens": 10**400}}),
        lambda log: log["samples"][0].update(epoch=10**400),
    ],
    ids=["a lone surrogate as task", "very many tokens", "a very late epoch"],
)
def test_what_no_sample_can_hold_is_left_out_or_refused(tmp_path: Path, change: Callable[[Any], Any]) -> None:
    folder = changed(tmp_path, change)
    try:
        assert all(sample.line() for sample in read_inspect(folder).samples)
    except MalformedError as error:
        assert error.code == "bad-harness-log"


def test_retries_and_limits_that_samples_ran_into_are_named(tmp_path: Path) -> None:
    def change(log: Any) -> None:
        log["samples"][0]["error_retries"] = [{"message": "m", "traceback": "", "traceback_ansi": ""}]
        log["samples"][1]["limit"] = {"type": "token", "limit": 5}

    assert read_inspect(changed(tmp_path, change)).notes == (
        "1 samples of `words` were retried by Inspect after an error",
        "1 samples of `words` were stopped at Inspect's token limit",
    )


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("C", 1),
        ("I", 0),
        ("P", 0.5),
        ("N", 0),
        ("Yes", 1),
        ("false", 0),
        ("0.25", 0.25),
        (True, True),
        (3, 3),
    ],
)
def test_a_score_is_the_number_that_inspect_takes_it_for(value: Any, number: float) -> None:
    assert value_to_number(value) == number


def scored(value: Any) -> Any:
    sample = {"id": 1, "epoch": 1, "input": "?", "target": "!", "scores": {"s": {"value": value}}}
    return inspect_sample(sample, "t", Counts()).scores


def test_a_value_that_is_no_number_is_no_score() -> None:
    assert scored("GRADE: good") is None
    assert scored(float("nan")) is None
    assert scored({"a": "C", "b": "?", "c": {"d": 1}}) == {"s.a": 1}
    assert scored(["I", 0.5]) == {"s.0": 0, "s.1": 0.5}


def test_text_that_inspect_moved_out_of_place_is_looked_up() -> None:
    sample = {
        "id": "a",
        "epoch": 1,
        "input": "?",
        "target": ["x", "y"],
        "output": {"completion": "attachment://f00"},
        "attachments": {"f00": "a long answer"},
    }
    read = inspect_sample(sample, "t", Counts())
    assert (read.prediction, read.target) == ("a long answer", ["x", "y"])


def test_the_ids_that_inspect_draws_do_not_enter_the_hash_of_the_input() -> None:
    def asked(drawn: str) -> str | None:
        message = {"id": drawn, "role": "user", "content": "?"}
        return inspect_sample({"id": "a", "epoch": 1, "input": [message]}, "t", Counts()).input_sha256

    assert asked("x") == asked("y")


def test_two_logs_of_one_task_are_refused(tmp_path: Path) -> None:
    for case in ("inspect-json", "inspect-eval"):
        shutil.copy(log_of(case), tmp_path)
    assert "two results of the task `words`" in refused(tmp_path).message


def test_an_item_that_stands_twice_is_refused(tmp_path: Path) -> None:
    folder = changed(tmp_path, lambda log: log["samples"].append(log["samples"][0]))
    assert "stands twice" in refused(folder).message


def test_a_log_without_samples_is_refused(tmp_path: Path) -> None:
    assert "holds no samples" in refused(changed(tmp_path, lambda log: log.pop("samples"))).message


def test_a_small_file_of_very_many_values_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("launcher.harness.files.MAX_VALUES", 1000)
    folder = changed(tmp_path, lambda log: log.update(x=[{}] * 1000))
    assert "holds more than 1000 values" in refused(folder).message


def test_another_version_is_refused(tmp_path: Path) -> None:
    assert "not a log of version 2" in refused(changed(tmp_path, lambda log: log.update(version=1))).message


def test_an_empty_folder_is_refused_with_the_command_to_run(tmp_path: Path) -> None:
    assert "--log-dir /eval/out/artifacts" in (refused(tmp_path).hint or "")


def packed(name: str, data: bytes, *, method: int = 93, stored: bytes | None = None) -> bytes:
    """Return a zip file of one member, `stored` being its packed bytes."""
    body = zstd.compress(data) if stored is None else stored
    common = struct.pack(
        "<HHHHHIIIHH", 20, 0, method, 0, 0, zlib.crc32(data), len(body), len(data), len(name), 0
    )
    local = b"PK\x03\x04" + common + name.encode() + body
    central = (
        b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHII", 0, 0, 0, 0, 0) + name.encode()
    )
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def placed(offset: int) -> bytes:
    """Return a zip file whose member is said to lie at `offset`."""
    data = packed("m.json", b"{}")
    at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    extra = struct.pack("<HHQ", 1, 8, offset)
    entry = bytearray(data[at:end] + extra)
    entry[30:32], entry[42:46] = struct.pack("<H", len(extra)), b"\xff" * 4
    return data[:at] + entry + b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(entry), at, 0)


def archived(tmp_path: Path, data: bytes, **limits: int) -> Archive:
    (tmp_path / "a.eval").write_bytes(data)
    return Archive(tmp_path / "a.eval", ArchiveLimits(**limits))


def fault(tmp_path: Path, data: bytes, **limits: int) -> str:
    with pytest.raises(MalformedError) as caught:
        archived(tmp_path, data, **limits).read("m.json")
    return caught.value.message


def test_a_member_of_several_frames_is_read_whole(tmp_path: Path) -> None:
    frames = zstd.compress(b'{"a":') + zstd.compress(b"1}")
    assert archived(tmp_path, packed("m.json", b'{"a":1}', stored=frames)).read("m.json") == {"a": 1}


@pytest.mark.parametrize("method", [0, 8])
def test_members_of_the_usual_methods_are_read(tmp_path: Path, method: int) -> None:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("m.json", '{"a":1}')
    assert archived(tmp_path, stream.getvalue()).read("m.json") == {"a": 1}


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = packed("m.json", b"", stored=zstd.compress(b"\0" * (64 << 20)))
    assert len(bomb) < 10_000
    assert "unpacks to more than 1000000 bytes" in fault(tmp_path, bomb, member=1_000_000)


def test_all_members_together_are_bounded(tmp_path: Path) -> None:
    archive = archived(tmp_path, packed("m.json", b'{"a":1}'), total=10)
    archive.read("m.json")
    with pytest.raises(MalformedError, match="unpacks to more than 3 bytes"):
        archive.read("m.json")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (packed("m.json", b"{}", stored=b"no frame"), "cannot be unpacked"),
        (packed("m.json", b"{}", stored=zstd.compress(b"[]")), "its checksum differs"),
        (packed("m.json", b"{}", stored=zstd.compress(b"{}")[:-3]), "cannot be unpacked"),
        (packed("m.json", b"{}", method=97, stored=b"{}"), "compression method 97 is not known"),
        (packed("m.json", b"[]"), "is not an object"),
        (packed("m.json", b'{"a":1,"a":2}'), "stands twice"),
        (packed("m.json", b"{}")[:-10], "not a whole zip file"),
        (placed(1 << 40), "not where the zip file says"),
        (placed((1 << 63) + 5), "not where the zip file says"),
    ],
)
def test_a_damaged_archive_is_refused(tmp_path: Path, data: bytes, expected: str) -> None:
    assert expected in fault(tmp_path, data)


def test_members_are_counted_before_they_are_held(tmp_path: Path) -> None:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in range(11):
            archive.writestr(f"{number}", "")
    with pytest.raises(MalformedError, match="more than 10 members"):
        archived(tmp_path, stream.getvalue(), members=10)


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, pytest.warns(UserWarning):
        archive.writestr("m.json", "{}")
        archive.writestr("m.json", "{}")
    assert "two members named `m.json`" in fault(tmp_path, stream.getvalue())
