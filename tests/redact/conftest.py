"""A redactable bundle with canaries, and one that was made of it, for tests that leave both alone."""

from pathlib import Path

import pytest

from tests.conftest import Evalctl
from tests.fakes.forgery import copy_of
from tests.fakes.world import SmallWorld, copy_world
from tests.redact.redactable import CANARY, SECTIONS, redact, tell


@pytest.fixture(scope="module")
def shared(world_template: Path, tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    """Return a world in which a redactable bundle was made, for tests that leave it alone."""
    world = copy_world(world_template, tmp_path_factory.mktemp("redactable") / "world")
    world.plays(tell)
    world.launch(sections=SECTIONS)
    return world


@pytest.fixture(scope="module")
def original(shared: SmallWorld) -> Path:
    (bundle,) = shared.home.bundles.iterdir()
    return bundle


@pytest.fixture(scope="module")
def redacted(shared: SmallWorld, original: Path) -> Path:
    """Return a bundle without predictions and targets, and without the two samples of the canary."""
    return redact(shared, original, "predictions", "targets", ids=(f"the {CANARY}", f"failed {CANARY}"))


@pytest.fixture
def lie(redacted: Path, tmp_path: Path) -> Path:
    """Return a copy of the redacted bundle to do harm to."""
    return copy_of(redacted, tmp_path / "lie")


@pytest.fixture
def told(shared: SmallWorld, evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch) -> Evalctl:
    """Return the command line in the world of the shared bundles."""
    monkeypatch.setenv("EVALCTL_HOME", str(shared.home.root))
    return evalctl
