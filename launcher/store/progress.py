"""How far a running attempt is: a small file in its folder, for display only, replaced now and then."""

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal

from launcher.canonical import canonical_bytes, parse_json
from launcher.errors import EvalctlError

ReplicateState = Literal["running", "done", "failed"]
_NAME: Final = "progress.json"
# Gone with the outputs and logs that are collected there.
_WORK: Final = "work"
_EVERY_SECONDS: Final = 1.0


class Progress:
    """Tells what the replicates of one attempt do; used by all their threads, it never fails a run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / _WORK
        self._replicates: dict[int, tuple[ReplicateState, int]] = {}
        self._lock = threading.Lock()
        self._written = 0.0

    def became(self, replicate: int, state: ReplicateState) -> None:
        """Take note that a replicate began or ended."""
        with self._lock:
            self._replicates[replicate] = (state, self._samples(replicate))
            self._write()

    def counted(self, replicate: int, samples: int) -> None:
        """Take note of a replicate's samples so far; it is written once a second."""
        with self._lock:
            self._replicates[replicate] = ("running", samples)
            if time.monotonic() - self._written >= _EVERY_SECONDS:
                self._write()

    def _samples(self, replicate: int) -> int:
        return self._replicates[replicate][1] if replicate in self._replicates else 0

    def _write(self) -> None:
        self._written = time.monotonic()
        table = {
            str(number): {"state": state, "samples": samples}
            for number, (state, samples) in self._replicates.items()
        }
        temporary = self._folder / f".{_NAME}"
        with suppress(OSError):
            temporary.write_bytes(canonical_bytes({"replicates": table}))
            temporary.rename(self._folder / _NAME)


def read_progress(folder: Path) -> Mapping[int, tuple[str, int]]:
    """Return each replicate's state and samples so far; nothing where nothing readable was told."""
    try:
        value: Any = parse_json((folder / _WORK / _NAME).read_bytes(), what="the progress")
        return {
            int(key): (str(row["state"]), int(row["samples"])) for key, row in value["replicates"].items()
        }
    except (OSError, EvalctlError, ValueError, TypeError, KeyError, AttributeError):
        return {}
