"""Who else looked at a ledger: witnesses that a policy knows, strangers, and nobody."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from launcher.ledger.checkpoint import Checkpoint, cosigners, named_key, short_origin
from launcher.trust.notes import NoteKey, seen_at

if TYPE_CHECKING:
    from launcher.trust.ledgers import PinnedLedger
    from launcher.trust.policy import Policy


class Looks(Struct, frozen=True):
    """Whose cosignatures of a checkpoint hold: `known` to the policy for this ledger, or `strangers` to it.

    `pin` is the name under which the policy pins the ledger; `last` is when the last of the known, else of
    the strangers, says that it looked (seconds since 1970).
    """

    pin: str | None = None
    known: tuple[NoteKey, ...] = ()
    strangers: tuple[NoteKey, ...] = ()
    last: int | None = None

    @property
    def in_words(self) -> str:
        """Return who looked; a ledger that nobody else looked at is `local, not witnessed`."""
        if self.known:
            return f"witnessed by {_listed(self.known).replace('witness ', '')}"
        place = f"pinned as `{self.pin}`" if self.pin else "local"
        if self.strangers:
            return f"{place}, co-signed by {_listed(self.strangers)}, whom the policy does not know"
        return f"{place}, not witnessed"

    def as_json(self) -> dict[str, Any]:
        """Return who looked, as commands print it."""
        return {
            "witnessed": bool(self.known),
            "witnesses": [key.name for key in self.known],
            "strangers": [key.name for key in self.strangers],
        }


def looks_at(checkpoint: Checkpoint, policy: "Callable[[], Policy]") -> Looks:
    """Return who looked at a checkpoint, as this policy knows them; it is read where anybody co-signed.

    Raises `CheckFailedError` for a cosignature that does not hold.
    """
    if checkpoint.note is None or len(checkpoint.note.signatures) < 2:
        return Looks()
    return looks_under(checkpoint, policy())


def looks_under(checkpoint: Checkpoint, policy: "Policy") -> Looks:
    """Return who looked at a checkpoint, as this policy knows them; raises as `looks_at`."""
    pin = pin_of(checkpoint, policy)
    witnesses = pin.witnesses if pin else ()
    signed = cosigners(checkpoint, witnesses)
    known = tuple(key for key in signed if key in witnesses)
    strangers = tuple(key for key in signed if key not in witnesses)
    times = [seen_at(checkpoint.note, key) for key in known or strangers] if checkpoint.note else []
    return Looks(pin.name if pin else None, known, strangers, max(times, default=None))


def known_witnesses(origin: str, policy: "Policy") -> tuple[NoteKey, ...]:
    """Return the witnesses that a policy names for a ledger, whatever they are called."""
    return tuple(key for pin in policy.ledgers.values() if pin.origin == origin for key in pin.witnesses)


def pin_of(checkpoint: Checkpoint, policy: "Policy") -> "PinnedLedger | None":
    """Return the policy's table of the ledger that signed a checkpoint, None where it has none."""
    key = named_key(checkpoint.origin)
    pins = (pin for pin in policy.ledgers.values() if pin.origin == checkpoint.origin)
    return next((pin for pin in pins if key is not None and pin.public == key.public), None)


def _listed(keys: tuple[NoteKey, ...]) -> str:
    return ", ".join(short_origin(key.name) for key in keys)
