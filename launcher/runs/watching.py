"""Who watches a container: an end that two may ask for, and nobody where progress is shown to none."""

import threading


class LinkedEvent(threading.Event):
    """An event that is set as well while another one is."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        """Say whether one of the two was set."""
        return super().is_set() or self._other.is_set()


class Nobody:
    """An observer who takes no note."""

    def samples_so_far(self, count: int) -> None:
        """Take no note."""
