"""The parts of an attempt that read what a container left."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from launcher.engines.engine import CollectedOutputs, OutputFile, Refusal
from launcher.errors import MalformedError
from launcher.runs.events import MAX_CONTAINER_EVENTS, EventLog, events_bytes, read_container_events
from launcher.runs.failures import classify, overall_failure
from launcher.runs.replicates import ReplicateRun
from launcher.runs.scoring import MAX_KEPT, Kept, refuse_flood
from launcher.runs.tasks import artifact_place
from launcher.spec.blueprint import Run
from launcher.spec.predicates import Failure
from tests.fakes.world import Recorder
from tests.runs.outcomes import DONE

REFUSED = CollectedOutputs(refused=(Refusal("a", "link"), Refusal("b", "special")), complete=True)


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        ({}, None),
        ({"exit_code": 1}, "candidate"),
        ({"exit_code": None, "signal": 9}, "candidate"),
        ({"exit_code": None, "exec_error": "ENOENT"}, "candidate"),
        ({"outputs": REFUSED}, "candidate"),
        ({"exit_code": None, "timed_out": True}, "timeout"),
        ({"exit_code": None, "signal": 9, "oom_killed": True}, "out-of-memory"),
        ({"exit_code": 0, "oom_killed": True}, "out-of-memory"),
        ({"exit_code": None, "cancelled": True}, "interrupted"),
        ({"exit_code": None}, "engine"),
        ({"exit_code": 1, "outputs": REFUSED}, "candidate"),
        ({"outputs": CollectedOutputs()}, "engine"),
    ],
)
def test_a_failure_follows_from_facts(change: dict[str, object], failure: Failure | None) -> None:
    found, reason = classify(replace(DONE, **change), Run(("answer",), timeout=60), "runc")
    assert found == failure
    assert bool(reason) == (failure is not None)


def run(replicate: int, failure: Failure | None) -> ReplicateRun:
    return ReplicateRun(replicate, replicate, None, failure, f"reason {replicate}")


def test_the_cause_is_named_not_its_consequences() -> None:
    assert overall_failure([run(0, None), run(1, None)]) == (None, "")
    assert overall_failure([run(0, "interrupted"), run(1, "timeout"), run(2, "interrupted")]) == (
        "timeout",
        "replicate 1: reason 1",
    )
    assert overall_failure([run(0, "interrupted")]) == ("interrupted", "reason 0")


@pytest.mark.parametrize(
    ("output", "place"),
    [
        ("artifacts/a", "artifacts/3/a"),
        ("artifacts/a/b.png", "artifacts/3/a/b.png"),
        ("artifacts", None),
        ("artifactsx/a", None),
        ("samples.jsonl", None),
        ("artifacts/con.txt", None),
        ("artifacts/" + "a" * 201, None),
    ],
)
def test_an_artifact_has_a_place_only_if_a_bundle_may_hold_it(output: str, place: str | None) -> None:
    assert OutputFile(output, 1).path == output
    assert artifact_place(3, output) == place


def test_an_event_is_kept_as_it_is_and_marked() -> None:
    data = b'{"step":"load","phase":"run","seconds":1.5,"detail":[1,{"a":null}]}\n\n{"step":"end"}'
    assert read_container_events(data, 2) == [
        {
            "source": "container",
            "replicate": 2,
            "step": "load",
            "phase": "run",
            "seconds": 1.5,
            "detail": [1, {"a": None}],
        },
        {"source": "container", "replicate": 2, "step": "end"},
    ]


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "{}",
        '{"step":""}',
        '{"step":1}',
        '{"step":"a","seconds":-1}',
        '{"step":"a","seconds":true}',
        '{"step":"a","seconds":"1"}',
        '{"step":"a","seconds":1e999}',
        '{"step":"a","phase":null}',
        '{"step":"a","source":"launcher"}',
        '{"step":"a","replicate":1}',
        '{"step":"a","at":"2020-01-01T00:00:00Z"}',
        '{"step":"a","step":"b"}',
        '{"step":"' + "a" * 70_000 + '"}',
        '{"step":"\\ud800"}',
    ],
)
def test_a_bad_event_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(MalformedError, match="line 2"):
        read_container_events(f'{{"step":"ok"}}\n{line}\n'.encode(), 0)


def test_too_many_events_are_refused() -> None:
    with pytest.raises(MalformedError, match="more than"):
        read_container_events(b'{"step":"a"}\n' * (MAX_CONTAINER_EVENTS + 1), 0)
    assert len(read_container_events(b'{"step":"a"}\n' * MAX_CONTAINER_EVENTS, 0)) == MAX_CONTAINER_EVENTS


KEYS = st.sampled_from(["step", "phase", "seconds", "detail", "x"])
VALUES = st.text() | st.floats() | st.integers() | st.none()
EVENTS = st.dictionaries(KEYS, VALUES).map(lambda event: json.dumps(event).encode())


@given(st.binary() | st.text().map(str.encode) | EVENTS)
def test_whatever_a_container_writes_as_events_is_read_or_refused(data: bytes) -> None:
    try:
        events = read_container_events(data, 0)
    except MalformedError:
        return
    assert events_bytes(events).count(b"\n") == len(events)


def test_a_step_is_timed_even_when_it_fails() -> None:
    log = EventLog(Recorder())
    with pytest.raises(KeyError), log.step("load", "loading", rows=3) as detail:
        detail["more"] = 1
        raise KeyError
    (event,) = log.events()
    assert (event["step"], event["source"], event["detail"]) == ("load", "launcher", {"rows": 3, "more": 1})
    assert event["seconds"] >= 0


def test_more_files_than_a_bundle_may_hold_are_refused_and_as_many_are_not() -> None:
    kept = [Kept(Path("file"), "artifacts/0/file")] * MAX_KEPT
    assert not refuse_flood(kept)
    assert str(MAX_KEPT) in refuse_flood([*kept, kept[0]])
