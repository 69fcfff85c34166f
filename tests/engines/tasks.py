"""What the tests of engines share: labels of this session, an observer, shapes of the fixtures."""

from collections.abc import Callable
from uuid import uuid4

from launcher.engines.engine import ContainerOutcome, ContainerTask

LABELS = {"evalctl.home": f"test-{uuid4().hex}", "evalctl.attempt": "test"}

MakeTask = Callable[..., ContainerTask]
Shell = Callable[..., tuple[ContainerOutcome, ContainerTask]]


class Watcher:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    def samples_so_far(self, count: int) -> None:
        self.counts.append(count)
