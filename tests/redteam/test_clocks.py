"""Clocks that are set while an attempt runs."""

import pytest

from tests.fakes.world import SmallWorld


def test_a_clock_that_is_set_back_leaves_a_bundle_that_verifies(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.runs.assemble.now", lambda: "1999-12-31T23:59:59.999Z")
    assert world.verify(world.launch().bundle).verdict == "verified"
