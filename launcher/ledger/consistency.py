"""The proof that a log only grew since somebody saw it: one file, checked offline.

Its form is the request that https://c2sp.org/tlog-witness calls add-checkpoint: the size that was seen, the
hashes of RFC 6962's consistency proof, and the checkpoint of today.
"""

import base64
import binascii
import re
from typing import Final

from msgspec import Struct

from launcher.errors import CheckFailedError
from launcher.ledger.checkpoint import Checkpoint, read_checkpoint
from launcher.ledger.tiles import Hashes
from launcher.ledger.tree import HASH_BYTES, bad_proof, check_consistency, consistency_proof
from launcher.trust.notes import MAX_NOTE_BYTES

MAX_GROWTH_BYTES: Final = MAX_NOTE_BYTES + (1 << 12)
_MAX_PATH: Final = 63
_OLD = re.compile(r"old (0|[1-9][0-9]{0,15})", re.ASCII)


class Growth(Struct, frozen=True):
    """What shows that the first `old` entries of the checkpoint's log are those that it had before."""

    old: int
    path: tuple[bytes, ...]
    checkpoint: Checkpoint

    @property
    def data(self) -> bytes:
        """Return the bytes of the file."""
        lines = [f"old {self.old}", *(base64.b64encode(each).decode() for each in self.path), ""]
        return "\n".join(lines).encode() + b"\n" + self.checkpoint.data

    def check(self, before: Checkpoint) -> None:
        """Raise `CheckFailedError` unless the log as it was seen `before` is the beginning of what it is."""
        if (before.origin, before.size) != (self.checkpoint.origin, self.old):
            raise bad_proof("it is about another ledger, or another size of it")
        check_consistency((before.size, before.root), (self.checkpoint.size, self.checkpoint.root), self.path)


def prove_growth(old: int, checkpoint: Checkpoint, hashes: Hashes) -> Growth:
    """Return the proof that the log of `checkpoint` began with its first `old` entries.

    Raises `CheckFailedError` for a log that never had so many.
    """
    if not 0 < old <= checkpoint.size:
        raise CheckFailedError(
            f"the ledger never had {old} entries",
            code="not-in-ledger",
            context=f"it has {checkpoint.size}",
            hint="give a size that a checkpoint of it named",
        )
    return Growth(old, tuple(consistency_proof(old, checkpoint.size, hashes.range)), checkpoint)


def read_growth(data: bytes) -> Growth:
    """Read such a file in its one spelling; neither signatures nor hashes are looked at.

    Raises `CheckFailedError` and nothing else, whatever bytes it is given.
    """
    head, blank, note = data.partition(b"\n\n")
    lines = head.decode("ascii", "replace").split("\n")
    match = _OLD.fullmatch(lines[0])
    if len(data) > MAX_GROWTH_BYTES or not blank or match is None or len(lines) > 1 + _MAX_PATH:
        raise bad_proof("it does not begin with the size that was seen, and hashes")
    try:
        path = tuple(base64.b64decode(line, validate=True) for line in lines[1:])
    except (binascii.Error, ValueError) as error:
        raise bad_proof("a line of it is not base64") from error
    growth = Growth(int(match[1]), path, read_checkpoint(note))
    if any(len(each) != HASH_BYTES for each in path) or growth.data != data:
        raise bad_proof("it is not in canonical form")
    return growth
