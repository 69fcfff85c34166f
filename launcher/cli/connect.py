"""The engine that a command uses: the one place where it is chosen."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from launcher.errors import MalformedError
from launcher.spec.site import ENGINE_NAMES, EngineName

if TYPE_CHECKING:
    from launcher.engines.engine import Engine

_DOCKER: Final = "/var/run/docker.sock"
_PODMAN: Final = "podman/podman.sock"


def checked(name: str | None) -> EngineName | None:
    """Return the engine's name, None for None; raises `MalformedError` for one that there is not."""
    for known in ENGINE_NAMES:
        if name == known:
            return known
    if name is None:
        return None
    raise MalformedError(
        f"there is no engine `{name}`",
        code="unknown-engine",
        context=f"expected {' or '.join(ENGINE_NAMES)}",
        hint="see `evalctl launch --help`",
    )


# Checked where it is typed: a launch that returns a finished run asks no engine.
EngineChoice = Annotated[
    str | None,
    typer.Option(
        "--engine",
        callback=checked,
        metavar="NAME",
        help="docker or podman; default: whichever answers at DOCKER_HOST, CONTAINER_HOST or a usual socket.",
    ),
]


def connect(name: str | None = None) -> "Engine":
    """Return the engine called `name`, else the one that answers where engines are looked for.

    What answers is asked what it is. Raises `InfrastructureError` where nothing does.
    """
    wanted = checked(name)
    from launcher.engines.choice import open_engine

    return open_engine(address(wanted, dict(os.environ)), wanted)


def address(wanted: EngineName | None, environment: dict[str, str]) -> str:
    """Return where an engine is looked for: what the environment names, else a usual socket that is there."""
    docker, podman = environment.get("DOCKER_HOST"), environment.get("CONTAINER_HOST")
    named = {"docker": docker, "podman": podman or docker, None: docker or podman}[wanted]
    if named:
        return named
    sockets = {"docker": [_DOCKER], "podman": _podman_sockets(environment)}
    places = sockets[wanted] if wanted else [*sockets["docker"], *sockets["podman"]]
    return "unix://" + next((place for place in places if Path(place).exists()), places[0])


def _podman_sockets(environment: dict[str, str]) -> list[str]:
    """Return Podman's sockets: the user's own, then the machine's."""
    own = environment.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    folders = ["/run"] if os.geteuid() == 0 else [own, "/run"]
    return [f"{folder}/{_PODMAN}" for folder in folders]
