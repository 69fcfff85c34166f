"""Every step of launcher and container is in events.jsonl, under a name that docs/events.md explains."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from launcher.runs.events import moment, now
from launcher.spec.schema import schema_of
from launcher.spec.steps import STEPS

DOCS = Path(__file__).parents[2] / "docs" / "events.md"


def steps(bundle: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (bundle / "events.jsonl").read_bytes().splitlines()]
    validator = Draft202012Validator(schema_of("bundle-events"))
    for line in lines:
        validator.validate(line)
    return [line for line in lines if line["source"] == "launcher"]


def test_every_step_has_a_line_in_the_documentation() -> None:
    told = [line.split("|") for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    assert {cells[1].strip(" `"): cells[2].strip() for cells in told} == STEPS


def test_a_launch_records_its_steps_under_those_names(world: Any, evalctl: Any) -> None:
    done = evalctl("launch", world.write(), "--json")
    found = [line["step"] for line in steps(Path(json.loads(done.out)["bundle"]))]
    assert set(found) <= set(STEPS)
    assert [name for name in found if name in ("resolve", "engine", "image", "run", "metrics", "bundle")] == [
        *("resolve", "engine", "image", "run", "metrics", "bundle"),
    ]


def test_a_moment_of_the_monotonic_clock_is_told_in_world_time() -> None:
    before = now()
    assert before <= moment(time.monotonic()) <= now()
    assert moment(time.monotonic() - 3600) < before


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_one_word(name: str) -> None:
    assert name.isidentifier()
