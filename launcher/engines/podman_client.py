"""A client of Podman's socket: Docker's interface, but containers are created by libpod's own.

It imports docker-py, which takes a fifth of a second: import it where a Podman has answered.
"""

import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from docker import APIClient
from docker.errors import APIError

from launcher.engines.podman_facts import with_true_limits
from launcher.engines.podman_request import Beside, filter_of, scratch_volumes, specification
from launcher.errors import RequirementError

# Every Podman from 4.0 on answers to it.
_LIBPOD: Final = "/v4.0.0/libpod"
_SCRATCH: Final = "evalctl-scratch-"


class PodmanClient(APIClient):  # type: ignore[misc]
    """Creates containers through libpod, and does all else as docker-py does."""

    refuses_lacking_devices = True

    def create_container_from_config(self, config: Mapping[str, Any], name: str | None = None) -> Any:
        """Create the container that a request to a Docker Engine describes, its scratch folders first."""
        volumes: dict[str, str] = {}
        path = _write_filter(config)
        try:
            for place, volume in scratch_volumes(config).items():
                called = f"{_SCRATCH}{uuid4().hex}"
                self._libpod("volumes/create", {"Name": called, **volume})
                volumes[place] = called
            beside = Beside(path, volumes)
            made = self._libpod("containers/create", specification(name, config, beside))
            self._refuse_other_runtime(made["Id"], config)
        except BaseException:
            self._drop(volumes.values())
            raise
        else:
            return made
        finally:
            if path:
                Path(path).unlink()

    def info(self) -> Any:
        """Return what Podman says of itself, with the bounds that it can really set."""
        said = super().info()
        if not said.get("Rootless"):
            return said
        answer = self._get(f"{self.base_url}{_LIBPOD}/info")
        return with_true_limits(said, self._result(answer, json=True)["host"]["cgroupControllers"] or ())

    def inspect_container(self, container: str) -> Any:
        """Return what the engine says of a container, less its scratch folders' volumes."""
        said = super().inspect_container(container)
        mounts = [each for each in said.get("Mounts") or () if not _is_scratch(each)]
        return {**said, "Mounts": mounts}

    def remove_container(self, container: str, **options: Any) -> None:
        """Remove a container and its scratch folders' volumes."""
        said = super().inspect_container(container)
        super().remove_container(container, **options)
        self._drop(each["Name"] for each in said.get("Mounts") or () if _is_scratch(each))

    def _refuse_other_runtime(self, container: str, config: Mapping[str, Any]) -> None:
        """Remove a container that got another runtime than asked for: Podman only says so afterwards."""
        wanted = (config.get("HostConfig") or {}).get("Runtime")
        answer = self._get(f"{self.base_url}{_LIBPOD}/containers/{container}/json")
        got = self._result(answer, json=True).get("OCIRuntime")
        if wanted in (None, got):
            return
        super().remove_container(container, force=True)
        raise RequirementError(
            "the engine does not have the runtime that the sandbox asks for",
            code="runtime-missing",
            context=f"expected {wanted}, and Podman gave {got}",
            hint=f'start Podman with it: `runtime = "{wanted}"` in [engine] of containers.conf',
        )

    def _libpod(self, what: str, body: Mapping[str, Any]) -> Any:
        answer = self._post_json(f"{self.base_url}{_LIBPOD}/{what}", data=body)
        return self._result(answer, json=True)

    def _drop(self, volumes: Iterable[str]) -> None:
        for volume in volumes:
            with suppress(APIError):
                self.remove_volume(volume, force=True)


def _is_scratch(mount: Mapping[str, Any]) -> bool:
    return mount.get("Type") == "volume" and str(mount.get("Name", "")).startswith(_SCRATCH)


def _write_filter(body: Mapping[str, Any]) -> str | None:
    """Write a request's filter to a file that an engine of another user can read as it creates."""
    text = filter_of(body)
    if text is None:
        return None
    descriptor, path = tempfile.mkstemp(prefix="evalctl-seccomp-", suffix=".json")
    os.close(descriptor)
    Path(path).write_text(text, encoding="utf-8")
    Path(path).chmod(0o644)
    return path
