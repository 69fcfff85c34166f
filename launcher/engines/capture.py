"""Keep the first bytes of a container's output in a file and count the rest."""

import os
from pathlib import Path

from launcher.engines.engine import CapturedLog
from launcher.engines.masking import Masker
from launcher.errors import InfrastructureError

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Capture:
    """One stream's file of mode 0600; raw bytes, never interpreted, but for secrets that are masked."""

    def __init__(self, path: Path, limit: int, masker: Masker | None = None) -> None:
        self._path, self._limit = path, limit
        self._masker = masker
        self._captured = self._total = 0
        try:
            self._descriptor = os.open(path, _NEW_FILE, 0o600)
        except OSError as error:
            raise _not_written(path, error) from error

    def write(self, data: bytes) -> None:
        """Take bytes, with secrets masked; beyond the limit they are only counted."""
        self._keep(self._masker.feed(data) if self._masker else data)

    def _keep(self, data: bytes) -> None:
        self._total += len(data)
        view = memoryview(data)[: max(0, self._limit - self._captured)]
        try:
            while view:
                written = os.write(self._descriptor, view)
                self._captured += written
                view = view[written:]
        except OSError as error:
            raise _not_written(self._path, error) from error

    def finish(self) -> CapturedLog:
        """Close the file and return what was kept and counted."""
        if self._masker:
            self._keep(self._masker.flush())
        self.close()
        return CapturedLog(self._captured, self._total)

    def close(self) -> None:
        """Close the file; harmless when done already."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _not_written(path: Path, error: OSError) -> InfrastructureError:
    return InfrastructureError(
        f"the log `{path.name}` could not be written",
        code="log-not-written",
        context=str(error),
        hint="see that the disk that holds the evalctl home has room",
    )
