"""Remove a container when the process that watches it dies: a process of its own, on the end of a pipe.

The kernel closes the pipe whatever ends the watching process. The guard has a session of its own, so that a
terminal that hangs up does not take it along.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from msgspec import Struct

_DONE = b"done"
_SECONDS = 10


class Guard(Struct, frozen=True):
    """Stands guard for an engine at `address`, which is None or as DOCKER_HOST has it."""

    address: str | None = None

    @contextmanager
    def over(self, container: str) -> Iterator[None]:
        """Have the container removed if this process dies inside the block."""
        import subprocess

        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "launcher.engines.guard", container],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **({"DOCKER_HOST": self.address} if self.address else {})},
        )
        try:
            yield
        finally:
            with suppress(OSError, subprocess.TimeoutExpired):
                process.communicate(_DONE, timeout=_SECONDS)


def main(container: str) -> None:
    """Wait until the watching process is done or dead; then remove what it can no longer remove."""
    if sys.stdin.buffer.read() == _DONE:
        return
    from launcher.engines.docker_engine import DockerEngine

    engine = DockerEngine()
    engine.remove([container])
    engine.close()


if __name__ == "__main__":
    main(sys.argv[1])
