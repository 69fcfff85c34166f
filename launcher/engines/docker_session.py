"""An interactive container on a Docker Engine: create, attach, resize, wait, remove."""

import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

from launcher.engines.conversation import Conversation
from launcher.engines.docker_client import engine_faults
from launcher.engines.docker_containers import (
    attach,
    create,
    final_state,
    kill,
    refuse_misfit,
    remove,
    start,
)
from launcher.engines.engine import Console, Interaction
from launcher.engines.guard import Guard
from launcher.errors import EvalctlError

if TYPE_CHECKING:
    from docker import APIClient

_SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Go's os.FileMode, in which the engine tells what a path is.
_FOLDER, _EXECUTABLE = 1 << 31, 0o111


def interact(
    client: "APIClient",
    request: tuple[str, Mapping[str, Any]],
    console: Console,
    cancel: threading.Event,
    guard: Guard,
) -> Interaction:
    """Create the container of `request` (its name and body) and run it with `console` at its ends.

    The container is gone when this returns.
    """
    name, body = request
    container = create(client, name, body)
    started = time.monotonic()
    try:
        with guard.over(container):
            refuse_misfit(client, container, body)
            was_killed = _converse(client, container, console, cancel)
            state = final_state(client, container)
            return Interaction(
                exit_code=state.get("ExitCode"),
                oom_killed=bool(state.get("OOMKilled")),
                cancelled=was_killed,
                seconds=time.monotonic() - started,
            )
    finally:
        with engine_faults("remove a container"):
            remove(client, container)


def _converse(client: "APIClient", container: str, console: Console, cancel: threading.Event) -> bool:
    def resize(rows: int, columns: int) -> bool:
        with suppress(EvalctlError), engine_faults("resize a terminal"):
            client.resize(container, rows, columns)
            return True
        return False

    with closing(attach(client, container)) as link:
        start(client, container)
        with console.held():
            return Conversation(link, console, resize, lambda: kill(client, container)).hold(cancel)


def default_command(
    client: "APIClient", image: str, names: tuple[str, ...], labels: Mapping[str, str]
) -> tuple[str, ...]:
    """Look for `names` in a container that is never started; the engine tells what a path in it is."""
    config = client.inspect_image(image)["Config"]
    body = {"Image": image, "Cmd": ["/"], "Labels": dict(labels), "NetworkDisabled": True}
    container = str(client.create_container_from_config(body)["Id"])
    try:
        for name in names:
            for folder in _search_path(config.get("Env") or ()):
                if _is_program(client, container, f"{folder}/{name}"):
                    return (f"{folder}/{name}",)
    finally:
        remove(client, container)
    return (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ()))


def _search_path(environment: tuple[str, ...] | list[str]) -> list[str]:
    given = [line.removeprefix("PATH=") for line in environment if line.startswith("PATH=")]
    path = given[-1] if given else _SEARCH_PATH
    return [folder.rstrip("/") for folder in path.split(":") if folder.startswith("/")]


def _is_program(client: "APIClient", container: str, path: str) -> bool:
    from docker.errors import NotFound

    try:
        chunks, facts = client.get_archive(container, path)
    except NotFound:
        return False
    chunks.close()
    mode = int(facts["mode"])
    return not mode & _FOLDER and bool(mode & _EXECUTABLE)
