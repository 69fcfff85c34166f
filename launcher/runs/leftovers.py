"""Close the attempts of launchers that died, and remove what they left in the engine."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from launcher.store.attempts import close_dead_attempts, forget_attempt, is_alive
from launcher.store.home import Home

if TYPE_CHECKING:
    from launcher.engines.engine import Engine


def reap_dead(home: Home, connect: "Callable[[], Engine]", *, thorough: bool = False) -> list[str]:
    """Close the attempts of launchers that died and remove their containers; return their ids.

    Only where there is one is the engine asked, unless `thorough`.
    """
    dead = close_dead_attempts(home)
    if dead or thorough:
        from launcher.engines.reaper import reap

        reap(connect(), home.label, lambda attempt: is_alive(home, attempt))
        for invocation_id in dead:
            forget_attempt(home, invocation_id)
    return dead
