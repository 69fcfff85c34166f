"""The engine that launches use: the one place where a command chooses it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.engines.engine import Engine


def connect() -> "Engine":
    """Return the Docker Engine that answers at `DOCKER_HOST` or the default socket."""
    from launcher.engines.docker_engine import DockerEngine

    return DockerEngine()
