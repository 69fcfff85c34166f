"""What a build works with: where packages and finished layouts lie, an engine, and whom it tells."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from launcher.errors import RequirementError

if TYPE_CHECKING:
    from launcher.engines.engine import Engine
    from launcher.image.layout_cache import LayoutCache


def no_engine() -> "Engine":
    """Raise `RequirementError`: this build was given no container engine."""
    raise RequirementError("this build has no container engine to compile in", code="engine-unavailable")


class Workshop(Struct, frozen=True):
    """The surroundings of a build; none of them should decide a byte of what comes out.

    `packages` is a folder of files by SHA-256, `mirrors` are further places to look for them, `layouts` holds
    layouts that were finished before (None: everything is built anew), `connect` opens the engine in which a
    recipe's `[build]` command runs. `network` gives one to `RUN` in a Dockerfile.
    """

    packages: Path
    progress: Callable[[str], None]
    mirrors: Sequence[str] = ()
    layouts: "LayoutCache | None" = None
    connect: "Callable[[], Engine]" = no_engine
    network: bool = False
