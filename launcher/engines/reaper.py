"""Remove the containers that a dead launcher left behind."""

from collections.abc import Callable

from launcher.engines.engine import ATTEMPT_LABEL, HOME_LABEL, Engine


def reap(engine: Engine, home: str, is_alive: Callable[[str], bool]) -> tuple[str, ...]:
    """Remove this home's containers whose attempt is dead; return the attempts they belonged to, sorted.

    `home` is the home's opaque label; `is_alive` says of an attempt whether a launcher still runs it.
    """
    found = engine.find({HOME_LABEL: home})
    attempts = {labels.get(ATTEMPT_LABEL, "") for labels in found.values()}
    dead = {attempt for attempt in attempts if not is_alive(attempt)}
    engine.remove(container for container, labels in found.items() if labels.get(ATTEMPT_LABEL, "") in dead)
    return tuple(sorted(dead))
