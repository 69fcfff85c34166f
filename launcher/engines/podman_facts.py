"""What Podman says of itself: how it is known, and which bounds it can really set."""

from collections.abc import Collection, Mapping
from typing import Any, Final

COMPONENT: Final = "Podman Engine"


def is_podman(version: Mapping[str, Any]) -> bool:
    """Say whether an engine's answer to `/version` is Podman's."""
    return any(part.get("Name") == COMPONENT for part in version.get("Components") or ())


def with_true_limits(info: Mapping[str, Any], controllers: Collection[str]) -> dict[str, Any]:
    """Return the answer to `/info` of a Podman without root, with the bounds that it can set.

    It says that it can set all, and sets none whose control group it was not given.
    """
    return {
        **info,
        "MemoryLimit": "memory" in controllers,
        "SwapLimit": "memory" in controllers and bool(info.get("SwapLimit")),
        "CpuCfsQuota": "cpu" in controllers,
        "PidsLimit": "pids" in controllers,
        "SecurityOptions": [*(info.get("SecurityOptions") or ()), "name=rootless"],
    }
