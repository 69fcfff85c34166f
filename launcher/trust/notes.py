"""Signed notes: a text and the lines of those who signed it, as transparency logs and their witnesses do.

https://c2sp.org/signed-note and https://c2sp.org/tlog-cosignature; Ed25519 alone. Nothing of a note counts
before a signature over it by a key that is known otherwise was verified.
"""

import base64
import binascii
import hashlib
import re
from typing import Final, Literal

from msgspec import Struct

from launcher.errors import CheckFailedError, MalformedError
from launcher.trust.keys import PublicKey, Signer

# A log signs the text itself, a witness the text and the time at which it saw it.
LOG: Final = 1
WITNESS: Final = 4
Kind = Literal[1, 4]

MAX_NOTE_BYTES: Final = 1 << 16
MAX_SIGNATURES: Final = 64
_MAX_TIME: Final = 2**63
_DASH: Final = "\N{EM DASH} "
_NAME = re.compile(r"[^\s+\x00-\x1f\x7f-\x9f]{1,256}")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


class NoteKey(Struct, frozen=True):
    """Who signs notes: a name, an Ed25519 key, and whether as a log or as a witness of logs."""

    name: str
    public: PublicKey
    kind: Kind

    def __post_init__(self) -> None:
        if self.public.algorithm != "ssh-ed25519":
            raise MalformedError("notes are signed with Ed25519 keys alone", code="malformed-note-key")
        if not _NAME.fullmatch(self.name):
            raise MalformedError(f"{self.name[:80]!a} cannot name a note's key", code="malformed-note-key")

    @property
    def key_id(self) -> bytes:
        """Return the four bytes that stand before its signatures."""
        return hashlib.sha256(b"%b\n%c%b" % (self.name.encode(), self.kind, self.public.point)).digest()[:4]

    @property
    def text(self) -> str:
        """Return the key in the one line that C2SP calls a vkey."""
        material = base64.b64encode(bytes([self.kind]) + self.public.point).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"


class Signature(Struct, frozen=True):
    """One line below a note; `blob` is what follows the key id."""

    name: str
    key_id: bytes
    blob: bytes

    @property
    def line(self) -> str:
        """Return the line with its end."""
        return f"{_DASH}{self.name} {base64.b64encode(self.key_id + self.blob).decode()}\n"


class Note(Struct, frozen=True):
    """A text that ends in a line feed, and its signatures, none of them verified."""

    body: str
    signatures: tuple[Signature, ...]

    @property
    def text(self) -> str:
        """Return the whole note."""
        return f"{self.body}\n{''.join(each.line for each in self.signatures)}"


def read_note_key(text: str) -> NoteKey:
    """Read a vkey of a log or of a witness; raises `MalformedError` and nothing else."""
    name, _, rest = text.partition("+")
    identity, _, encoded = rest.partition("+")
    try:
        material = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _malformed_key() from error
    if len(material) != 33 or material[0] not in (LOG, WITNESS):
        raise _malformed_key()
    key = NoteKey(name, PublicKey("ssh-ed25519", material[1:]), LOG if material[0] == LOG else WITNESS)
    if identity != key.key_id.hex() or key.text != text:
        raise _malformed_key()
    return key


def sign_note(body: str, key: NoteKey, signer: Signer, time: int = 0) -> Signature:
    """Return the signature of `key`, whose private half `signer` has, over `body`.

    A witness says the `time` (seconds since 1970) at which it saw no later note of this log.
    """
    signed = signer.sign(_message(body, key.kind, time))
    blob = time.to_bytes(8, "big") + signed if key.kind == WITNESS else signed
    return Signature(key.name, key.key_id, blob)


def read_note(data: bytes) -> Note:
    """Read the structure of a note in its one spelling.

    Raises `CheckFailedError` and nothing else, whatever bytes it is given.
    """
    if len(data) > MAX_NOTE_BYTES:
        raise bad_note(f"it has more than {MAX_NOTE_BYTES} bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise bad_note("it is not UTF-8") from error
    if _CONTROL.search(text):
        raise bad_note("it holds control characters")
    body, blank, lines = text.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise bad_note("it has no signatures")
    listed = lines.removesuffix("\n").split("\n")
    if len(listed) > MAX_SIGNATURES:
        raise bad_note(f"it has more than {MAX_SIGNATURES} signatures")
    note = Note(body + "\n", tuple(map(_read_signature, listed)))
    if note.text != text:
        raise bad_note("its signatures are not in canonical base64")
    return note


def signed_by(note: Note, key: NoteKey) -> bool:
    """Say whether `key` signed `note`; raises `CheckFailedError` where one of its lines does not hold."""
    own = [each for each in note.signatures if (each.name, each.key_id) == (key.name, key.key_id)]
    for each in own:
        time, signature = _split(each, key.kind)
        if not key.public.is_signature_of(_message(note.body, key.kind, time), signature):
            raise bad_note(f"the signature of `{key.name}` does not hold")
    return bool(own)


def seen_at(note: Note, key: NoteKey) -> int:
    """Return the last time at which the witness `key` says that it saw the note (see `signed_by`)."""
    own = [each for each in note.signatures if (each.name, each.key_id) == (key.name, key.key_id)]
    return max(_split(each, key.kind)[0] for each in own)


def bad_note(message: str, context: str | None = None) -> CheckFailedError:
    """Return the error that says a note is not what it must be."""
    return CheckFailedError(f"the signed note is malformed: {message}", code="bad-note", context=context)


def _read_signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not _NAME.fullmatch(name):
        raise bad_note("a line below the text is no signature")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_note("a signature is not base64") from error
    if len(blob) < 5:
        raise bad_note("a signature is too short")
    return Signature(name, blob[:4], blob[4:])


def _split(signature: Signature, kind: Kind) -> tuple[int, bytes]:
    if kind == LOG:
        return 0, signature.blob
    time = int.from_bytes(signature.blob[:8], "big")
    if time >= _MAX_TIME:
        raise bad_note("a cosignature is from a time that does not exist")
    return time, signature.blob[8:]


def _message(body: str, kind: Kind, time: int) -> bytes:
    return (f"cosignature/v1\ntime {time}\n{body}" if kind == WITNESS else body).encode()


def _malformed_key() -> MalformedError:
    return MalformedError(
        "this is no Ed25519 key of a log or a witness",
        code="malformed-note-key",
        context="expected `NAME+<8 hex digits>+<base64>` (a C2SP vkey)",
    )
