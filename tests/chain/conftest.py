"""Fixtures for the chain of evidence: a published bundle, and other people's keys."""

from pathlib import Path

import pytest

from tests.chain.people import key_of
from tests.fakes.forgery import copy_of
from tests.fakes.world import SmallWorld


@pytest.fixture
def original(world: SmallWorld) -> Path:
    """Return a bundle of the world's own key, copied out to a folder of its own."""
    return copy_of(world.launch().bundle, world.root / "published")


@pytest.fixture
def keys(world: SmallWorld) -> dict[str, Path]:
    """Return private keys of others, by their owners' names."""
    return {name: key_of(world, name) for name in ("bob", "carol", "dave")}
