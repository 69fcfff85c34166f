"""What views say of a bundle's place among the attempts: of how many it is one, only a ledger can tell."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct
from msgspec.structs import replace

from launcher.digest import sha256_hex
from launcher.errors import CheckFailedError, EvalctlError
from launcher.ledger.book import Book
from launcher.ledger.checkpoint import short_origin
from launcher.ledger.count import Counts
from launcher.ledger.entries import entry_bytes
from launcher.ledger.folder import LogFolder, read_bounded
from launcher.ledger.looks import Looks, looks_at
from launcher.ledger.proof import MAX_PROOF_BYTES, Proof, read_proof
from launcher.spec.bundle import LEDGER_PROOF, ORIGINAL_SUMS, SUMS, as_original
from launcher.store.home import Home

if TYPE_CHECKING:
    from launcher.trust.policy import Policy

_MAX_SUMS_BYTES: Final = 64 << 20


class LedgerPlace(Struct, frozen=True):
    """An attempt's place in the ledger that counted it, as number `position`, and `attempt` of its lock.

    `of` is how many this home's ledger counts together with it, `others` how many other keys made at the
    same, and `size` how many entries there were then; None where another ledger counted it.
    """

    ledger: str
    entry: int
    attempt: int
    position: int
    looks: Looks
    of: int | None = None
    others: int | None = None
    size: int | None = None

    @property
    def number(self) -> str:
        """Return `3 of 5`, and what other keys tried; `3` where nobody here can tell of how many."""
        return counted_text(self.position, self.of, self.others)

    @property
    def where(self) -> str:
        """Return in which ledger it stands, and who else looked at that."""
        return f"in ledger {short_origin(self.ledger)} ({self.looks.in_words})"

    @property
    def in_words(self) -> str:
        """Return the place as a line says it; nothing is checked for it."""
        if self.of is None:
            return f"attempt {self.number}, recorded {self.where}; of how many, only that ledger can tell"
        return f"attempt {self.number} over all locks, {self.where}"

    def as_json(self) -> dict[str, Any]:
        """Return the place as commands print it."""
        return {
            "origin": self.ledger,
            "entry": self.entry,
            "position": self.position,
            "of": self.of,
            "others": self.others,
            "size": self.size,
            **self.looks.as_json(),
        }


def counted_text(position: int, of: int | None, others: int | None) -> str:
    """Return `3 of 5`, behind it what other keys tried, where they did."""
    total = f"{position}" if of is None else f"{position} of {of}"
    return f"{total} (and {others} by other keys)" if others else total


def ledger_place(home: Home, bundle: Path, policy: "Callable[[], Policy]") -> LedgerPlace | None:
    """Return the place of the attempt that made a bundle, None where no proof beside it says it.

    A redacted bundle has no attempt of its own: its place is that of the bundle that it was made of.
    """
    try:
        return place_in(home, _proof_of(bundle), policy)
    except (EvalctlError, OSError):
        return None


def place_in(home: Home, proof: Proof, policy: "Callable[[], Policy]") -> LedgerPlace:
    """Return the place that a proof shows; of how many it is one where this home's ledger counts it.

    The policy says which witnesses are known; it is read where somebody co-signed. Raises `EvalctlError`
    where the home's ledger is damaged, or has something else in that place.
    """
    place = LedgerPlace(
        ledger=proof.checkpoint.origin,
        entry=proof.outcome.index,
        attempt=proof.attempt.attempt,
        position=proof.attempt.position,
        looks=looks_at(proof.checkpoint, policy),
    )
    book = Book(home)
    own = book.folder.checkpoint() if book.exists else None
    if own is None or own.origin != place.ledger:
        return place
    counts = book.counts()
    _refuse_stranger(book.folder, proof)
    of, others = counts.total(proof.attempt), counts.others(proof.attempt)
    return replace(place, of=of, others=others, size=counts.size)


def _proof_of(bundle: Path) -> Proof:
    """Return the proof beside a bundle; raises where it is of another one."""
    original = bundle / as_original(LEDGER_PROOF)
    path, sums = (original, ORIGINAL_SUMS) if original.exists() else (bundle / LEDGER_PROOF, SUMS)
    proof = read_proof(read_bounded(path, MAX_PROOF_BYTES))
    if proof.outcome.bundle != f"sha256:{sha256_hex(read_bounded(bundle / sums, _MAX_SUMS_BYTES))}":
        raise CheckFailedError("the proof is of another bundle", code="other-bundle")
    return proof


def _refuse_stranger(folder: LogFolder, proof: Proof) -> None:
    """Raise `CheckFailedError` where the home's own ledger has something else than the proof's attempt."""
    index = proof.outcome.index
    if next(folder.entries(index, index + 1), None) != entry_bytes(proof.attempt):
        raise CheckFailedError("the ledger has another attempt there", code="ledger-forked")


def places_in(home: Home, journals: Sequence[Any]) -> list[dict[str, int | None]]:
    """Return `position`, `of` and `others` for what each attempt's journal keeps of its place.

    They are None where a journal keeps nothing. Raises `InfrastructureError` for a damaged ledger.
    """
    counts = Book(home).counts() if any(journals) else None
    return [_counted(journal, counts) for journal in journals]


def _counted(journal: Any, counts: Counts | None) -> dict[str, int | None]:
    if not isinstance(journal, dict) or counts is None:
        return {"position": None, "of": None, "others": None}
    keys, questions = ([*map(str, journal.get(name, []))] for name in ("groups", "questions"))
    return {
        "position": journal.get("position"),
        "of": counts.total_of(keys) or None,
        "others": counts.others_of(keys, questions),
    }
