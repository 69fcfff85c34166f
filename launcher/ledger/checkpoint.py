"""Checkpoints: what a log says of itself, signed: its origin, how many entries it has, and their root.

https://c2sp.org/tlog-checkpoint. A ledger of evalctl has its own key in its origin, so that whoever signs the
origin has named the key too.
"""

import base64
import binascii
import re
from typing import Final

from msgspec import Struct

from launcher.errors import CheckFailedError
from launcher.ledger.tiles import MAX_SIZE
from launcher.ledger.tree import HASH_BYTES
from launcher.trust.keys import PublicKey
from launcher.trust.notes import LOG, WITNESS, Kind, Note, NoteKey, bad_note, read_note, signed_by

ORIGIN_PREFIX: Final = "w3id.org/evalctl-launcher/ledger/"
WITNESS_PREFIX: Final = "w3id.org/evalctl-launcher/witness/"
_OWN = re.compile(rf"(?:{re.escape(ORIGIN_PREFIX)}|{re.escape(WITNESS_PREFIX)})([0-9a-f]{{64}})", re.ASCII)
_SIZE = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_SHORT = 12


class Checkpoint(Struct, frozen=True):
    """A log's state, and the note that says so (None where nothing was signed yet)."""

    origin: str
    size: int
    root: bytes
    note: Note | None = None

    @property
    def body(self) -> str:
        """Return the text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @property
    def data(self) -> bytes:
        """Return the bytes of the note."""
        return self.note.text.encode() if self.note else b""


def ledger_key(public: PublicKey) -> NoteKey:
    """Return the name under which a ledger with this key signs, which is its origin."""
    return NoteKey(ORIGIN_PREFIX + public.point.hex(), public, LOG)


def witness_key(public: PublicKey) -> NoteKey:
    """Return the name under which a witness with this key co-signs."""
    return NoteKey(WITNESS_PREFIX + public.point.hex(), public, WITNESS)


def named_key(name: str) -> NoteKey | None:
    """Return the key that stands in a name of ours, None for every other name."""
    match = _OWN.fullmatch(name)
    if match is None:
        return None
    kind: Kind = LOG if name.startswith(ORIGIN_PREFIX) else WITNESS
    return NoteKey(name, PublicKey("ssh-ed25519", bytes.fromhex(match[1])), kind)


def short_origin(origin: str) -> str:
    """Return an origin, or a witness's name, as people are shown it."""
    match = _OWN.fullmatch(origin)
    if match is None:
        return origin[:64]
    return f"{'' if origin.startswith(ORIGIN_PREFIX) else 'witness '}{match[1][:_SHORT]}"


def read_checkpoint(data: bytes) -> Checkpoint:
    """Read the structure of a checkpoint; its signatures are not looked at.

    Raises `CheckFailedError` and nothing else, whatever bytes it is given.
    """
    note = read_note(data)
    lines = note.body.removesuffix("\n").split("\n")
    if len(lines) < 3 or not all(lines):
        raise bad_note("a checkpoint has an origin, a size and a root")
    origin, size, root = lines[:3]
    if not _SIZE.fullmatch(size) or int(size) > MAX_SIZE:
        raise bad_note("its size is not a size that a ledger can have")
    checkpoint = Checkpoint(origin, int(size), _hash(root), note)
    # Lines that follow would be signed without that anybody looks at them.
    if checkpoint.body != note.body:
        raise bad_note("a checkpoint holds nothing but an origin, a size and a root")
    return checkpoint


def check_signature(checkpoint: Checkpoint, key: NoteKey) -> None:
    """Raise `CheckFailedError` unless the log `key` signed the checkpoint as its own."""
    if checkpoint.origin != key.name:
        raise CheckFailedError(
            "the checkpoint is another ledger's",
            code="other-ledger",
            context=f"expected {key.name}, got {checkpoint.origin[:200]!a}",
        )
    if checkpoint.note is None or not signed_by(checkpoint.note, key):
        raise bad_note("the ledger did not sign its checkpoint")


def cosigners(checkpoint: Checkpoint, others: tuple[NoteKey, ...] = ()) -> tuple[NoteKey, ...]:
    """Return the witnesses whose cosignatures hold: those with a name of ours, and `others`.

    Raises `CheckFailedError` for a cosignature of one of them that does not hold. Who they are is another
    question: anybody can be a witness.
    """
    if checkpoint.note is None:
        return ()
    own = (named_key(each.name) for each in checkpoint.note.signatures)
    keys = dict.fromkeys([*others, *(key for key in own if key and key.kind == WITNESS)])
    return tuple(key for key in keys if signed_by(checkpoint.note, key))


def _hash(text: str) -> bytes:
    try:
        root = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_note("its root is not base64") from error
    if len(root) != HASH_BYTES:
        raise bad_note("its root is not a SHA-256")
    return root
