"""What every container of a Docker Engine goes through: created, attached to, killed, judged, removed."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from launcher.engines.attachment import Attachment
from launcher.engines.docker_client import engine_faults
from launcher.engines.docker_gpus import refuse_without_its_gpus
from launcher.engines.requirements import refuse_volumes
from launcher.errors import EvalctlError

if TYPE_CHECKING:
    from docker import APIClient

_ATTACH = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
_EXIT_SECONDS = 30


def create(client: "APIClient", name: str, body: Mapping[str, Any]) -> str:
    """Create the container that `body` describes and return its id."""
    ask: Callable[..., Any] = client.create_container_from_config
    with engine_faults("create a container"):
        return str(ask(body, name=name)["Id"])


def refuse_misfit(client: "APIClient", container: str, body: Mapping[str, Any]) -> None:
    """Raise `RequirementError` where the container that was created has a volume, or lacks a GPU."""
    with engine_faults("create a container"):
        facts = client.inspect_container(container)
    refuse_volumes(facts, body["Image"])
    # Podman's inspection names no specifications; it refuses to start a container that lacks one.
    if not getattr(client, "refuses_lacking_devices", False):
        refuse_without_its_gpus(body, facts)


def attach(client: "APIClient", container: str) -> Attachment:
    """Return the container's streams; closing them closes its standard input."""
    with engine_faults("attach to a container"):
        return Attachment(client.attach_socket(container, params=_ATTACH))


def start(client: "APIClient", container: str) -> None:
    """Start the container."""
    with engine_faults("start a container"):
        client.start(container)


def kill(client: "APIClient", container: str) -> None:
    """Kill the container; one that cannot be killed is found out by waiting for its end."""
    with suppress(EvalctlError), engine_faults("kill a container"):
        client.kill(container)


def final_state(client: "APIClient", container: str) -> Mapping[str, Any]:
    """Return the engine's own account, once it has seen the container end."""
    with engine_faults("wait for a container"):
        client.wait(container, timeout=_EXIT_SECONDS)
        state: Mapping[str, Any] = client.inspect_container(container)["State"]
        return state


def remove(client: "APIClient", container: str) -> None:
    """Kill and remove a container; one that is gone already, or going, is no fault."""
    from docker.errors import APIError

    try:
        client.remove_container(container, v=True, force=True)
    except APIError as error:
        # 404: gone already; 409: its removal is under way.
        if error.status_code not in (404, 409):
            raise
