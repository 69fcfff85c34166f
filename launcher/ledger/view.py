"""What views say of a bundle's place among the attempts: of how many it is one, only a ledger can tell."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from msgspec import Struct

from launcher.errors import EvalctlError
from launcher.ledger.book import Book
from launcher.ledger.checkpoint import cosigners, short_origin
from launcher.ledger.count import Tally
from launcher.ledger.folder import read_bounded
from launcher.ledger.proof import MAX_PROOF_BYTES, read_proof
from launcher.spec.bundle import LEDGER_PROOF, as_original
from launcher.store.home import Home


class Place(Struct, frozen=True):
    """An attempt's place: `of` is None where the ledger that counts it is not this home's."""

    ledger: str
    entry: int
    position: int
    of: int | None
    cosigned: bool = False

    @property
    def in_words(self) -> str:
        """Return the place as a line says it; nothing is checked for it."""
        ledger = short_origin(self.ledger)
        if self.of is None:
            return f"attempt {self.position}, recorded in ledger {ledger}"
        looked = "co-signed, not checked here" if self.cosigned else "local, not witnessed"
        return f"attempt {self.position} of {self.of} over all locks, in ledger {ledger} ({looked})"


def place_of(home: Home, bundle: Path) -> Place | None:
    """Return the place of the attempt that made a bundle, None where no proof says it.

    A redacted bundle has no attempt of its own: its place is that of the bundle that it was made of.
    """
    original = bundle / as_original(LEDGER_PROOF)
    try:
        path = original if original.exists() else bundle / LEDGER_PROOF
        proof = read_proof(read_bounded(path, MAX_PROOF_BYTES))
        book = Book(home)
        own = book.folder.checkpoint() if book.exists else None
        is_own = own is not None and own.origin == proof.checkpoint.origin
        total = book.total(proof.attempt) if is_own else None
    except (EvalctlError, OSError):
        return None
    cosigned = bool(cosigners(proof.checkpoint))
    return Place(proof.checkpoint.origin, proof.outcome.index, proof.attempt.position, total, cosigned)


def places_in(home: Home, journals: Sequence[Any]) -> list[dict[str, int | None]]:
    """Return `position` and `of` for what each attempt's journal keeps of its place, None where it cannot."""
    tally = None
    if any(journals):
        with suppress(EvalctlError):
            tally = Book(home).tally()
    return [_counted(journal, tally) for journal in journals]


def _counted(journal: Any, tally: Tally | None) -> dict[str, int | None]:
    if not isinstance(journal, dict) or tally is None:
        return {"position": None, "of": None}
    totals = [tally.counts.get(str(group), 0) for group in journal.get("groups", [])]
    return {"position": journal.get("position"), "of": max(totals, default=0) or None}
