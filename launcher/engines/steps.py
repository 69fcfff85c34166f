"""Take the times of what is done to one container."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from launcher.engines.engine import ContainerStep

Name = Literal["create", "start", "collect"]


class Steps:
    """Collects the steps of one container, in the order in which they end."""

    def __init__(self) -> None:
        self._done: list[ContainerStep] = []
        self._ended: float | None = None

    @contextmanager
    def step(self, name: Name) -> Iterator[None]:
        """Time the block."""
        began = time.monotonic()
        yield
        self._done.append(ContainerStep(name, began, time.monotonic() - began))

    def command_ended(self) -> None:
        """Take note that the command has ended: what follows is collecting."""
        self._ended = time.monotonic()

    def done(self) -> tuple[ContainerStep, ...]:
        """Return the steps, the last one ending with this call."""
        if self._ended is None:
            return tuple(self._done)
        collected = ContainerStep("collect", self._ended, time.monotonic() - self._ended)
        return (*self._done, collected)
