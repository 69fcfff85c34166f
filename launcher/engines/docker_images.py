"""Say what a Docker Engine states of an image it holds, found by any name the engine knows."""

from typing import Any

from msgspec import Struct

from launcher.engines.docker_client import DockerClients, engine_faults
from launcher.errors import InfrastructureError


class StatedImage(Struct, frozen=True):
    """What an engine says of an image; `id` is the digest of its configuration or its manifest."""

    id: str
    diff_ids: tuple[str, ...]
    platform: str
    created: str
    size: int
    labels: dict[str, str]


def stated_image(name: str, *, address: str | None = None) -> StatedImage:
    """Return what the engine states of the image called `name`: a tag, an Id, or the start of one.

    Raises `InfrastructureError` (`image-not-found`, `engine-unreachable`).
    """
    from docker.errors import ImageNotFound

    clients = DockerClients(address)
    try:
        with clients.lent() as client, engine_faults("look for an image"):
            try:
                stated: dict[str, Any] = client.inspect_image(name)
            except ImageNotFound as error:
                raise InfrastructureError(
                    f"the engine holds no image `{name}`",
                    code="image-not-found",
                    hint="list what it holds: `docker images --no-trunc`",
                ) from error
    finally:
        clients.close()
    parts = (stated.get("Os"), stated.get("Architecture"), stated.get("Variant"))
    return StatedImage(
        id=str(stated["Id"]),
        diff_ids=tuple(map(str, stated.get("RootFS", {}).get("Layers") or ())),
        platform="/".join(str(part) for part in parts if part),
        created=str(stated.get("Created", "")),
        size=int(stated.get("Size", 0)),
        labels={str(key): str(value) for key, value in (stated["Config"].get("Labels") or {}).items()},
    )
