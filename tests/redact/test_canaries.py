"""Whatever is withheld of whichever samples: no canary that stood there is in a byte of the new bundle."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.redact import Redactor, redact
from launcher.spec.disclosure import Choice
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld, copy_world, write_lines

COUNT = 8
FIELDS = {
    "inputs": ("group", "name", "input"),
    "predictions": ("answer", "score", "error"),
    "targets": ("target",),
}
FOLDERS = {"logs": "log", "artifacts": "artifact", "event-details": "event"}
TAIL = """[[metric]]
name = "again"
definition = "f1@1"
parameters = { average = "macro", resamples = 100 }

[bundle]
redactable = true
"""
SECTIONS = {"score": None, "labels": None, "run": 'command = ["answer"]\nseeds = [3, 4]', "tail": TAIL}


def canary(field: str, number: int = 0) -> str:
    """Return a text that stands nowhere else; of a digest, one that is a digest."""
    text = f"{field}-{number:02}-{sha256(f'{field} {number}'.encode()).hexdigest()[:12]}"
    return sha256(text.encode()).hexdigest() if field == "input" else text


def sing(inside: Inside) -> int:
    """Leave a canary of its own in each field of each sample, and in everything else."""
    samples = []
    for number in range(COUNT):
        sample = {
            "id": canary("id", number),
            "task": canary("task", number),
            "target": canary("target", number),
            "groups": {canary("name", number): canary("group", number)},
            "scores": {canary("score", number): number / 7},
            "input_sha256": canary("input", number),
            "seconds": 0.5,
        }
        failed = number % 4 == 3
        sample |= {"error": canary("error", number)} if failed else {"prediction": canary("answer", number)}
        samples.append(sample)
    write_lines(inside.outputs / "samples.jsonl", samples)
    event = canary("event")
    write_lines(inside.outputs / "events.jsonl", [{"step": event, "phase": event, "detail": {event: event}}])
    (inside.outputs / "artifacts").mkdir()
    (inside.outputs / "artifacts" / "trace.txt").write_text(canary("artifact"))
    inside.stdout.extend(canary("log").encode())
    inside.stderr.extend(canary("log").encode())
    return 0


@pytest.fixture(scope="module")
def sung(world_template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallWorld, Path]:
    world = copy_world(world_template, tmp_path_factory.mktemp("canaries") / "world")
    world.plays(sing)
    return world, world.launch(sections=SECTIONS).bundle


def readings(bundle: Path) -> Iterator[bytes]:
    for path in bundle.rglob("*"):
        yield path.relative_to(bundle).as_posix().encode()
        if path.is_file():
            yield (data := path.read_bytes())
            if path.suffix == ".json" and path.parent.name == "attestations":
                yield base64.b64decode(json.loads(data)["dsseEnvelope"]["payload"])


def forms(text: str) -> set[bytes]:
    return {text.encode(), text.encode().hex().encode(), base64.b64encode(text.encode())[:-4]}


PER_SAMPLE = ("id", "task", *(field for fields in FIELDS.values() for field in fields))
IDS = st.frozensets(st.integers(0, COUNT - 1))


@given(
    fields=st.frozensets(st.sampled_from([*FIELDS])),
    folders=st.frozensets(st.sampled_from([*FOLDERS])),
    ids=IDS,
)
@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_what_is_withheld_is_in_no_byte_and_what_stays_is_there(
    sung: tuple[SmallWorld, Path], fields: frozenset[str], folders: frozenset[str], ids: frozenset[int]
) -> None:
    world, original = sung
    # Events of samples name them by their ids.
    folders |= {"event-details"} if ids else set()
    choice = Choice(fields | folders, frozenset(canary("id", number) for number in ids))
    redactor = Redactor(world.home, world.signer, world.policy, datetime.now(UTC))
    made = redact(original, choice, redactor).path
    assert world.verify(made).verdict == "verified"
    everything = b"\n".join(readings(made))
    gone = {name for word in fields for name in FIELDS[word]}
    for number in range(COUNT):
        for field in PER_SAMPLE:
            is_gone = number in ids or field in gone
            for form in forms(canary(field, number)) if is_gone else ():
                assert form not in everything, (field, number)
    for word, field in FOLDERS.items():
        assert (canary(field).encode() in everything) is (word not in folders), word
    for number in {*range(COUNT)} - ids:
        assert canary("id", number).encode() in everything
