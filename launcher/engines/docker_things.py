"""What a Docker Engine keeps under labels: found and removed by kind."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from launcher.engines.docker_containers import remove as remove_container
from launcher.engines.engine import Thing

if TYPE_CHECKING:
    from docker import APIClient


def find_things(client: "APIClient", thing: Thing, labels: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the things of one kind that carry all of `labels`: id to its labels."""
    wanted = {"label": [f"{name}={value}" for name, value in labels.items()]}
    found: list[Mapping[str, Any]]
    if thing == "container":
        found = client.containers(all=True, filters=wanted)
    elif thing == "network":
        found = client.networks(filters=wanted)
    else:
        found = client.volumes(filters=wanted).get("Volumes") or []
    key = "Name" if thing == "volume" else "Id"
    return {item[key]: dict(item.get("Labels") or {}) for item in found}


def remove_thing(client: "APIClient", thing: Thing, name: str) -> None:
    """Remove one thing; one that is gone already is no fault."""
    from docker.errors import NotFound

    if thing == "container":
        remove_container(client, name)
        return
    try:
        if thing == "network":
            client.remove_network(name)
        else:
            client.remove_volume(name)
    except NotFound:
        return
