"""Forgeries of the ledger's proof: attempts that nobody counted, or that were counted as something else."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from msgspec.structs import replace as but

from launcher.canonical import canonical_bytes
from launcher.digest import sha256_hex
from launcher.ledger.checkpoint import Checkpoint, ledger_key, witness_key
from launcher.ledger.entries import Attempt, Outcome, entry_bytes
from launcher.ledger.proof import Proof
from launcher.ledger.tiles import Hashes, leaf_hashes
from launcher.ledger.tree import fold, inclusion_proof
from launcher.spec import bundle as names
from launcher.spec.lock import read_lock
from launcher.spec.predicates import Suite
from launcher.trust.notes import Note, NoteKey, sign_note
from tests.bundles.case import Case, Forge, Row, Trust, leave, rows
from tests.bundles.forging import edit, remove, replace, sealed, then, write
from tests.bundles.honest import STARTED, Files, Run, launched
from tests.bundles.keys import ALICE, BOB, FixedSigner, ed25519
from tests.bundles.policies import policy

PROOF = names.LEDGER_PROOF
# The ledger that ALICE's launches are counted in, one that MALLORY began, and a witness of both.
OURS, THEIRS, WITNESS = map(ed25519, (31, 32, 33))
_ATTEMPT_AT, _OUTCOME_AT = 2, 4
_BEFORE = (b"entry 0", b"entry 1"), (b"entry 3",)
_AFTER = (b"entry 5", b"entry 6")

Change = Callable[[Any], Any]


def _same(entry: Any) -> Any:
    return entry


def _run(ledger: FixedSigner, entry: int = _ATTEMPT_AT) -> Run:
    return Run(internal={"ledger": ledger_key(ledger.public).name, "ledgerEntry": str(entry)})


@cache
def counted() -> Files:
    """Return an honest bundle with the proof of its attempt."""
    files = launched(_run(OURS))
    return {**files, PROOF: proof_of(files).data}


@cache
def counted_by_another() -> Files:
    """Return a bundle whose signer says that MALLORY's ledger counted it, with that one's proof."""
    files = launched(_run(THEIRS))
    return {**files, PROOF: proof_of(files, ledger=THEIRS).data}


@cache
def counted_and_witnessed() -> Files:
    """Return a bundle with a proof under a checkpoint that the witness co-signed."""
    return {**counted(), PROOF: proof_of(counted(), witness=WITNESS).data}


def attempt_of(files: Mapping[str, bytes]) -> Attempt:
    """Return the entry that a launch of this bundle's lock records before it begins."""
    lock = read_lock(files[names.LOCK])
    inputs = {item["sha256"] for item in lock.identity["inputs"] if item["kind"] == "data"}
    return Attempt(
        lock=lock.digest,
        suite=Suite("acme/thirds", "1.0.0"),
        data=tuple(sorted(inputs)),
        metrics={"accuracy@1": ("accuracy",)},
        attempt=1,
        position=3,
        invocation_id=Run().invocation_id,
        time=STARTED,
        signer=ALICE.public.fingerprint,
    )


def proof_of(
    files: Mapping[str, bytes],
    attempt: Change = _same,
    outcome: Change = _same,
    *,
    ledger: FixedSigner = OURS,
    witness: FixedSigner | None = None,
) -> Proof:
    """Return the proof of entries that were changed before the ledger took them; nothing looks at it."""
    recorded = attempt(attempt_of(files))
    digest = f"sha256:{sha256_hex(files[names.SUMS])}"
    ended = outcome(Outcome(_ATTEMPT_AT, recorded.sha256, STARTED, "succeeded", None, "pass", digest))
    first, between = _BEFORE
    entries = [*first, entry_bytes(recorded), *between, entry_bytes(ended), *_AFTER]
    leaves = leaf_hashes(entries)
    key = ledger_key(ledger.public)
    checkpoint = signed(Checkpoint(key.name, len(entries), fold(leaves)), key, ledger, witness)
    hashes = Hashes(len(entries), lambda tile: b"".join(leaves[: tile.width]))
    path = inclusion_proof(_OUTCOME_AT, len(entries), hashes.range)
    return Proof(recorded, ended, _OUTCOME_AT, tuple(path), checkpoint)


def signed(
    checkpoint: Checkpoint, key: NoteKey, signer: FixedSigner, witness: FixedSigner | None = None
) -> Checkpoint:
    """Return a checkpoint with the signatures of a log and perhaps of a witness."""
    signatures = [sign_note(checkpoint.body, key, signer)]
    if witness is not None:
        signatures.append(sign_note(checkpoint.body, witness_key(witness.public), witness, 1_700_000_000))
    return but(checkpoint, note=Note(checkpoint.body, tuple(signatures)))


def record(attempt: Change = _same, outcome: Change = _same, **more: Any) -> Forge:
    """Return a forgery that has the true ledger record something else, and gives the proof of it."""

    def forge(bundle: Path) -> None:
        write(PROOF, proof_of(counted(), attempt, outcome, **more).data)(bundle)

    return forge


def _put(change: Callable[[Proof], Proof]) -> Forge:
    def forge(bundle: Path) -> None:
        write(PROOF, change(proof_of(counted())).data)(bundle)

    return forge


def _lines(change: Callable[[list[bytes]], list[bytes]]) -> Forge:
    """Return a forgery that changes the lines above the checkpoint: header, entries, index, hashes."""

    def alter(data: bytes) -> bytes:
        head, blank, note = data.partition(b"\n\n")
        return b"\n".join(change(head.split(b"\n"))) + blank + note

    return edit(PROOF, alter)


def _extra(entries: Callable[[Proof], Mapping[str, Any]]) -> Forge:
    """Return a forgery that puts other entries beside the true outcome's path."""

    def forge(bundle: Path) -> None:
        proof = proof_of(counted())
        value = canonical_bytes({name: entry.as_json() for name, entry in entries(proof).items()})
        _lines(lambda lines: [lines[0], b"extra " + b64encode(value), *lines[2:]])(bundle)

    return forge


def _last_byte(line: bytes) -> bytes:
    """Return base64 of other bytes of the same length."""
    return line[:8] + (b"A" if line[8:9] != b"A" else b"B") + line[9:]


def _signature(change: Callable[[bytes], bytes]) -> Forge:
    """Return a forgery that changes the first line below the checkpoint."""

    def alter(data: bytes) -> bytes:
        above, blank, lines = data.rpartition(b"\n\n")
        first, _, rest = lines.partition(b"\n")
        return above + blank + change(first) + b"\n" + rest

    return edit(PROOF, alter)


def _other_signature(line: bytes) -> bytes:
    name, _, blob = line.rpartition(b" ")
    return name + b" " + blob[:20] + (b"A" if blob[20:21] != b"A" else b"B") + blob[21:]


def _other_root(proof: Proof) -> Proof:
    checkpoint = but(proof.checkpoint, root=b"\x11" * 32)
    note = but(_note(checkpoint), body=checkpoint.body)
    return but(proof, checkpoint=but(checkpoint, note=note))


def _note(checkpoint: Checkpoint) -> Note:
    assert checkpoint.note is not None
    return checkpoint.note


def _larger(proof: Proof) -> Proof:
    checkpoint = but(proof.checkpoint, size=proof.checkpoint.size + 1)
    return but(proof, checkpoint=but(checkpoint, note=but(_note(checkpoint), body=checkpoint.body)))


def _signed_by_another(proof: Proof) -> Proof:
    """Let MALLORY's ledger sign under the name of ours."""
    key = but(ledger_key(THEIRS.public), name=proof.checkpoint.origin)
    return but(proof, checkpoint=signed(proof.checkpoint, key, THEIRS))


def _other_cosignature(data: bytes) -> bytes:
    above, _, last = data.removesuffix(b"\n").rpartition(b" ")
    return above + b" " + last[:30] + (b"A" if last[30:31] != b"A" else b"B") + last[31:] + b"\n"


def _named(**changes: str) -> Forge:
    """Return a forgery that signs a provenance which names another ledger or entry; the proof stays."""

    def name(predicate: Any) -> None:
        predicate["buildDefinition"]["internalParameters"].update(changes)

    return then(sealed(provenance=name), write(PROOF, counted()[PROOF]))


def cases() -> Iterator[Case]:
    """Yield the forgeries of a ledger's proof."""
    yield from rows("ledger", "ledger-proof", _FORM | _MERKLE | _SIGNED | _ABOUT, base=counted)
    yield Case(
        title="ledger-cosignature-changed",
        group="ledger",
        attack="changed the signature of a witness",
        forge=edit(PROOF, _other_cosignature),
        base=counted_and_witnessed,
        refused_by="ledger-proof",
        words="does not hold",
    )
    yield from rows("ledger", "ledger-entry", _CONTENTS, base=counted)
    yield from _pinned()
    yield _seen()


_FORM: dict[str, Row] = {
    "ledger-proof-empty": ("emptied the ledger's proof", write(PROOF, b""), "does not begin as"),
    "ledger-proof-garbage": ("put bytes for the ledger's proof", write(PROOF, b"\xff" * 999), "not ASCII"),
    "ledger-proof-json": ("wrote JSON for the ledger's proof", write(PROOF, b"{}\n"), "does not begin as"),
    "ledger-proof-of-another-version": (
        "wrote another version of the proof's format",
        replace(PROOF, b"tlog-proof@v1", b"tlog-proof@v2"),
        "does not begin as",
    ),
    "ledger-proof-twice": (
        "wrote the proof twice",
        edit(PROOF, lambda data: data + data),
        "malformed",
    ),
    "ledger-proof-without-checkpoint": (
        "cut the proof before its checkpoint",
        edit(PROOF, lambda data: data.partition(b"\n\n")[0] + b"\n\n"),
        "has no signatures",
    ),
    "ledger-proof-carriage-returns": (
        "ended the proof's lines with CR LF",
        edit(PROOF, lambda data: data.replace(b"\n", b"\r\n")),
        "not ASCII",
    ),
    "ledger-proof-huge": (
        "made the proof larger than any is",
        edit(PROOF, lambda data: data + b"\n" * (1 << 19)),
        "more than",
    ),
    "ledger-proof-entries-not-base64": (
        "wrote a space into the proof's entries",
        replace(PROOF, b"extra ey", b"extra e y"),
        "not base64",
    ),
    "ledger-proof-without-an-outcome": (
        "put two attempts into the proof",
        _extra(lambda proof: {"attempt": proof.attempt, "outcome": proof.attempt}),
        "does not hold an attempt and its outcome",
    ),
}


_MERKLE: dict[str, Row] = {
    "ledger-proof-wrong-index": (
        "gave another place in the ledger",
        replace(PROOF, b"index 4", b"index 3"),
        "does not hold",
    ),
    "ledger-proof-index-behind-the-end": (
        "gave a place behind the ledger's end",
        replace(PROOF, b"index 4", b"index 7"),
        "behind the end",
    ),
    "ledger-proof-index-spelled-otherwise": (
        "spelled the place with a zero",
        replace(PROOF, b"index 4", b"index 04"),
        "index is no number",
    ),
    "ledger-proof-truncated": ("cut the last hash", _lines(lambda lines: lines[:-1]), "too short"),
    "ledger-proof-lengthened": ("added a hash", _lines(lambda lines: [*lines, lines[-1]]), "too long"),
    "ledger-proof-hash-changed": (
        "changed a hash",
        _lines(lambda lines: [*lines[:-1], _last_byte(lines[-1])]),
        "not in the ledger",
    ),
    "ledger-proof-hash-cut": (
        "cut a hash by some bytes",
        _lines(lambda lines: [*lines[:-1], lines[-1][:40]]),
        "canonical form",
    ),
    "ledger-proof-entry-changed": (
        "gave the outcome another time than the ledger has",
        _extra(
            lambda proof: {
                "attempt": proof.attempt,
                "outcome": but(proof.outcome, time="2026-11-20T10:00:00Z"),
            }
        ),
        "not in the ledger",
    ),
    "ledger-proof-attempt-changed": (
        "gave the attempt another number than its outcome names",
        _extra(lambda proof: {"attempt": but(proof.attempt, position=1), "outcome": proof.outcome}),
        "another attempt's",
    ),
    "ledger-proof-outcome-before-the-attempt": (
        "recorded the outcome of an attempt that came later",
        record(outcome=lambda it: but(it, index=5)),
        "another attempt's",
    ),
}
_SIGNED: dict[str, Row] = {
    "ledger-checkpoint-signature-changed": (
        "changed the signature of the ledger's checkpoint",
        _signature(_other_signature),
        "does not hold",
    ),
    "ledger-checkpoint-unsigned": (
        "gave the ledger's signature another name",
        _signature(lambda line: b"\xe2\x80\x94 example.com/log " + line.rpartition(b" ")[2]),
        "did not sign",
    ),
    "ledger-checkpoint-forked": (
        "put another root under the signature of the ledger",
        _put(_other_root),
        "not in the ledger",
    ),
    "ledger-checkpoint-of-another-size": (
        "put another size under the signature of the ledger",
        _put(_larger),
        "does not hold",
    ),
    "ledger-checkpoint-signed-by-another": (
        "signed a checkpoint in the ledger's name with a key of his own",
        _put(_signed_by_another),
        "did not sign",
    ),
    "ledger-checkpoint-says-more": (
        "wrote a line more into the checkpoint",
        edit(PROOF, lambda data: b"\n".join([*data.split(b"\n")[:-3], b"more", *data.split(b"\n")[-3:]])),
        "nothing but an origin",
    ),
}
_ABOUT: dict[str, Row] = {
    "ledger-proof-of-another-bundle": (
        "gave the proof of another bundle",
        record(outcome=lambda it: but(it, bundle="sha256:" + "cd" * 32)),
        "values for the bundle",
    ),
    "ledger-proof-of-another-ledger": (
        "gave the proof of a ledger that the signer does not name",
        record(ledger=THEIRS),
        "values for the ledger",
    ),
    "ledger-key-not-the-one-signed": (
        "signed another ledger's name than the proof's",
        _named(ledger=ledger_key(THEIRS.public).name),
        "values for the ",
    ),
    "ledger-entry-not-the-one-signed": (
        "signed another entry than the proof's",
        _named(ledgerEntry="1"),
        "values for the ",
    ),
    "ledger-entry-of-another-lock": (
        "had the ledger record another lock",
        record(lambda it: but(it, lock="sha256:" + "ab" * 32)),
        "values for the lock",
    ),
    "ledger-entry-of-another-blueprint": (
        "had the ledger record another blueprint",
        record(lambda it: but(it, suite=Suite("acme/halves", "1.0.0"))),
        "values for the blueprint",
    ),
    "ledger-entry-of-another-invocation": (
        "had the ledger record another invocation",
        record(lambda it: but(it, invocation_id="0" * 31 + "2")),
        "values for the invocation",
    ),
    "ledger-entry-of-another-signer": (
        "had the ledger record another signer",
        record(lambda it: but(it, signer=BOB.public.fingerprint)),
        "values for the signer",
    ),
    "ledger-entry-of-a-failure": (
        "had the ledger record a failure",
        record(outcome=lambda it: but(it, status="failed", failure="candidate", verdict="none")),
        "values for the status",
    ),
    "ledger-entry-of-another-verdict": (
        "had the ledger record another verdict",
        record(outcome=lambda it: but(it, verdict="fail")),
        "values for the verdict",
    ),
    "ledger-entry-of-a-part": (
        "had the ledger record a part",
        record(outcome=lambda it: but(it, marks=("partial",))),
        "values for the marks",
    ),
}
_CONTENTS: dict[str, Row] = {
    "ledger-entry-of-another-attempt": (
        "had the ledger record another number of the attempt",
        record(lambda it: but(it, attempt=2)),
        "attempt's number",
    ),
    "ledger-entry-of-other-data": (
        "had the ledger record other data, which counts apart",
        record(lambda it: but(it, data=("55" * 32,))),
        "values for the data",
    ),
    "ledger-entry-of-other-metrics": (
        "had the ledger record another metric, which counts apart",
        record(lambda it: but(it, metrics={"accuracy@1": ("another",)})),
        "values for the metrics",
    ),
    "ledger-entry-of-a-draft": (
        "had the ledger record a draft",
        record(lambda it: but(it, marks=("draft",))),
        "attempt's marks",
    ),
}


def _pin(key: FixedSigner = OURS, *, of: FixedSigner = OURS, witness: FixedSigner | None = None) -> Trust:
    """Trust ALICE with launches that one ledger counts."""
    lines = ["[ledgers.lab]", f'origin = "{ledger_key(of.public).name}"', f'public = "{key.public.openssh}"']
    if witness is not None:
        lines.append(f'witnesses = ["{witness_key(witness.public).text}"]')
    return Trust(policy="\n".join([policy({"alice": 'ledger = "lab"'}), *lines, ""]))


def _pinned() -> Iterator[Case]:
    yield from (
        _case("ledger-pinned", "counted the attempt where the policy says", leave, _pin(), exit_code=0),
        _case(
            "ledger-pinned-and-witnessed",
            "had the pinned witness look at the ledger",
            leave,
            _pin(witness=WITNESS),
            base=counted_and_witnessed,
            exit_code=0,
        ),
        _case(
            "ledger-proof-removed",
            "took the proof out of a bundle that a pinned ledger counts",
            remove(PROOF),
            _pin(),
            "there is no proof of it",
        ),
        _case(
            "ledger-not-the-pinned-one",
            "had the attempt counted by a ledger of his own",
            leave,
            _pin(),
            "the proof is another ledger's",
            base=counted_by_another,
        ),
        _case(
            "ledger-with-another-key",
            "had the origin of a ledger pinned with another key",
            leave,
            _pin(THEIRS),
            "the proof is another ledger's",
        ),
        _case(
            "ledger-without-its-witness",
            "gave a proof that the pinned witness did not co-sign",
            leave,
            _pin(witness=WITNESS),
            "not co-signed by",
        ),
        _case(
            "ledger-with-another-witness",
            "gave a proof that another witness co-signed",
            record(witness=THEIRS),
            _pin(witness=WITNESS),
            "not co-signed by",
        ),
    )


def _case(title: str, attack: str, forge: Forge, trust: Trust, words: str = "", **more: Any) -> Case:
    usual = {"base": counted, "exit_code": 3, "refused_by": "trust:ledger", "group": "ledger"}
    return Case(title=title, attack=attack, forge=forge, trust=trust, words=words, **{**usual, **more})


def _seen() -> Case:
    """Show a home two pasts of one ledger: each proof holds alone."""
    ours = proof_of(counted()).checkpoint
    other = signed(but(ours, root=b"\x22" * 32), ledger_key(OURS.public), OURS)
    files = {
        "trust.toml": policy(),
        f"seen-ledgers/{OURS.public.point.hex()}/{ours.size}": other.data.decode(),
    }
    return _case(
        "ledger-forked-since-it-was-seen",
        "had the ledger sign another past than a verifier saw",
        leave,
        Trust(home=files),
        "forked",
        exit_code=1,
        refused_by="ledger-seen",
    )
