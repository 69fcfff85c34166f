"""What a plan is made of: all that was found, and what it was looked at through."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from launcher.engines.engine import EngineFacts
from launcher.resolve import Resolution
from launcher.runs.gpu_plan import GpuPlan
from launcher.runs.request import GpuSight, LaunchRequest
from launcher.sources.at_hand import AtHand
from launcher.spec.image import ImagePins
from launcher.spec.plan import (
    Cost,
    Finished,
    PlannedImage,
)
from launcher.spec.sandbox import SandboxProfile
from launcher.spec.site import SitePolicy
from launcher.store.home import Home
from launcher.trust.keys import Signer

if TYPE_CHECKING:
    from launcher.engines.engine import Engine


class EngineSight(Struct, frozen=True):
    """What an engine said: its facts, its ids of the images it has; `reason` where none answered."""

    facts: EngineFacts | None
    images: Mapping[ImagePins, str] = {}
    reason: str = ""

    def planned(self, image: PlannedImage) -> PlannedImage:
        """Return `image` with the engine's word on it."""
        if image.pins is None:
            return image
        found = self.images.get(image.pins)
        return replace(image, in_engine=found is not None if self.facts else None, id=found)


class PlanEdges(Struct, frozen=True):
    """What a plan looks at: the home, the engine, who would sign (None before the first key), the GPUs.

    `site` is what the people who run this machine demand.
    """

    home: Home
    connect: "Callable[[], Engine]"
    signer: Signer | None
    gpus: GpuSight = GpuSight()
    site: SitePolicy = SitePolicy()


class Ground(Struct, frozen=True):
    """All that was found; `resolution` is made up where `lock` is None or comes from the request."""

    request: LaunchRequest
    seen: AtHand
    missing: tuple[str, ...]
    lock: str | None
    resolution: Resolution
    engine: EngineSight
    profiles: tuple[SandboxProfile, SandboxProfile | None]
    finished: Finished | None
    cost: Cost | None
    home: Home
    gpus: GpuPlan
    site: SitePolicy
