"""What a build works with: where packages and finished layouts lie, an engine, and whom it tells."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from launcher.errors import RequirementError
from launcher.store.home import Home

if TYPE_CHECKING:
    from launcher.engines.engine import Engine
    from launcher.image.layout_cache import LayoutCache


def no_engine() -> "Engine":
    """Raise `RequirementError`: this build was given no container engine."""
    raise RequirementError("this build has no container engine to compile in", code="engine-unavailable")


def _nobody() -> AbstractContextManager[Mapping[str, str]]:
    return nullcontext({})


@contextmanager
def session_in(home: Home) -> Iterator[Mapping[str, str]]:
    """Yield labels that name a session of this process in `home`; once it is dead, its containers go."""
    from launcher.engines.engine import ATTEMPT_LABEL, HOME_LABEL
    from launcher.store.attempts import begin_session

    with begin_session(home, "image build") as session:
        yield {HOME_LABEL: home.label, ATTEMPT_LABEL: session.invocation_id}


class Workshop(Struct, frozen=True):
    """The surroundings of a build; none of them should decide a byte of what comes out.

    `packages` is a folder of files by SHA-256, `mirrors` are further places to look for them, `layouts` holds
    layouts that were finished before (None: everything is built anew), `connect` opens the engine in which a
    recipe's `[build]` command runs, and `session` the labels by which its container is found, and removed,
    should the build die. `network` gives one to `RUN` in a Dockerfile.
    """

    packages: Path
    progress: Callable[[str], None]
    mirrors: Sequence[str] = ()
    layouts: "LayoutCache | None" = None
    connect: "Callable[[], Engine]" = no_engine
    network: bool = False
    session: Callable[[], AbstractContextManager[Mapping[str, str]]] = _nobody
