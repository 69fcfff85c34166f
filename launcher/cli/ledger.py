"""`evalctl ledger`: every launch attempt of this home, proofs out of the log, and who else looked at it."""

import time
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from launcher.cli.connect import connect
from launcher.cli.options import BundleName, Json
from launcher.cli.output import hint, print_json, say, say_next
from launcher.cli.reproductions import read_own_policy
from launcher.errors import CheckFailedError, EvalctlError, MalformedError
from launcher.ledger.audit import Audit, audit, refuse_fork
from launcher.ledger.book import Book
from launcher.ledger.checkpoint import Checkpoint, read_checkpoint, short_origin, witness_key
from launcher.ledger.folder import CHECKPOINT, LogFolder, read_bounded
from launcher.ledger.looks import Looks, looks_under
from launcher.ledger.proof import MAX_PROOF_BYTES, Proof, read_proof
from launcher.ledger.seen import seen_checkpoints, supersede
from launcher.ledger.witness import witness as witness_log
from launcher.report.counted import attempt_object, listing, looked_at, state_lines
from launcher.runs.leftovers import reap_left_overs
from launcher.spec.bundle import LEDGER_PROOF
from launcher.store.attested import put_file, read_attested
from launcher.store.bundles import find_bundle
from launcher.store.files import write_atomically
from launcher.store.home import Home, find_home, make_private
from launcher.trust.key_files import load_signer, new_key
from launcher.trust.keys import Signer
from launcher.trust.notes import MAX_NOTE_BYTES

_NOBODY = {**Looks().as_json(), "witnessed_size": None, "witnessed_at": None}

LedgerFolder = Annotated[
    Path | None, typer.Argument(metavar="DIR", help="A ledger's folder; default: this home's own.")
]


def show(as_json: Json = False) -> int:
    """Show every launch attempt of this home, counted.

    Attempts count together by signer, blueprint, data and metric, whatever their locks, seeds and
    outcomes; what other keys attempted at the same is said beside. A ledger that no witness known to the
    trust policy has co-signed is local: its owner could have begun another one.
    """
    home = find_home()
    reap_left_overs(home, connect, say)
    book = Book(home)
    if not book.exists:
        if as_json:
            print_json({"attempts": [], "origin": None, "size": 0, "root": None, **_NOBODY})
        else:
            say("nothing was launched from this home yet")
        return 0
    book.seal()
    found = audit(book.folder)
    looks = looks_under(found.cosigned, read_own_policy(home)) if found.cosigned else Looks()
    if as_json:
        print_json(
            {
                "attempts": [attempt_object(row) for row in found.rows],
                **_as_object(found.checkpoint),
                **looks.as_json(),
                "witnessed_size": found.cosigned.size if found.cosigned else None,
                "witnessed_at": looked_at(looks),
            }
        )
        return 0
    print("\n".join(listing(found.rows)))
    print("\n".join(state_lines(found.checkpoint, found.cosigned, looks)))
    return 0


def prove(
    bundle: BundleName,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the proof here; default: into the bundle.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Give a bundle a new proof of its attempt.

    It is of this home's ledger, under the newest checkpoint that a witness co-signed where there is one.
    """
    home = find_home()
    path = find_bundle(home, bundle)
    proof = _new_proof(home, path)
    if out is None:
        put_file(path, LEDGER_PROOF, proof.data)
    else:
        write_atomically(out, proof.data)
    place = out or path / LEDGER_PROOF
    if as_json:
        print_json({"proof": str(place), "entry": proof.index, **_as_object(proof.checkpoint)})
    else:
        print(place)
    return 0


def verify(folder: LedgerFolder = None, as_json: Json = False) -> int:
    """Check a whole ledger, and its past.

    Every hash is computed again from the entries, and the ledger must still begin as it was seen before:
    by `verify`, by this command, and in the proofs of this home's bundles. Exit code 1: it was changed,
    truncated or forked.
    """
    home = find_home()
    book = Book(home)
    log = _existing(folder or book.path)
    if folder is None:
        book.seal()
    claimed = log.checkpoint()
    seen = seen_checkpoints(home.seen_ledgers, claimed) if claimed else []
    found = audit(log, seen)
    bundles = _hold_bundles(home, found)
    try:
        supersede(make_private(home.seen_ledgers), found.checkpoint)
    except EvalctlError as error:
        if isinstance(error, CheckFailedError):
            raise
        say(f"note: this home cannot remember the ledger: {error.message}")
    held = {"attempts": len(found.rows), "seen": len(seen), "bundles": bundles}
    if as_json:
        print_json({"verdict": "verified", **_as_object(found.checkpoint), **held})
        return 0
    print(f"ledger {short_origin(found.checkpoint.origin)}: {found.checkpoint.size} entries are whole")
    attempts, looks = _count(len(found.rows), "attempt"), _count(len(seen), "earlier look")
    print(f"{attempts}, held against {looks} and {_count(bundles, 'bundle')} here")
    return 0


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def witness(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of somebody's ledger.")],
    as_json: Json = False,
) -> int:
    """Co-sign a ledger that kept its past.

    For a second party: the whole ledger is checked and held against the last look, and its checkpoint is
    signed with this home's witness key (made at first use). The cosignature is put into the folder's
    checkpoint where that can be written; the co-signed checkpoint is printed. Exit code 1: changed,
    truncated or forked.
    """
    home = find_home()
    log, signer = _existing(folder), _witness_signer(home)
    done = witness_log(log, home.root / "witnessed-ledgers", signer, int(time.time()))
    text = done.checkpoint.data.decode()
    try:
        write_atomically(folder / CHECKPOINT, done.checkpoint.data)
        put = True
    except EvalctlError:
        put = False
    key = witness_key(signer.public)
    since = None if done.before is None else done.before.size
    if as_json:
        print_json(
            {**_as_object(done.checkpoint), "since": since, "key": key.text, "checkpoint": text, "put": put}
        )
        return 0
    print(text, end="")
    first = "for the first time" if since is None else f"consistent since {since} entries"
    say(f"co-signed {done.checkpoint.size} entries, {first}, as {key.text}")
    if not put:
        hint("give the checkpoint to the ledger's owner, who types `evalctl ledger add FILE`")
    return 0


def add(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A checkpoint that a witness co-signed.")],
    as_json: Json = False,
) -> int:
    """Keep a witness's signature of this ledger.

    Later proofs are made under it: `evalctl ledger prove`.
    """
    home = find_home()
    try:
        brought = read_checkpoint(read_bounded(file, MAX_NOTE_BYTES))
    except FileNotFoundError as error:
        raise MalformedError(
            f"there is no file `{file}`", code="no-such-file", hint="check the path"
        ) from error
    except CheckFailedError as error:
        raise CheckFailedError(
            f"`{file}` is no checkpoint: {error.message}",
            code=error.code,
            hint="name the `checkpoint` that `evalctl ledger witness DIR` co-signed",
        ) from error
    kept = Book(home).add_cosigned(brought)
    if as_json:
        print_json(_as_object(kept))
    else:
        print(f"kept the signatures over {kept.size} entries")
        say_next("evalctl ledger prove BUNDLE")
    return 0


def _existing(folder: Path) -> LogFolder:
    if folder.is_dir():
        return LogFolder(folder)
    raise MalformedError(
        f"there is no ledger in `{folder}`",
        code="no-ledger",
        hint="name the folder of one; the first `evalctl launch` begins this home's own",
    )


def _as_object(checkpoint: Checkpoint) -> dict[str, Any]:
    return {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}


def _new_proof(home: Home, path: Path) -> Proof:
    """Return a fresh proof of the outcome that names the bundle at `path`."""
    attested, book = read_attested(path), Book(home)
    own = book.seal() if book.exists else None
    with suppress(KeyError, CheckFailedError):
        old = read_proof(attested.files[LEDGER_PROOF])
        is_its_own = old.outcome.bundle == attested.digest
        if own and is_its_own and old.checkpoint.origin == own.origin and old.index < own.size:
            return book.prove(old.attempt, old.outcome, old.index)
    proof = book.find(attested.digest) if own is not None else None
    if proof is None:
        raise CheckFailedError(
            f"this home's ledger has no outcome that names `{path}`",
            code="not-in-ledger",
            hint="type it in the home that launched the bundle; see `evalctl ledger show`",
        )
    return proof


def _hold_bundles(home: Home, found: Audit) -> int:
    """Hold the proofs of this home's bundles against a ledger; return how many are of it."""
    count = 0
    for bundle in sorted(home.bundles.iterdir()) if home.bundles.is_dir() else ():
        try:
            proof = read_proof(read_bounded(bundle / LEDGER_PROOF, MAX_PROOF_BYTES))
        except (FileNotFoundError, CheckFailedError):
            continue
        if proof.checkpoint.origin == found.checkpoint.origin:
            refuse_fork(proof.checkpoint, found.checkpoint, found.hashes)
            count += 1
    return count


def _witness_signer(home: Home) -> Signer:
    path = home.default_key.with_name("witness")
    if not path.exists():
        make_private(path.parent)
        say(f"made the witness key {new_key(path).fingerprint} in `{path}`")
    return load_signer(path)
