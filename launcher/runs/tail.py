"""Follow what an attempt's containers write, while it runs and from its bundle once it has ended."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from launcher.spec import bundle as names
from launcher.store.home import Home
from launcher.store.journal import bundle_of, read_state
from launcher.store.liveness import is_alive
from launcher.store.naming import Found

Stream = Literal["stdout", "stderr"]
STREAMS: Final[tuple[Stream, ...]] = ("stdout", "stderr")
_PHASES: Final = ("run", "score")
_CHUNK: Final = 1 << 16
_GLANCE_SECONDS: Final = 0.2


class Piece(Struct, frozen=True):
    """Bytes that a phase's container wrote to a stream."""

    phase: str
    stream: Stream
    data: bytes


class Wanted(Struct, frozen=True):
    """Which replicate's streams are asked for."""

    replicate: int = 0
    streams: tuple[Stream, ...] = STREAMS


def bundle_pieces(bundle: Path, wanted: Wanted) -> Iterator[Piece]:
    """Yield what a bundle keeps of the streams."""
    yield from _kept(bundle, wanted, {})


def attempt_pieces(
    home: Home, found: Found, wanted: Wanted, *, follow: bool, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Piece]:
    """Yield what an attempt has written so far; with `follow` until it has ended, then from its bundle.

    The files stay open: what is written last is read even where the attempt's folder is gone by then.
    """
    shown: dict[tuple[str, Stream], int] = {}
    invocation = str(found.state.get("invocation_id") or "none")
    with _Files(found.folder, wanted) as files:
        alive = found.alive
        while alive:
            yield from _counted(files.grown(), shown)
            alive = follow and is_alive(home, invocation)
            if alive:
                sleep(_GLANCE_SECONDS)
        yield from _counted(files.grown(), shown)
    if is_alive(home, invocation):
        return
    bundle = bundle_of(home, read_state(found.folder))
    if bundle is not None:
        yield from _kept(bundle, wanted, shown)


def _counted(pieces: Iterator[Piece], shown: dict[tuple[str, Stream], int]) -> Iterator[Piece]:
    for piece in pieces:
        key = (piece.phase, piece.stream)
        shown[key] = shown.get(key, 0) + len(piece.data)
        yield piece


def _kept(bundle: Path, wanted: Wanted, shown: dict[tuple[str, Stream], int]) -> Iterator[Piece]:
    """Yield what a bundle keeps beyond what was `shown` of it."""
    for phase in _PHASES:
        for stream in wanted.streams:
            path = bundle / names.LOGS / f"{phase}-{wanted.replicate}.{stream}"
            with suppress(FileNotFoundError), path.open("rb") as file:
                file.seek(shown.get((phase, stream), 0))
                while data := file.read(_CHUNK):
                    yield Piece(phase, stream, data)


class _Files:
    """The growing files of a replicate, opened as they appear."""

    def __init__(self, folder: Path, wanted: Wanted) -> None:
        self._folder = folder / "work" / str(wanted.replicate)
        self._streams = wanted.streams
        self._descriptors: dict[tuple[str, Stream], int] = {}

    def __enter__(self) -> "_Files":
        return self

    def __exit__(self, *_: object) -> None:
        for descriptor in self._descriptors.values():
            os.close(descriptor)

    def grown(self) -> Iterator[Piece]:
        """Yield what has come since the last look."""
        for phase in _PHASES:
            for stream in self._streams:
                key = (phase, stream)
                if key not in self._descriptors:
                    with suppress(OSError):
                        path = self._folder / phase / "logs" / stream
                        self._descriptors[key] = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                while key in self._descriptors and (data := os.read(self._descriptors[key], _CHUNK)):
                    yield Piece(phase, stream, data)
