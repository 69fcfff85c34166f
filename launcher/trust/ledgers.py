"""`[ledgers.NAME]` of a trust policy: a ledger of attempts, and which witnesses must have seen it."""

from msgspec import Struct

from launcher.trust.keys import PublicKey
from launcher.trust.notes import NoteKey


class PinnedLedger(Struct, frozen=True):
    """A ledger that the policy knows; what it proves counts once every one of `witnesses` has co-signed."""

    name: str
    origin: str
    public: PublicKey
    witnesses: tuple[NoteKey, ...] = ()
