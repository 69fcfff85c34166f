"""The site policy: what the people who run a machine demand of every launch on it."""

from typing import Any, Final, Literal, get_args

from msgspec import Struct

from launcher.spec.blueprint import Runtime

SCHEMA: Final = "evalctl/site/v1"

EngineName = Literal["docker", "podman"]
Lacking = Literal["refuse", "record"]
# What a host may lack. `user-namespaces` asks that the engine puts containers into one, so that their root is
# nobody outside; `rootless` that the engine itself has no root.
Demand = Literal[
    "cgroup-v2", "user-namespaces", "rootless", "seccomp", "apparmor", "selinux", "swap-limit", "pids-limit"
]

ENGINE_NAMES: Final[tuple[EngineName, ...]] = get_args(EngineName)
DEMANDS: Final[tuple[Demand, ...]] = get_args(Demand)


class SitePolicy(Struct, frozen=True):
    """What a machine's keepers demand; the defaults are those of a machine without a policy.

    `minimum_runtime` raises what a launch asks for and never lowers it. What of `require` the engine and its
    host lack is refused, or recorded where `lacking` says so. `widenings` of the sandbox and `engines` are
    those that are allowed, None: all. `private_hosts` decides about addresses in `allow-hosts` that are of
    this machine or its networks: a stranger's blueprint may list them too. `timestamp` is the address of the
    authority that timestamps what is signed here; it is of the site's own network, and no bundle says it.
    """

    minimum_runtime: Runtime = "runc"
    require: tuple[Demand, ...] = ()
    lacking: Lacking = "refuse"
    widenings: tuple[str, ...] | None = None
    egress: Literal["allow", "refuse"] = "allow"
    private_hosts: Literal["allow", "refuse"] = "refuse"
    foreign_gpu_processes: Lacking = "refuse"
    engines: tuple[EngineName, ...] | None = None
    timestamp: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the policy as the keys of its file, for the environment manifest."""
        return {
            "minimum-runtime": self.minimum_runtime,
            "require": list(self.require),
            "lacking": self.lacking,
            "widenings": None if self.widenings is None else list(self.widenings),
            "egress": self.egress,
            "private-hosts": self.private_hosts,
            "foreign-gpu-processes": self.foreign_gpu_processes,
            "engines": None if self.engines is None else list(self.engines),
        }
