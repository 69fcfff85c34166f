"""Close the attempts of launchers that died, and remove what they left in the engine."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from launcher.errors import EvalctlError
from launcher.runs.counted import settle
from launcher.store.closing import close_dead_attempts, close_unmarked
from launcher.store.home import Home
from launcher.store.journal import read_state
from launcher.store.liveness import forget_attempt, is_alive, marked_folder, reaped_once

if TYPE_CHECKING:
    from launcher.engines.engine import Engine


def reap_left_overs(
    home: Home,
    connect: "Callable[[], Engine]",
    say: Callable[[str], None],
    *,
    held: str = "",
    everything: bool = False,
) -> None:
    """Close and remove what dead launchers left, for a command that is about something else.

    An engine that is silent, or a home that is read-only, is told to `say`, and no reason to fail. The engine
    is asked for `everything` that nobody's mark tells of, or only where there is a mark.
    """
    try:
        close_unmarked(home, held)
        reap_dead(home, connect, thorough=everything, everything=everything, held=held)
        settle(home)
    except EvalctlError as error:
        say(f"left-overs of a dead launcher could not be removed: {error.message}")


def reap_dead(
    home: Home,
    connect: "Callable[[], Engine]",
    *,
    thorough: bool = False,
    everything: bool = False,
    held: str = "",
) -> list[str]:
    """Close the attempts of launchers that died and remove what they had in the engine; return their ids.

    Only where there is one is the engine asked, unless `thorough`: then it is asked for containers that no
    mark tells of, and with `everything` for networks and volumes too. `held` is the digest of the lock that
    the caller holds, if any.
    """
    dead = close_dead_attempts(home, held=held)
    again = reaped_once(home)
    if not (dead or again or thorough):
        return dead
    from launcher.engines.engine import THINGS
    from launcher.engines.reaper import reap

    things = THINGS if dead or again or everything else THINGS[:1]
    engine = connect()
    reap(engine, home.label, lambda attempt: is_alive(home, attempt), things)
    for invocation_id in (*dead, *again):
        if _was_on(home, invocation_id, engine):
            forget_attempt(home, invocation_id)
    return dead


def _was_on(home: Home, invocation_id: str, engine: "Engine") -> bool:
    """Say whether an attempt ran on this engine, as far as its journal tells: else another has its things."""
    places = (home.root / place / invocation_id for place in ("live", "reaped"))
    folders = [folder for mark in places if (folder := marked_folder(home, mark))]
    named = [str(read_state(folder).get("engine") or "") for folder in folders]
    return not any(named) or engine.describe().name in (name.partition(" ")[0] for name in named)
