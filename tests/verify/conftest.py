"""Fixtures for verification: one bundle that a launch made, and copies to do harm to."""

from pathlib import Path

import pytest

from tests.fakes.forgery import copy_of
from tests.fakes.world import SmallWorld, copy_world, leaving


@pytest.fixture(scope="session")
def shared(world_template: Path, tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    """Return a world in which a bundle was made, for tests that leave it alone."""
    world = copy_world(world_template, tmp_path_factory.mktemp("shared") / "world")
    world.plays(leaving(b"a picture", "artifacts/plot.png"))
    world.launch(sections={"run": 'command = ["answer"]\nseeds = [3, 4]'})
    return world


@pytest.fixture(scope="session")
def original(shared: SmallWorld) -> Path:
    (bundle,) = shared.home.bundles.iterdir()
    return bundle


@pytest.fixture
def bundle(original: Path, tmp_path: Path) -> Path:
    """Return a copy of the bundle to do harm to."""
    return copy_of(original, tmp_path / "bundle")
