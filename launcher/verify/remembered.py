"""Hold a bundle's ledger against what this home has seen of it: whoever shows two pasts is caught here."""

from msgspec.structs import replace

from launcher.errors import EvalctlError
from launcher.ledger.audit import refuse_fork
from launcher.ledger.book import Book
from launcher.ledger.entries import Attempt
from launcher.ledger.proof import Proof
from launcher.ledger.seen import remember, seen_checkpoints
from launcher.ledger.view import counted_text
from launcher.store.home import Home
from launcher.trust.checks import Check, failed
from launcher.verify.verdict import Verification

NAME = "ledger-seen"


def remembered(home: Home, verification: Verification) -> Verification:
    """Return the answer about a bundle that verified with what the home remembers of its ledger in it.

    Nothing is kept of a bundle that nobody trusted signed.
    """
    if verification.verdict != "verified" or verification.ledger is None:
        return verification
    try:
        check = Check(NAME, "ok", _held(home, verification.ledger))
    except EvalctlError as error:
        if error.code in ("ledger-forked", "ledger-truncated"):
            checks = (*verification.checks, failed(NAME, error))
            return replace(verification, verdict="failed", checks=checks)
        check = Check(NAME, "skipped", f"this home cannot remember the ledger: {error.in_words}")
    return replace(verification, checks=(*verification.checks, check))


def _held(home: Home, proof: Proof) -> str:
    book, checkpoint = Book(home), proof.checkpoint
    own = book.folder.checkpoint() if book.exists else None
    if own is not None and own.origin == checkpoint.origin:
        refuse_fork(checkpoint, own, book.folder.hashes(own.size))
        return f"it is a beginning of this home's own ledger{_counted(book, proof.attempt)}"
    others = remember(home.seen_ledgers, checkpoint)
    if not others:
        return f"seen with {checkpoint.size} entries, and kept"
    sizes = [each.size for each in seen_checkpoints(home.seen_ledgers, checkpoint)]
    least = next(size for size in sizes if size != checkpoint.size)
    plural = "" if others == 1 else "s"
    return (
        f"seen with {checkpoint.size} entries, and kept; whether {others} earlier look{plural} had the same "
        f"past, only the ledger's owner can show: by its folder or `evalctl ledger since {least}`, for "
        "`evalctl ledger verify PATH`"
    )


def _counted(book: Book, attempt: Attempt) -> str:
    """Return of how many it is one, where the home's ledger can be read to its end."""
    try:
        counts = book.counts()
    except EvalctlError:
        return ""
    number = counted_text(attempt.position, counts.total(attempt), counts.others(attempt))
    return f", which counts it as attempt {number}"
