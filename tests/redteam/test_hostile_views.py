"""Bundles of a stranger that are looked at before anything in them is checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher.errors import CheckFailedError
from launcher.report.reading import read_view
from launcher.report.terminal import full, summary
from tests.fakes.forgery import change_json
from tests.fakes.world import SmallWorld

PUBLISHED = {"value": 0.9, "decimals": 3 * 10**9, "source": "doi:x"}


def _no_labels(result: Any) -> None:
    result["tables"] = {"confusion": {"labels": [], "counts": [], "failed": []}}


def _endless_decimals(result: Any) -> None:
    result["metrics"][0]["published"] = PUBLISHED


@pytest.mark.parametrize("change", [_no_labels, _endless_decimals])
def test_a_result_that_no_launch_writes_is_refused_and_never_shown(
    world: SmallWorld, change: Callable[[Any], None]
) -> None:
    bundle = world.launch().bundle
    change_json(bundle / "result.json", change)
    with pytest.raises(CheckFailedError):
        read_view(bundle)


def _unknown_replicate(result: Any) -> None:
    result["replicates"][1]["replicate"] = 77


def _escapes(result: Any) -> None:
    result["deviations"] = ["\x1b[2J\x9b31m\u202egood news\r\x07"]
    result["metrics"][0]["reason"] = "\x1b]0;title\x07"


@pytest.mark.parametrize("change", [_unknown_replicate, _escapes])
def test_what_can_be_shown_is_plain_text_of_80_columns(
    world: SmallWorld, change: Callable[[Any], None]
) -> None:
    bundle: Path = world.launch(sections={"run": 'command = ["answer"]\nseeds = [3, 4]'}).bundle
    change_json(bundle / "result.json", change)
    view = read_view(bundle)
    for line in f"{full(view)}\n{summary(view)}".split("\n"):
        assert len(line) <= 80
        assert line.isprintable()


@pytest.mark.parametrize("manifest", [-1, [], {"a": 1}, None, True])
def test_a_lock_with_a_digest_that_is_no_text_is_shown_all_the_same(
    world: SmallWorld, manifest: object
) -> None:
    bundle = world.launch().bundle
    change_json(bundle / "lock.json", lambda lock: lock["identity"]["image"].update(manifest=manifest))
    assert full(read_view(bundle))
