"""`evalctl ledger show`, `prove`, `add`: what the owner of a ledger asks it and gives to others."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from launcher.cli.connect import connect
from launcher.cli.options import BundleName, Json
from launcher.cli.output import print_json, say, say_next
from launcher.cli.reproductions import read_own_policy
from launcher.errors import CheckFailedError, MalformedError
from launcher.ledger.audit import audit
from launcher.ledger.book import Book
from launcher.ledger.checkpoint import read_checkpoint
from launcher.ledger.folder import read_bounded
from launcher.ledger.looks import Looks, known_witnesses, looks_under
from launcher.ledger.proof import Proof, read_proof
from launcher.report.counted import attempt_object, checkpoint_object, listing, looked_at, state_lines
from launcher.runs.leftovers import reap_left_overs
from launcher.spec.bundle import LEDGER_PROOF, ORIGINAL_SUMS
from launcher.store.attested import put_file, read_attested
from launcher.store.bundles import find_bundle
from launcher.store.files import write_atomically
from launcher.store.home import Home, find_home
from launcher.trust.notes import MAX_NOTE_BYTES

_NOBODY = {**Looks().as_json(), "witnessed_size": None, "witnessed_at": None}


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
    book.counts()  # raises where the home remembers more than is left
    policy = read_own_policy(home)
    found = audit(book.folder, known=known_witnesses(book.seal().origin, policy))
    looks = looks_under(found.cosigned, policy) if found.cosigned else Looks()
    if as_json:
        print_json(
            {
                "attempts": [attempt_object(row) for row in found.rows],
                **checkpoint_object(found.checkpoint),
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
        print_json({"proof": str(place), "entry": proof.index, **checkpoint_object(proof.checkpoint)})
    else:
        print(place)
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
    kept = Book(home).add_cosigned(brought, known_witnesses(brought.origin, read_own_policy(home)))
    if as_json:
        print_json(checkpoint_object(kept))
    else:
        print(f"kept the signatures over {kept.size} entries")
        say_next("evalctl ledger prove BUNDLE")
    return 0


def _new_proof(home: Home, path: Path) -> Proof:
    """Return a fresh proof of the outcome that names the bundle at `path`."""
    if (path / ORIGINAL_SUMS).exists():
        raise CheckFailedError(
            f"`{path}` is redacted, and no ledger counts it apart from its original",
            code="not-in-ledger",
            hint="give its original a new proof, then redact that again: the proof goes along",
        )
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
