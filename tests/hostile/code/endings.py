"""Attacks that end a launch in a way of their own."""

import contextlib
import signal
import time
from collections.abc import Callable
from pathlib import Path

OUT = Path("/eval/out")
SAMPLES, EVENTS = OUT / "samples.jsonl", OUT / "events.jsonl"
HONEST = '{"id": "honest", "prediction": "honest"}\n'
LIE = '{"id": "honest", "prediction": "a lie"}\n'
ENDINGS: dict[str, Callable[[], None]] = {}
MIB = 1 << 20


def ending(function: Callable[[], None]) -> Callable[[], None]:
    """Register an attack under its name, with hyphens."""
    ENDINGS[function.__name__.replace("_", "-")] = function
    return function


def be_honest() -> None:
    """Leave the one sample that the labels ask for."""
    SAMPLES.write_text(HONEST)


def deaf() -> None:
    """Ignore every signal that can be ignored."""
    for number in range(1, 65):
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)


def sit() -> None:
    """Stay for longer than any launch here may last."""
    while True:
        time.sleep(60)


def hold(size: int) -> list[bytearray]:
    """Use memory up, page by page."""
    return [bytearray(MIB) for _ in range(size // MIB)]
