"""Watch what containers use while they run: one thread for all of an engine's containers."""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from launcher.engines.cgroups import Cgroups, find_cgroups
from launcher.engines.loaded import LoadedWatch
from launcher.errors import EvalctlError
from launcher.spec.usage import GpuReading, Usage, UsageSample, UsageSource

MAX_SAMPLES: Final = 600
_FIRST_INTERVAL: Final = 0.1
_FIRST_SECONDS: Final = 1.0
# What asks the engine costs it more than a look at a file.
_ENGINE_INTERVAL: Final = 5.0


class Watched(Struct, frozen=True):
    """A container to be watched.

    `process` tells its first process on this host, `stats` asks the engine where control groups cannot be
    seen, `read_gpus` tells of the GPUs it was given; `is_native` says that its programs are processes of this
    host's kernel.
    """

    container: str
    process: Callable[[], int | None]
    stats: Callable[[], UsageSample | None]
    read_gpus: Callable[[], Sequence[GpuReading]] = tuple
    is_native: bool = True


class Watch:
    """The series of one container; used by the sampler's thread and by the one that follows the container."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._groups: Cgroups | None = None
        self._looked_for_groups = self._ended = False
        self._loaded = LoadedWatch()
        self._usage = Usage()
        self.due = self._began

    def tick(self) -> None:
        """Take a sample and say when the next is due."""
        with self._lock:
            if self._ended:
                self.due = math.inf
                return
            self._sample()
            self.due = time.monotonic() + self._interval()

    def end(self) -> None:
        """Take the last sample: the command has ended, and its control groups are about to."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            self.due = math.inf
            groups = self._find_groups()
            if groups is not None:
                self._read(groups, self._at())
                groups.close()

    def finish(self) -> Usage:
        """Return what was seen; after `end`."""
        return replace(self._usage, loaded=self._loaded.found())

    def _sample(self) -> None:
        groups, at = self._find_groups(), self._at()
        if groups is None:
            with suppress(EvalctlError):
                self._take(self._watched.stats(), at, "engine")
            return
        self._read(groups, at)
        if self._watched.is_native and self._loaded.is_due(at):
            self._loaded.look(groups.processes(), at)

    def _read(self, groups: Cgroups, at: float) -> None:
        """Take a sample, and what the kernel counts: the last look may come too late for it."""
        if not self._take(groups.sample(at), at, groups.version):
            return
        peaks = groups.peaks()
        self._usage = replace(
            self._usage,
            memory_peak_bytes=peaks.memory_bytes,
            pids_peak=peaks.pids,
            limits=groups.limits(),
        )

    def _take(self, sample: UsageSample | None, at: float, source: UsageSource) -> bool:
        """Add a sample, unless it is one of a container that is gone."""
        if sample is None or (sample.cpu_seconds is None and sample.memory_bytes is None):
            return False
        gpus = tuple(self._watched.read_gpus())
        taken = (*self._usage.samples, replace(sample, at=at, gpus=gpus))
        usage = replace(self._usage, source=source, samples=taken)
        self._usage = usage.thinned() if len(taken) > MAX_SAMPLES else usage
        return True

    def _find_groups(self) -> Cgroups | None:
        if not self._looked_for_groups:
            self._looked_for_groups = True
            with suppress(EvalctlError):
                self._groups = find_cgroups(self._watched.container, self._watched.process)
        return self._groups

    def _interval(self) -> float:
        if self._groups is None:
            return max(_ENGINE_INTERVAL, self._usage.interval)
        return _FIRST_INTERVAL if self._at() < _FIRST_SECONDS else self._usage.interval

    def _at(self) -> float:
        return round(time.monotonic() - self._began, 3)


class Sampler:
    """Takes the samples of all watches; its thread lives while there is something to watch."""

    def __init__(self) -> None:
        self._watches: list[Watch] = []
        self._changed = threading.Condition()
        self._is_running = False

    @contextmanager
    def watching(self, watched: Watched) -> Iterator[Watch]:
        """Watch a container that has just been started for the length of a block."""
        watch = self._begin(watched)
        try:
            yield watch
        finally:
            with self._changed:
                self._watches.remove(watch)
                self._changed.notify()
            watch.end()

    def _begin(self, watched: Watched) -> Watch:
        watch = Watch(watched)
        with self._changed:
            self._watches.append(watch)
            if not self._is_running:
                self._is_running = True
                threading.Thread(target=self._run, name="sampler", daemon=True).start()
            self._changed.notify()
        return watch

    def _run(self) -> None:
        while (watch := self._next()) is not None:
            watch.tick()

    def _next(self) -> Watch | None:
        """Wait for the watch that is due; None once there are none."""
        with self._changed:
            while self._watches:
                first = min(self._watches, key=lambda watch: watch.due)
                pause = first.due - time.monotonic()
                if pause <= 0:
                    return first
                self._changed.wait(min(pause, threading.TIMEOUT_MAX))
            self._is_running = False
            return None
