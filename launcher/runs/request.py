"""What a launch is asked, what it may touch, and what it answers."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from launcher.environment.gpus import observe_gpus
from launcher.ledger.wire import Purpose
from launcher.report.progress import Reporter
from launcher.resolve import Choices
from launcher.sources.inputs import FetchSettings
from launcher.spec.blueprint import RUNTIMES, Blueprint, Runtime
from launcher.spec.gpu_grants import Grant
from launcher.spec.gpus import GpuInventory
from launcher.spec.lock import Lock
from launcher.spec.site import SitePolicy
from launcher.store.home import Home
from launcher.trust.keys import Signer

if TYPE_CHECKING:
    from launcher.engines.engine import Engine


class Secrets(dict[str, str]):
    """The values of secrets by name, which show in no error and no debugger's line."""

    def __repr__(self) -> str:
        return f"Secrets({', '.join(self)})"


class LaunchRequest(Struct, frozen=True):
    """What to launch and what for: a blueprint, and the lock it must give when a lock was named."""

    blueprint: Blueprint
    settings: FetchSettings
    lock: Lock | None = None
    lock_attestation: bytes | None = None
    rerun: bool = False
    runtime: Runtime | None = None
    note: str = ""
    choices: Choices = Choices()
    secrets: Mapping[str, str] = Secrets()
    purpose: Purpose = "launch"

    @property
    def least_runtime(self) -> Runtime:
        """The stronger of what the blueprint and the launch ask for."""
        return max((self.blueprint.sandbox.runtime, self.runtime or RUNTIMES[0]), key=RUNTIMES.index)


class GpuSight(Struct, frozen=True):
    """How this machine's GPUs are looked at, and which of them a scheduler or a person grants a launch."""

    look: Callable[[], GpuInventory] = observe_gpus
    grants: tuple[Grant, ...] = ()


class Edges(Struct, frozen=True):
    """What touches the world: the home, the engine (connected when needed), the key, the screen, the GPUs.

    `site` is what the people who run this machine demand.
    """

    home: Home
    connect: "Callable[[], Engine]"
    signer: Signer
    reporter: Reporter
    site: SitePolicy = SitePolicy()
    gpus: GpuSight = GpuSight()


class Launched(Struct, frozen=True):
    """A finished attempt's bundle; `reused` when it was there before, with what differs in `remarks`."""

    bundle: Path
    lock: str
    attempt: int
    reused: bool
    remarks: tuple[str, ...] = ()
