"""A second party: look at somebody's ledger, hold it against the last look, and co-sign its checkpoint.

https://c2sp.org/tlog-cosignature. A witness says nothing of what is in the ledger, only that it never showed
this witness another past.
"""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from launcher.ledger.audit import Audit, audit
from launcher.ledger.checkpoint import Checkpoint, witness_key
from launcher.ledger.folder import LogFolder
from launcher.ledger.seen import looking, seen_checkpoints, supersede
from launcher.trust.keys import Signer
from launcher.trust.notes import Note, bad_note, sign_note


class Witnessed(Struct, frozen=True):
    """A ledger that held, the checkpoint with the new cosignature, and what it was held against."""

    audit: Audit
    checkpoint: Checkpoint
    before: Checkpoint | None


def witness(
    folder: LogFolder, state: Path, signer: Signer, time: int, also: Sequence[Checkpoint] = ()
) -> Witnessed:
    """Check the log in `folder` against what `state` keeps of it, keep its checkpoint, and co-sign it.

    `also` are checkpoints of it that were seen otherwise. Nothing is signed before it is kept. Raises
    `CheckFailedError` for a log that is not whole, became shorter or has another past.
    """
    with looking(state):
        claimed = folder.checkpoint()
        seen = seen_checkpoints(state, claimed) if claimed else []
        found = audit(folder, [*seen, *also])
        supersede(state, found.checkpoint, seen)
    key = witness_key(signer.public)
    note = found.checkpoint.note
    if note is None:
        raise bad_note("there is nothing to co-sign")
    others = tuple(each for each in note.signatures if each.name != key.name)
    body = found.checkpoint.body
    signed = Note(body, (*others, sign_note(body, key, signer, time)))
    return Witnessed(found, replace(found.checkpoint, note=signed), seen[-1] if seen else None)


def merged(mine: Checkpoint | None, brought: Checkpoint) -> Checkpoint:
    """Return the checkpoint with the cosignatures of both, the larger log where they are of two sizes."""
    if mine is None or mine.note is None or brought.note is None:
        return brought
    if mine.size != brought.size:
        return max(mine, brought, key=lambda each: each.size)
    known = {(each.name, each.key_id) for each in brought.note.signatures}
    kept = tuple(each for each in mine.note.signatures if (each.name, each.key_id) not in known)
    return replace(brought, note=Note(brought.body, (*brought.note.signatures, *kept)))
