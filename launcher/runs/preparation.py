"""What comes before a container: its image in the engine, and an ear for signals."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from launcher.engines.engine import Engine
from launcher.resolve import Resolution
from launcher.sources.images import PinnedImage


def have_image(engine: Engine, resolution: Resolution) -> str:
    """Return the engine's id of the pinned image, loading it where the engine lacks it."""
    return _have(engine, resolution.image)


def have_service_images(engine: Engine, resolution: Resolution, own: str) -> Mapping[str, str]:
    """Return the engine's ids of the services' images by service name; `own` is the evaluation's own."""
    known = {resolution.image.pins: own}
    for image in resolution.services.values():
        if image.pins not in known:
            known[image.pins] = _have(engine, image)
    return {name: known[image.pins] for name, image in resolution.services.items()}


def _have(engine: Engine, image: PinnedImage) -> str:
    return engine.find_image(image.pins) or engine.load_image(image.require_layout(), image.pins)


@contextmanager
def stop_on_signal(cancel: threading.Event, *numbers: signal.Signals) -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and `numbers` into a stop of the containers, so that an end is put to them.

    One that is ignored stays so: `nohup` is to outlive the terminal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, *numbers)}
    old = {number: handler for number, handler in asked.items() if handler is not signal.SIG_IGN}
    for number in old:
        signal.signal(number, lambda *_: cancel.set())
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
