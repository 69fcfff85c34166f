"""The proof that a bundle's attempt and its outcome stand in a ledger: one file, checked offline.

https://c2sp.org/tlog-proof. The proof is of the outcome's entry, which names the bundle, and the attempt's
entry by digest and index. Both stand in the line `extra`, which counts only as far as the proof covers it.
"""

import base64
import binascii
import re
from typing import Final

from msgspec import Struct

from launcher.canonical import canonical_bytes, parse_json
from launcher.errors import CheckFailedError, EvalctlError
from launcher.ledger.checkpoint import Checkpoint, read_checkpoint
from launcher.ledger.entries import Attempt, Outcome, entry_bytes, read_entry
from launcher.ledger.tiles import Hashes
from launcher.ledger.tree import HASH_BYTES, inclusion_proof, leaf_hash, root_of_inclusion
from launcher.spec import fields

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_PROOF_BYTES: Final = 1 << 19
_MAX_PATH: Final = 64
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,15})", re.ASCII)


class Proof(Struct, frozen=True):
    """What a proof file says; `path` leads from the outcome's entry, at `index`, to the checkpoint's root."""

    attempt: Attempt
    outcome: Outcome
    index: int
    path: tuple[bytes, ...]
    checkpoint: Checkpoint

    @property
    def data(self) -> bytes:
        """Return the bytes of the file."""
        extra = canonical_bytes({"attempt": self.attempt.as_json(), "outcome": self.outcome.as_json()})
        lines = [HEADER, f"extra {_encoded(extra)}", f"index {self.index}", *map(_encoded, self.path), ""]
        return "\n".join(lines).encode() + b"\n" + self.checkpoint.data


def make_proof(attempt: Attempt, outcome: Outcome, index: int, log: tuple[Checkpoint, Hashes]) -> Proof:
    """Return the proof of an outcome that stands at `index` of the log with this checkpoint.

    Only the tiles on the way up are read. Raises `CheckFailedError` where it would not hold.
    """
    checkpoint, hashes = log
    path = inclusion_proof(index, checkpoint.size, hashes.range)
    proof = Proof(attempt, outcome, index, tuple(path), checkpoint)
    _check(proof)
    return proof


def read_proof(data: bytes) -> Proof:
    """Read a proof file in its one spelling, and check that it holds; its signatures are not looked at.

    Raises `CheckFailedError` and nothing else, whatever bytes it is given.
    """
    if len(data) > MAX_PROOF_BYTES:
        raise _bad(f"it has more than {MAX_PROOF_BYTES} bytes")
    head, blank, note = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise _bad("it is not ASCII") from error
    if not blank or len(lines) < 3 or lines[0] != HEADER or not lines[1].startswith("extra "):
        raise _bad(f"it does not begin as `{HEADER}` with the entries as `extra`")
    index = _INDEX.fullmatch(lines[2])
    if index is None or len(lines) - 3 > _MAX_PATH:
        raise _bad("its index is no number, or it has too many hashes")
    attempt, outcome = _entries(_decoded(lines[1].removeprefix("extra ")))
    path = tuple(map(_decoded, lines[3:]))
    proof = Proof(attempt, outcome, int(index[1]), path, read_checkpoint(note))
    if any(len(each) != HASH_BYTES for each in path) or proof.data != data:
        raise _bad("it is not in canonical form")
    _check(proof)
    return proof


def _check(proof: Proof) -> None:
    if proof.attempt.sha256 != proof.outcome.of or proof.outcome.index >= proof.index:
        raise _bad("its outcome is another attempt's")
    leaf = leaf_hash(entry_bytes(proof.outcome))
    if root_of_inclusion(leaf, proof.index, proof.checkpoint.size, proof.path) != proof.checkpoint.root:
        raise _bad("the outcome is not in the ledger of this checkpoint")


def _entries(extra: bytes) -> tuple[Attempt, Outcome]:
    try:
        table = fields.table(parse_json(extra, what="`extra`"), "`extra`", "attempt outcome")
        attempt = read_entry(canonical_bytes(table["attempt"]))
        outcome = read_entry(canonical_bytes(table["outcome"]))
    except EvalctlError as error:
        raise _bad(error.message) from error
    if not isinstance(attempt, Attempt) or not isinstance(outcome, Outcome):
        raise _bad("`extra` does not hold an attempt and its outcome")
    return attempt, outcome


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _bad("a line is not base64") from error


def _bad(message: str) -> CheckFailedError:
    return CheckFailedError(f"the ledger's proof does not hold: {message}", code="bad-ledger-proof")
