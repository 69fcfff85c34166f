"""`evalctl ledger verify`, `since`, `witness`: whether a ledger, anybody's, only grew since it was seen."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from launcher.cli.options import Json
from launcher.cli.output import hint, print_json, say
from launcher.errors import CheckFailedError, EvalctlError, InfrastructureError, MalformedError
from launcher.ledger.audit import Audit, audit, own_key, refuse_fork
from launcher.ledger.book import Book
from launcher.ledger.checkpoint import check_signature, short_origin, witness_key
from launcher.ledger.consistency import MAX_GROWTH_BYTES, Growth, read_growth
from launcher.ledger.folder import CHECKPOINT, LogFolder, read_bounded
from launcher.ledger.proof import MAX_PROOF_BYTES, read_proof
from launcher.ledger.seen import looking, seen_checkpoints, supersede
from launcher.ledger.witness import Witnessed
from launcher.ledger.witness import witness as witness_log
from launcher.report.counted import checkpoint_object
from launcher.spec.bundle import LEDGER_PROOF
from launcher.store.files import write_atomically
from launcher.store.home import Home, find_home, make_private
from launcher.trust.key_files import load_signer, new_key
from launcher.trust.keys import Signer


def verify(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="PATH",
            help="A ledger's folder, or a proof of `evalctl ledger since`; default: this home's own.",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """Check a whole ledger, and its past.

    Every hash is computed again from the entries, and the ledger must still begin as it was seen before:
    by `verify`, by this command, and in the proofs of this home's bundles. Of a proof that it only grew, that
    it leads from what was seen. Exit code 1: it was changed, truncated or forked.
    """
    home = find_home()
    if path is not None and path.is_file():
        return _verify_growth(home, path, as_json=as_json)
    book = Book(home)
    log = _existing(path or book.path)
    if path is None:
        book.seal()
    with looking(home.seen_ledgers, must_remember=False):
        claimed = log.checkpoint()
        seen = seen_checkpoints(home.seen_ledgers, claimed) if claimed else []
        found = audit(log, seen)
        bundles = _hold_bundles(home, found)
        try:
            supersede(home.seen_ledgers, found.checkpoint, seen)
        except InfrastructureError as error:
            say(f"note: this home cannot remember the ledger: {error.message}")
    held = {"attempts": len(found.rows), "seen": len(seen), "bundles": bundles, "since": None}
    if as_json:
        print_json({"verdict": "verified", **checkpoint_object(found.checkpoint), **held})
        return 0
    print(f"ledger {short_origin(found.checkpoint.origin)}: {found.checkpoint.size} entries are whole")
    attempts, looks = _count(len(found.rows), "attempt"), _count(len(seen), "earlier look")
    print(f"{attempts}, held against {looks} and {_count(bundles, 'bundle')} here")
    return 0


def since(
    size: Annotated[int, typer.Argument(metavar="N", min=1, help="How many entries it had when seen.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the proof here; default: standard output.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Prove that this home's ledger only grew.

    A consistency proof (RFC 6962) for somebody who saw it with N entries and must not see what is in it: they
    type `evalctl ledger verify FILE`. Its form is C2SP's tlog-witness, the request to add a checkpoint.
    """
    home = find_home()
    book = Book(home)
    _existing(book.path)
    growth = book.growth(size)
    if out is not None:
        write_atomically(out, growth.data)
    if as_json:
        text = None if out is not None else growth.data.decode()
        place = None if out is None else str(out)
        print_json({"proof": place, "text": text, "since": size, **checkpoint_object(growth.checkpoint)})
    else:
        print(growth.data.decode() if out is None else out, end="" if out is None else "\n")
    return 0


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
    done = _witness(home, log, signer)
    text = done.checkpoint.data.decode()
    put = _put(log, done)
    key = witness_key(signer.public)
    last = None if done.before is None else done.before.size
    if as_json:
        print_json(
            {
                **checkpoint_object(done.checkpoint),
                "since": last,
                "key": key.text,
                "checkpoint": text,
                "put": put,
            }
        )
        return 0
    print(text, end="")
    first = "for the first time" if last is None else f"consistent since {last} entries"
    say(f"co-signed {done.checkpoint.size} entries, {first}, as {key.text}")
    if not put:
        hint("give the checkpoint to the ledger's owner, who types `evalctl ledger add FILE`")
    return 0


def _witness(home: Home, log: LogFolder, signer: Signer) -> Witnessed:
    """Co-sign a ledger; a home that saw another past as a verifier does not, and remembers it as one."""
    with looking(home.seen_ledgers):
        claimed = log.checkpoint()
        seen = seen_checkpoints(home.seen_ledgers, claimed) if claimed else []
        done = witness_log(log, home.root / "witnessed-ledgers", signer, int(time.time()), seen)
        supersede(home.seen_ledgers, done.audit.checkpoint, seen)
    return done


def _put(log: LogFolder, done: Witnessed) -> bool:
    """Put the co-signed checkpoint into its folder, unless that is not writable or the log grew meanwhile."""
    try:
        if log.checkpoint() != done.audit.checkpoint:
            return False
        write_atomically(log.path / CHECKPOINT, done.checkpoint.data)
    except EvalctlError:
        return False
    return True


def _verify_growth(home: Home, file: Path, *, as_json: bool) -> int:
    """Check that a ledger only grew since this home saw it with so many entries as the proof names."""
    growth = _read_growth(file)
    with looking(home.seen_ledgers):
        seen = seen_checkpoints(home.seen_ledgers, growth.checkpoint)
        before = next((each for each in seen if each.size == growth.old), None)
        if before is None:
            raise _not_seen(growth.old, [each.size for each in seen])
        growth.check(before)
        left = supersede(home.seen_ledgers, growth.checkpoint, [before])
    if as_json:
        told = {"attempts": None, "seen": left, "bundles": None, "since": growth.old}
        print_json({"verdict": "verified", **checkpoint_object(growth.checkpoint), **told})
        return 0
    ledger, size = short_origin(growth.checkpoint.origin), growth.checkpoint.size
    print(f"ledger {ledger}: the first {growth.old} of its {size} entries are those that were seen")
    if left:
        say(f"note: {_count(left, 'earlier look')} at it, of another size, wants a proof of its own")
    return 0


def _not_seen(size: int, sizes: Sequence[int]) -> CheckFailedError:
    listed = ", ".join(map(str, sizes))
    return CheckFailedError(
        f"this home has not seen the ledger with {size} entries",
        code="not-seen",
        context=f"it was seen with {listed}" if sizes else "it was never seen here",
        hint="ask for a proof since one of those" if sizes else "`evalctl verify` a bundle of it first",
    )


def _read_growth(file: Path) -> Growth:
    try:
        growth = read_growth(read_bounded(file, MAX_GROWTH_BYTES))
    except CheckFailedError as error:
        raise CheckFailedError(
            f"`{file}` is no proof that a ledger only grew: {error.message}",
            code=error.code,
            hint="name what `evalctl ledger since N` wrote, or the folder of a ledger",
        ) from error
    check_signature(growth.checkpoint, own_key(growth.checkpoint))
    return growth


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


def _existing(folder: Path) -> LogFolder:
    if folder.is_dir():
        return LogFolder(folder)
    raise MalformedError(
        f"there is no ledger in `{folder}`",
        code="no-ledger",
        hint="name the folder of one; the first `evalctl launch` begins this home's own",
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
