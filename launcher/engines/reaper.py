"""Remove the containers, networks and volumes that a dead launcher left behind."""

from collections.abc import Callable, Iterable

from launcher.engines.engine import ATTEMPT_LABEL, HOME_LABEL, THINGS, Engine, Thing


def reap(
    engine: Engine, home: str, is_alive: Callable[[str], bool], things: Iterable[Thing] = THINGS
) -> tuple[str, ...]:
    """Remove what this home has in the engine for dead attempts; return those attempts, sorted.

    `home` is the home's opaque label; `is_alive` says of an attempt whether a launcher still runs it.
    """
    dead: set[str] = set()
    for thing in things:
        found = engine.find({HOME_LABEL: home}, thing)
        over = {labels.get(ATTEMPT_LABEL, "") for labels in found.values()}
        over = {attempt for attempt in over if not is_alive(attempt)}
        engine.remove(
            (name for name, labels in found.items() if labels.get(ATTEMPT_LABEL, "") in over), thing
        )
        dead |= over
    return tuple(sorted(dead))
