"""Ask what answers at an engine's address, and take it as that."""

from typing import TYPE_CHECKING

from launcher.engines.docker_engine import DockerEngine
from launcher.errors import RequirementError
from launcher.spec.site import EngineName

if TYPE_CHECKING:
    from launcher.engines.engine import Engine


def open_engine(address: str, wanted: EngineName | None = None) -> "Engine":
    """Return the engine at `address`; raise `RequirementError` where it is not the one that is `wanted`."""
    engine = DockerEngine(address)
    if wanted is not None and (found := engine.describe().name) != wanted:
        raise RequirementError(
            f"what answers is {found}, not {wanted}",
            code="engine-other",
            context=f"at {address}",
            hint=f"name {wanted}'s socket: export {_VARIABLES[wanted]}=unix:///PATH",
        )
    return engine


_VARIABLES: dict[EngineName, str] = {"docker": "DOCKER_HOST", "podman": "CONTAINER_HOST"}
