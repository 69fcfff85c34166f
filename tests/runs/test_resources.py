"""The lines of resources.jsonl: what containers used, summed per phase, short however long they ran."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from launcher.engines.engine import CapturedLog, CollectedOutputs, ContainerOutcome
from launcher.report.usage import read_usage
from launcher.runs.resources import MAX_SAMPLES, Used, loaded_objects, resources_bytes
from launcher.spec.schema import schema_of
from launcher.spec.usage import GpuReading, LimitsHit, LoadedObjects, Usage, UsageSample
from tests.runs.outcomes import DONE

SAMPLE = UsageSample(0.1, 0.5, 0.0, 9, 4, 5, 512, 64, 2, (GpuReading("GPU-1", 50.0, 1, None),))
USAGE = Usage("cgroup-v2", 1.0, (SAMPLE, replace(SAMPLE, at=1.1)), 12, 3, LimitsHit(0, 1, 2))
OUTCOME = replace(
    DONE,
    seconds=1.5,
    cpu_system_seconds=0.25,
    max_rss_bytes=7,
    outputs=CollectedOutputs(complete=True, bytes=3),
    stdout=CapturedLog(1, 2),
    usage=USAGE,
)


def lines(*containers: Used) -> list[dict[str, Any]]:
    return [json.loads(line) for line in resources_bytes(containers).splitlines()]


def test_every_line_is_as_the_published_schema_says() -> None:
    validator = Draft202012Validator(schema_of("resources"))
    unwatched = replace(OUTCOME, usage=Usage())
    written = lines(Used(0, "run", OUTCOME), Used(0, "score", unwatched), Used(0, "run", OUTCOME, "server"))
    for line in written:
        validator.validate(line)
    kinds = [line["kind"] for line in written]
    assert kinds == ["container"] * 3 + ["phase"] * 3 + ["sample"] * 4
    with pytest.raises(Exception, match="extra"):
        validator.validate({**written[0], "extra": 1})


def test_a_phase_is_the_sum_of_its_containers_and_says_nothing_of_what_was_not_told() -> None:
    unwatched = replace(OUTCOME, usage=Usage(), max_rss_bytes=8)
    written = lines(Used(0, "run", OUTCOME), Used(1, "run", OUTCOME), Used(0, "score", unwatched))
    run, score = (line for line in written if line["kind"] == "phase")
    assert (run["containers"], run["seconds"], run["read_bytes"]) == (2, 3.0, 1024)
    assert (score["containers"], score["max_rss_bytes"], "read_bytes" in score) == (1, 8, False)


def test_many_long_series_make_a_short_file() -> None:
    long = replace(USAGE, samples=tuple(replace(SAMPLE, at=float(at)) for at in range(600)))
    written = lines(*(Used(number, "run", replace(OUTCOME, usage=long)) for number in range(50)))
    samples = [line for line in written if line["kind"] == "sample"]
    assert len(samples) <= MAX_SAMPLES
    of_first = [line["at"] for line in samples if line["replicate"] == 0]
    assert (of_first[0], of_first[-1]) == (0.0, 599.0)
    (interval,) = {
        line["interval"] for line in written if line["kind"] == "container" and not line["replicate"]
    }
    assert interval > 1


def test_a_report_has_a_row_for_each_container_and_for_a_phase_of_several() -> None:
    data = resources_bytes([Used(0, "run", OUTCOME), Used(1, "run", OUTCOME), Used(0, "score", OUTCOME)])
    rows = [(row.phase, row.replicate) for row in read_usage(data)]
    assert rows == [("run", "0"), ("run", "1"), ("score", "0"), ("run", "all 2")]


def test_what_several_containers_loaded_is_named_once() -> None:
    def outcome(*paths: str) -> ContainerOutcome:
        return replace(OUTCOME, usage=replace(USAGE, loaded=LoadedObjects(paths, looks=2)))

    loaded = loaded_objects([outcome("/b", "/a"), outcome("/a")])
    assert loaded == LoadedObjects(("/a", "/b"), looks=4)


def test_a_bundle_holds_what_the_schema_says(world: Any, evalctl: Any) -> None:
    done = evalctl("launch", world.write(), "--json")
    bundle = Path(json.loads(done.out)["bundle"])
    validator = Draft202012Validator(schema_of("resources"))
    for line in (bundle / "resources.jsonl").read_bytes().splitlines():
        validator.validate(json.loads(line))
