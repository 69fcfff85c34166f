"""Schema and reader of each record accept the same documents, as far as a schema can say it.

Well-formed documents are changed at random places, and both are asked. What a schema cannot say is kept out
of the changes: lengths in bytes and of lines, `1.0` where an integer is asked for, a key or sample that
stands twice, order, canonical form, what follows from elsewhere in the document.
"""

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from launcher.canonical import canonical_bytes, parse_json
from launcher.errors import CheckFailedError, MalformedError
from launcher.metrics.reference import references
from launcher.runs.events import MAX_LINE_BYTES, EventLog, events_bytes, read_container_events
from launcher.runs.resources import Used, resources_bytes
from launcher.spec.blueprint import Published, Threshold
from launcher.spec.image import ImagePins
from launcher.spec.lock import CodePins, InputPin, Pins, check_lock, make_lock, pins_from, read_lock
from launcher.spec.predicates import Suite
from launcher.spec.reading import read_blueprint
from launcher.spec.record_lines import check_event_lines, check_resource_lines
from launcher.spec.result import ConfidenceInterval, MetricResult, ReplicateOutcome, Result, SampleCounts
from launcher.spec.sample import bundle_samples, read_container_samples
from launcher.spec.schema import NAMES, schema_of
from launcher.spec.usage import GpuReading, LimitsHit, Usage, UsageSample
from tests.fakes.world import Recorder
from tests.runs.outcomes import DONE
from tests.spec.bundled import read_bundled
from tests.spec.write_schemas import FOLDER, text_of

CHECKOUT = Path(__file__).parents[2]
HEX, DIGEST = "a" * 64, "sha256:" + "b" * 64
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 16, 0.5, -0.5, 2**32, 1e300),
    *("", "x", "x" * 1024, "x" * 1025, "x" * 4096, "x" * 4097, "x" * 65_536, "x" * 65_537, "a/b", "1.0.0"),
    *(
        HEX,
        HEX.upper(),
        HEX[1:],
        DIGEST,
        DIGEST[1:],
        "a" * 40,
        "pass",
        "failed",
        "succeeded",
        "timeout",
        "$x",
    ),
    *("data", "none", "launcher", "container", "higher", "value", "linux/amd64", ["draft"], ["draft"] * 2),
    *(
        [],
        ["x"],
        [1],
        [0, 1],
        [0, 1, 2],
        [None],
        {},
        {"x": 1},
        {"x": "y"},
        {"": 1},
        {"x": None},
        {"on": "value"},
    ),
)
TOO_MANY = {f"n{number}": 1 for number in range(1025)}


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_schema_is_current_and_a_schema(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text(encoding="utf-8") == text_of(name)
    Draft202012Validator.check_schema(schema_of(name))
    assert schema_of(name)["$id"] == f"https://w3id.org/evalctl-launcher/schemas/{name}/v1"


def test_no_other_schema_is_committed() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(NAMES)


# --- well-formed documents of every kind


SAMPLES: list[dict[str, Any]] = [
    {"id": "1", "prediction": "a", "target": ["b", None], "seconds": 0.5, "epoch": 0, "task": "t"},
    {"id": "2", "scores": {"x": 0.5, "y": 1}, "groups": {"g": "a", "h": True, "i": 2}, "weight": 2},
    {"id": "3", "error": "no", "input_sha256": HEX},
]
EVENTS: list[dict[str, Any]] = [
    {"step": "loading"},
    {"step": "inference", "phase": "run", "seconds": 1.5, "detail": {"batch": 1}},
]


def bundle_lines() -> list[dict[str, Any]]:
    read = read_container_samples(b"".join(json.dumps(row).encode() + b"\n" for row in SAMPLES))
    return [json.loads(line) for line in bundle_samples([read, read], [0, 7]).data.splitlines()]


def bundle_events() -> list[dict[str, Any]]:
    log = EventLog(Recorder())
    with log.step("resolve", "resolving", image=DIGEST):
        log.add("engine", seconds=None, detail={})
    told = read_container_events(b"\n".join(json.dumps(row).encode() for row in EVENTS), 1)
    return [json.loads(line) for line in events_bytes([*log.events(), *told]).splitlines()]


def resource_lines() -> list[dict[str, Any]]:
    samples = (
        UsageSample(
            0.5, 0.25, 0.0, 4096, 1024, 3072, 0, 0, 3, (GpuReading("GPU-1", 50.0, 1, 70.5, 40, 1200),)
        ),
        UsageSample(1.5, 1.0),
    )
    watched = Usage("cgroup-v2", 1.0, samples, 8192, 4, LimitsHit(0, 1, 0))
    containers = [
        Used(0, "run", replace(DONE, seconds=1.5, usage=watched)),
        Used(0, "run", replace(DONE, max_rss_bytes=7), "server"),
    ]
    return [json.loads(line) for line in resources_bytes(containers).splitlines()]


def results() -> list[dict[str, Any]]:
    interval = ConfidenceInterval(0.8, 0.9, "wilson", 0.95)
    whole = MetricResult(
        *("accuracy", "accuracy@1", 0.85, interval, 40, "pass"),
        primary=True,
        per_replicate=(0.8, 0.9),
        spread=0.05,
        threshold=Threshold(min=0.5, on="ci-lower"),
        published=Published(0.85, 2, "doi:10.1/x"),
        published_met=True,
    )
    bare = MetricResult("mean", "mean@1", None, None, 0, "none", per_replicate=(None,), reason="no samples")
    usual: dict[str, Any] = {
        "lock": DIGEST,
        "attempt": 1,
        "invocation_id": "x",
        "blueprint": Suite("a/b", "1.0.0"),
    }
    good = Result(
        **usual,
        status="succeeded",
        failure=None,
        verdict="pass",
        metrics=(whole, bare),
        tables={"confusion": {"labels": []}},
        samples=SampleCounts(40, 1),
        replicates=(ReplicateOutcome(0, 0, "succeeded", None, 0),),
        deviations=("ran on another runtime",),
        discrepancies=("it claims more",),
        marks=("partial", "draft"),
    )
    ended = (ReplicateOutcome(0, 7, "failed", "timeout", None),)
    bad = Result(
        **usual, status="failed", failure="timeout", verdict="none", replicates=ended, origin="unsigned"
    )
    brought = Result(**usual, status="succeeded", failure=None, verdict="none", origin="unsigned")
    return [good.as_json(), bad.as_json(), brought.as_json()]


def locks() -> list[dict[str, Any]]:
    made = []
    for path in (CHECKOUT / "tests/spec/blueprints/minimal_good.toml", *CHECKOUT.glob("blueprints/*/*.toml")):
        blueprint = read_blueprint(path.read_bytes(), file=path.name, definitions=references())
        image = ImagePins(None, blueprint.image.digest, DIGEST, (DIGEST,), blueprint.image.platform)
        code = CodePins("c" * 40, HEX, dict.fromkeys(blueprint.code.lockfiles, HEX))
        inputs = {item.name: InputPin(item.sha256, item.size or 3) for item in blueprint.inputs}
        pins = Pins(image, code, inputs, services={service.name: image for service in blueprint.services})
        made.append(json.loads(make_lock(blueprint, pins).data))
    folders = {name: InputPin(pin.sha256, pin.size, tree=True) for name, pin in inputs.items()}
    marked = replace(pins, inputs=folders, limit=3, patch=HEX)
    made.append(json.loads(make_lock(blueprint, marked).data))
    return made


# --- what reads them


def reads_lock(document: Any) -> bool:
    """Say whether the reader takes the lock's shape: what its pins are taken from."""
    return reads(lambda data: pins_from(read_lock(data).identity), canonical_bytes(document))


def reads_whole_lock(document: Any) -> bool:
    def check(data: bytes) -> None:
        lock = read_lock(data)
        text = lock.blueprint.encode()
        check_lock(lock, read_blueprint(text, file="it", definitions=references()))

    return reads(check, canonical_bytes(document))


def reads(reader: Callable[[bytes], object], data: bytes) -> bool:
    try:
        reader(data)
    except (MalformedError, CheckFailedError):
        return False
    return True


def line(document: Any) -> bytes:
    return json.dumps(document).encode()


def is_beyond_a_schema(name: str, document: Any) -> bool:
    return name == "events" and len(line(document)) > MAX_LINE_BYTES


READERS: Mapping[str, Callable[[Any], bool]] = {
    "samples": lambda document: reads(read_container_samples, line(document)),
    "events": lambda document: reads(lambda data: read_container_events(data, 0), line(document)),
    "bundle-samples": lambda document: reads(read_bundled, canonical_bytes(document) + b"\n"),
    "bundle-events": lambda document: reads(
        lambda data: check_event_lines([data]), canonical_bytes(document) + b"\n"
    ),
    "resources": lambda document: reads(
        lambda data: check_resource_lines([data]), canonical_bytes(document) + b"\n"
    ),
    "result": lambda document: reads(lambda data: Result.from_json(parse_json(data)), line(document)),
}
DOCUMENTS: Mapping[str, list[dict[str, Any]]] = {
    "samples": SAMPLES,
    "events": EVENTS,
    "bundle-samples": bundle_lines(),
    "bundle-events": bundle_events(),
    "resources": resource_lines(),
    "result": results(),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_evalctl_writes_is_valid(name: str) -> None:
    for document in DOCUMENTS[name]:
        Draft202012Validator(schema_of(name)).validate(document)
        assert READERS[name](document)


def test_the_locks_that_evalctl_writes_are_valid() -> None:
    for document in locks():
        Draft202012Validator(schema_of("lock")).validate(document)
        assert reads_whole_lock(document)


def test_the_schema_of_a_result_names_every_field() -> None:
    schema = schema_of("result")
    assert set(schema["properties"]) == {"schema", *Result.__struct_fields__}
    metric = schema["properties"]["metrics"]["items"]["properties"]
    assert set(metric) == {"ci_method", "ci_level", *MetricResult.__struct_fields__}


# --- change them


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def changed(document: Any, path: tuple[str | int, ...], how: str, value: Any) -> Any:
    """Return `document` with the value at `path` replaced, removed, or given a company."""
    if not path:
        return value if how == "replace" else {**document, "extra": value}
    copied = copy.deepcopy(document)
    parent = copied
    for step in path[:-1]:
        parent = parent[step]
    if how == "replace":
        parent[path[-1]] = value
    elif how == "remove":
        del parent[path[-1]]
    elif isinstance(parent, dict):
        parent["extra"] = value
    else:
        parent.append(value)
    return copied


@st.composite
def mutants(draw: st.DrawFn, documents: list[dict[str, Any]]) -> Any:
    document: Any = draw(st.sampled_from(documents))
    for _ in range(draw(st.integers(1, 3))):
        if not isinstance(document, dict):
            break
        path = draw(st.sampled_from(list(places(document))))
        how = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        document = changed(document, path, how, draw(st.sampled_from(VALUES)))
    return document


@pytest.mark.parametrize("name", DOCUMENTS)
def test_schema_and_reader_accept_the_same_of_every_single_change(name: str) -> None:
    validator, read = Draft202012Validator(schema_of(name)), READERS[name]
    for document in DOCUMENTS[name]:
        for path in places(document):
            for value in VALUES:
                mutant = changed(document, path, "replace", value)
                assert validator.is_valid(mutant) == read(mutant) or is_beyond_a_schema(name, mutant), path
            for how in ("remove", "add") if path else ():
                mutant = changed(document, path, how, "x")
                assert validator.is_valid(mutant) == read(mutant), (path, how)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_schema_and_reader_accept_the_same_of_several_changes(name: str) -> None:
    validator, read = Draft202012Validator(schema_of(name)), READERS[name]

    @settings(max_examples=150, deadline=None)
    @given(mutants(DOCUMENTS[name]))
    def hold(mutant: Any) -> None:
        assert validator.is_valid(mutant) == read(mutant) or is_beyond_a_schema(name, mutant)

    hold()


@pytest.mark.slow
def test_a_lock_that_the_schema_accepts_is_read_and_one_that_is_whole_is_accepted() -> None:
    validator = Draft202012Validator(schema_of("lock"))
    document = min(locks(), key=lambda lock: len(str(lock)))
    for path in places(document):
        if path[:2] != ("identity", "sandbox"):
            for value in VALUES:
                mutant = changed(document, path, "replace", value)
                accepted = validator.is_valid(mutant)
                assert not accepted or reads_lock(mutant), (path, value)
                assert accepted or not reads_whole_lock(mutant), (path, value)


def test_a_lock_whose_flag_is_the_number_one_is_not_what_its_blueprint_gives() -> None:
    (document, *_) = locks()
    assert document["identity"]["metrics"][0]["primary"] is True
    document["identity"]["metrics"][0]["primary"] = 1
    assert not reads_whole_lock(document)


def test_more_names_than_a_sample_may_have_are_refused_by_both() -> None:
    for field in ("scores", "groups"):
        sample = {"id": "1", field: TOO_MANY}
        assert not Draft202012Validator(schema_of("samples")).is_valid(sample)
        assert not READERS["samples"](sample)


@pytest.mark.parametrize("name", ["samples", "events"])
def test_a_line_that_is_no_object_is_refused_by_both(name: str) -> None:
    for value in VALUES:
        if not isinstance(value, dict):
            assert not Draft202012Validator(schema_of(name)).is_valid(value)
            assert not READERS[name](value)
