"""Records to report on, each made once: what `evalctl report` gathers of a bundle."""

from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.report.record import Record
from launcher.trust.policy import empty_policy
from tests.fakes.world import SmallWorld, copy_world
from tests.report import stories
from tests.report.golden import record_of

STORIES = ("several_seeds", "failed", "partial", "hostile")
Story = Callable[[str], tuple[SmallWorld, Path]]


@pytest.fixture(scope="session")
def story(world_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Return a function that gives a story's world and bundle, which tests must leave as they are."""
    made: dict[str, tuple[SmallWorld, Path]] = {}

    def tell(name: str) -> tuple[SmallWorld, Path]:
        if name not in made:
            world = copy_world(world_template, tmp_path_factory.mktemp(name) / "world")
            made[name] = (world, getattr(stories, name)(world))
        return made[name]

    return tell


@pytest.fixture(scope="session")
def record(story: Story) -> Callable[[str], Record]:
    """Return a function that gives the record of a story; `stranger` is one that nobody here trusts."""

    def read(name: str) -> Record:
        world, bundle = story("several_seeds" if name == "stranger" else name)
        policy = empty_policy() if name == "stranger" else None
        return record_of(world, bundle, policy)

    return read
