"""A ledger with two pasts."""

import shutil
from pathlib import Path

import pytest

from launcher.ledger.book import Book
from tests.fakes.world import SmallWorld
from tests.ledger.pasts import keep


@pytest.fixture
def forked(world: SmallWorld) -> tuple[Path, Path, Path, Path]:
    """Two pasts of one ledger, each with its second attempt's bundle; the home has the second."""
    world.launch()
    saved = keep(world.home.root, world.root / "saved")
    first = keep(world.launch(rerun=True).bundle, world.root / "first")
    one = keep(Book(world.home).path, world.root / "one")
    shutil.rmtree(world.home.root)
    keep(saved, world.home.root)
    second = keep(world.launch(rerun=True).bundle, world.root / "second")
    two = keep(Book(world.home).path, world.root / "two")
    return one, first, two, second
