"""Connections to a Docker Engine, and its faults in evalctl's own words."""

import errno
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from launcher.engines.podman_facts import is_podman
from launcher.errors import EvalctlError, InfrastructureError, RequirementError

if TYPE_CHECKING:
    from docker import APIClient

OLDEST_API, NEWEST_API = (1, 41), (1, 44)


class DockerClients:
    """Lends out clients, each to one thread at a time; docker-py's sessions must not be shared.

    `address` is what DOCKER_HOST would say; None: what it does say, else the default socket. It must be a
    Unix socket: only an engine on this machine can see the folders it is asked to mount.
    """

    def __init__(self, address: str | None = None, timeout: int = 120) -> None:
        self._address = address
        self._timeout = timeout
        self._idle: list[APIClient] = []
        self._lock = threading.Lock()
        self._version: Mapping[str, Any] | None = None

    @property
    def address(self) -> str | None:
        """What DOCKER_HOST would say, None where it decides itself."""
        return self._address

    @property
    def version(self) -> Mapping[str, Any]:
        """Return the engine's answer to `/version`, asked once."""
        with self._lock:
            if self._version is None:
                with engine_faults("be asked for its version", self._address):
                    client = self._connect(OLDEST_API)
                    self._version = client.version(api_version=False)
                if _api_version(self._version) == OLDEST_API and not is_podman(self._version):
                    self._idle.append(client)
            return self._version

    @property
    def api_version(self) -> tuple[int, int]:
        """Return the newest version of the interface that both sides speak."""
        return _api_version(self.version)

    def take(self) -> "APIClient":
        """Return a client that is the caller's alone until `give_back`."""
        wanted = self.api_version
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._connect(wanted)

    def give_back(self, client: "APIClient") -> None:
        """Return a client for others to use."""
        # docker-py keeps a connection for each URL, and URLs hold container ids; the client stays usable.
        client.close()
        with self._lock:
            self._idle.append(client)

    @contextmanager
    def lent(self) -> Iterator["APIClient"]:
        """Take a client for the length of a block."""
        client = self.take()
        try:
            yield client
        finally:
            self.give_back(client)

    def close(self) -> None:
        """Drop the idle connections."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()

    def _connect(self, version: tuple[int, int]) -> "APIClient":
        from docker import APIClient
        from docker.utils import kwargs_from_env

        address = self._address or kwargs_from_env().get("base_url")
        if address and not address.startswith("unix://"):
            raise RequirementError(
                f"the engine at `{address}` is not on this machine",
                code="engine-remote",
                context="expected a Unix socket: the engine mounts folders of this machine",
                hint="unset DOCKER_HOST, or set it to unix:///var/run/docker.sock",
            )
        kind: type[APIClient] = APIClient
        if self._version and is_podman(self._version):
            from launcher.engines.podman_client import PodmanClient

            kind = PodmanClient
        client = kind(base_url=address, version=_text(version), timeout=self._timeout)
        # No proxy stands before a Unix socket; the library would look for one at every request.
        client.trust_env = False
        return client


def _api_version(answer: Mapping[str, Any]) -> tuple[int, int]:
    newest, oldest = _number(answer.get("ApiVersion")), _number(answer.get("MinAPIVersion"))
    if newest < OLDEST_API or oldest > NEWEST_API:
        raise RequirementError(
            "the engine speaks no version of the interface that evalctl does",
            code="engine-version",
            context=f"expected {_text(OLDEST_API)} to {_text(NEWEST_API)}, "
            f"got {_text(oldest)} to {_text(newest)}",
            hint="install Docker Engine 20.10 or newer",
        )
    return min(newest, NEWEST_API)


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _number(text: Any) -> tuple[int, int]:
    major, _, minor = str(text or "0.0").partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else (0, 0)


@contextmanager
def engine_faults(doing: str, address: str | None = None) -> Iterator[None]:
    """Turn docker-py's and the connection's exceptions into evalctl's; `doing` completes "could not ..."."""
    import requests
    from docker.errors import APIError, DockerException

    try:
        yield
    except APIError as error:
        raise _refused(doing, error) from error
    except (DockerException, requests.RequestException, OSError) as error:
        reason = _innermost(error)
        denied = reason == os.strerror(errno.EACCES)
        raise InfrastructureError(
            f"the container engine could not {doing}: it does not answer",
            code="engine-unreachable",
            context=f"at {address or _address()}: {reason}",
            hint="let this user ask it: `sudo usermod -aG docker $USER`, then log in again"
            if denied
            else _start(address or _address()),
        ) from error


def _address() -> str:
    """Return where an engine is looked for unless told otherwise."""
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"


def _start(address: str) -> str:
    """Return how to start what should answer at `address`."""
    if "podman" in address:
        return "start it: `systemctl start podman.socket`, or `podman system service --time 0`"
    return "start it: `systemctl start docker`, or `dockerd` as root"


def _refused(doing: str, error: Any) -> EvalctlError:
    """Classify an engine's refusal by what it says, since it has no codes."""
    said = str(error.explanation or error)
    lowered = said.lower()
    if "unknown runtime" in lowered or "unknown or invalid runtime" in lowered:
        return RequirementError(
            "the engine does not have the runtime that the sandbox asks for",
            code="runtime-missing",
            context=said,
            hint="install it and name it in the engine's `runtimes`, or choose another with `--runtime`",
        )
    if "could not select device driver" in lowered or "unresolvable cdi devices" in lowered:
        return RequirementError(
            "the engine cannot pass GPUs on to containers",
            code="gpu-not-passed",
            context=said,
            hint="install the NVIDIA Container Toolkit and restart the engine, then try `evalctl doctor`",
        )
    code, hint = "engine-refused", "see the engine's log"
    if "no such image" in lowered or "image not known" in lowered:
        code, hint = "image-gone", "launch again: the image is loaded anew"
    elif "layer does not exist" in lowered or "layer not known" in lowered:
        code, hint = "image-damaged", "remove the image from the engine, then launch again: it is loaded anew"
    elif "bind source path does not exist" in lowered:
        code, hint = "mount-not-visible", "keep the evalctl home on a disk that the engine sees too"
    elif "permission denied" in lowered and "evalctl" in lowered:
        code, hint = "init-not-executable", "install evalctl on a disk that is not mounted noexec"
    return InfrastructureError(f"the container engine could not {doing}", code=code, context=said, hint=hint)


def _innermost(error: BaseException) -> str:
    """Return what the operating system said first, in its own words, else the error's."""
    reason = str(error)
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, OSError) and link.strerror:
            reason = link.strerror
        link = link.__context__
    return reason
