"""Make the redacted bundle: choose what is given out, write it, sign it, and look at it once more."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from launcher import __version__
from launcher.canonical import canonical_bytes, parse_json
from launcher.digest import sha256_hex
from launcher.errors import CheckFailedError, MalformedError
from launcher.metrics.committed import Parts, committed_parts
from launcher.metrics.contributions import what_stays
from launcher.redact.exposure import Exposure, exposure_of
from launcher.redact.search import refuse_found, telling_texts
from launcher.runs.events import now as text_now
from launcher.spec import bundle
from launcher.spec.claims import evaluation_result
from launcher.spec.commitments import Entry, SaltKey, commitment_lines
from launcher.spec.disclosure import (
    Choice,
    disclosed,
    events_bytes,
    is_whole,
    result_json,
    samples_bytes,
    samples_left,
)
from launcher.spec.openings import opened, opening_lines, read_openings
from launcher.spec.predicates import LOCAL_BUILDER, REDACT_BUILD_TYPE, Builder, Provenance
from launcher.spec.redaction import FOLDERS, Redaction, in_order, is_withheld_file, redacted_files
from launcher.spec.result import Result
from launcher.spec.statement import Statement, provenance_statement, result_statement
from launcher.store.bundles import bundle_digest, publish, write_sums
from launcher.store.directory import Inventory, walk
from launcher.store.files import write_new
from launcher.store.home import Home
from launcher.store.redaction_keys import read_redaction_key
from launcher.store.redactions import record_redaction
from launcher.store.staging import staged
from launcher.trust.keys import Signer
from launcher.trust.policy import Policy
from launcher.trust.sigstore import open_envelope, seal
from launcher.verify import Contents, Verification, verify
from launcher.verify.demand import demand_verified

_MAX_BYTES = bundle.MAX_SAMPLES_BYTES


class Redactor(Struct, frozen=True):
    """Who redacts, in which home, under which policy, and when."""

    home: Home
    signer: Signer
    policy: Policy
    now: datetime


class Source(Struct, frozen=True):
    """A verified bundle that may be redacted, and every opening that its keeper can give out of it."""

    path: Path
    contents: Contents
    openings: tuple[Entry, ...]

    @property
    def redaction(self) -> Redaction | None:
        """What is withheld of it already."""
        return self.contents.result.redaction


class Redacted(Struct, frozen=True):
    """Where the new bundle is in the store, what it withholds, and what that gives away all the same.

    `left` says in words what stays of each sample. There is no `exposure` of what was withheld before.
    """

    path: Path
    redaction: Redaction
    left: tuple[str, ...]
    exposure: Exposure | None


def redact(path: Path, choice: Choice, redactor: Redactor) -> Redacted:
    """Make a bundle of the one at `path` that withholds `choice`.

    Raises `CheckFailedError` for a bundle that does not verify or may not be redacted, `TrustError` for one
    by strangers, `InfrastructureError` where the home has no key for it, `MalformedError` for unknown ids.
    """
    source = _source(path, redactor)
    _refuse_unknown(choice, source)
    with staged(redactor.home) as staging:
        with walk(path) as inventory:
            redaction = _write(inventory, staging, source, choice)
            _sign(inventory, staging, redactor.signer)
        refuse_found(staging, _secrets(source, choice))
        _refuse_unverified(verify(staging, redactor.policy, redactor.now))
        record_redaction(redactor.home, bundle_digest(staging), _facts(source, redaction, redactor))
        place = publish(redactor.home, staging)
        left = what_stays(source.contents.blueprint.metrics) if redaction.takes_samples else ()
        return Redacted(place, redaction, left, _exposure(source, choice))


def _exposure(source: Source, choice: Choice) -> Exposure | None:
    """Return what is exposed of an original's samples; of withheld ones nobody here knows."""
    if source.redaction is not None and source.redaction.takes_samples:
        return None
    read = source.contents.source.blocks
    return exposure_of(source.contents.blueprint.metrics, choice, read(), read())


def _facts(source: Source, redaction: Redaction, redactor: Redactor) -> dict[str, Any]:
    """Return what `list` says of the new bundle."""
    result = source.contents.result
    return {
        "lock": result.lock,
        "attempt": result.attempt,
        "name": result.blueprint.name,
        "signer": redactor.signer.public.fingerprint,
        "began": text_now(),
        "outcome": result.status,
        "failure": result.failure,
        "verdict": result.verdict,
        "marks": list(result.marks),
        "redaction": redaction.as_json(),
    }


def _secrets(source: Source, choice: Choice) -> frozenset[str]:
    """Return the texts of the samples that are withheld whole and of no other's."""
    samples = source.contents.samples
    gone = [sample for sample in samples if sample.id in choice.ids]
    return telling_texts(gone, (sample for sample in samples if sample.id not in choice.ids))


def _source(path: Path, redactor: Redactor) -> Source:
    contents = demand_verified(path, verify(path, redactor.policy, redactor.now), "to redact")
    if not contents.blueprint.redactable:
        raise CheckFailedError(
            f"`{path}` is not redactable: nothing in it was committed to",
            code="not-redactable",
            hint="set `redactable = true` in `[bundle]` of its blueprint and launch again",
        )
    with walk(path) as inventory:
        if contents.result.redaction is not None:
            openings = tuple(read_openings(_lines(inventory, bundle.OPENINGS)))
            return Source(path, contents, openings)
        key = read_redaction_key(redactor.home, contents.result.invocation_id)
        return Source(path, contents, _open_all(inventory, contents, key))


def _open_all(inventory: Inventory, contents: Contents, key: SaltKey) -> tuple[Entry, ...]:
    """Return every opening of an original, after making sure that its commitments are of this key."""
    sums = bundle.read_sums(inventory.read(bundle.SUMS, _MAX_BYTES))
    events = inventory.read(bundle.EVENTS, _MAX_BYTES).splitlines()
    parts = Parts(
        parse_json(inventory.read(bundle.RESULT, _MAX_BYTES), what=bundle.RESULT),
        sums,
        [parse_json(line, what="an event") for line in events],
        contents.samples,
        contents.blueprint.metrics,
    )
    committed = committed_parts(key, parts)
    state = hashlib.sha256()
    for line in commitment_lines(key, committed.header, committed.entries):
        state.update(line)
    if state.hexdigest() != sums[bundle.COMMITMENTS]:
        raise CheckFailedError(
            "the bundle's commitments are not to what it holds, or not by this home's key of it",
            code="bad-commitments",
        )
    return tuple(opened(key, entry) for entry in committed.entries if entry.kind != "file")


def _lines(inventory: Inventory, name: str) -> Iterator[bytes]:
    yield from inventory.read(name, _MAX_BYTES).splitlines(keepends=True)


def _refuse_unknown(choice: Choice, source: Source) -> None:
    known = {sample.id for sample in source.contents.samples}
    for identifier in sorted(choice.ids - known):
        raise MalformedError(
            f"there is no sample `{identifier}` in the bundle",
            code="no-such-sample",
            context="some are withheld already" if source.redaction and source.redaction.samples else None,
            hint="`--samples` takes ids as samples.jsonl has them",
        )


def _write(inventory: Inventory, staging: Path, source: Source, choice: Choice) -> Redaction:
    """Write every file of the new bundle but its listing and attestations."""
    before = source.redaction
    sums = bundle.SUMS if before is None else bundle.ORIGINAL_SUMS
    listing = inventory.read(sums, _MAX_BYTES)
    withheld = in_order([*_there(choice.withheld, listing), *(before.withheld if before else ())])
    choice = replace(choice, withheld=frozenset(withheld))
    left = disclosed(source.openings, choice)
    samples = [_values(entry) for entry in left if entry.kind == "sample"]
    count = sum(map(is_whole, samples))
    redaction = Redaction(f"sha256:{sha256_hex(listing)}", withheld, count, redacted_files(withheld, count))
    parts = {entry.name: entry.cells[""][1] for entry in left if entry.kind == "result"}
    made = {
        bundle.RESULT: canonical_bytes(result_json(parts, redaction)) + b"\n",
        bundle.SAMPLES: samples_bytes(samples_left(samples)),
        bundle.OPENINGS: b"".join(opening_lines(left)),
        bundle.ORIGINAL_SUMS: listing,
    }
    if "event-details" in withheld:
        made[bundle.EVENTS] = events_bytes(_values(entry) for entry in left if entry.kind == "event")
    for name, data in made.items():
        write_new(staging / name, data)
    for name in inventory.files:
        gone = name in made or name == bundle.SUMS or name.startswith(f"{bundle.ATTESTATIONS}/")
        if not gone and not is_withheld_file(name, withheld):
            _copy(inventory, name, staging / name)
    return redaction


def _there(withheld: Iterable[str], listing: bytes) -> Iterator[str]:
    """Yield what is to be withheld but for folders that the original, of this listing, never had."""
    paths = bundle.read_sums(listing)
    for word in withheld:
        if word not in FOLDERS or any(is_withheld_file(path, [word]) for path in paths):
            yield word


def _values(entry: Entry) -> Entry:
    return Entry(entry.kind, entry.name, {column: cell[1] for column, cell in entry.cells.items()})


def _copy(inventory: Inventory, name: str, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    write_new(place, b"".join(inventory.chunks(name)))


def _sign(inventory: Inventory, staging: Path, signer: Signer) -> None:
    """Write the listing, the original's attestations, and the redactor's own beside them."""
    digests = write_sums(staging)
    (staging / bundle.ATTESTATIONS).mkdir()
    originals = dict(_originals(inventory))
    lock = originals[bundle.as_original(bundle.LOCK_ATTESTATION)]
    result = Result.from_json(parse_json((staging / bundle.RESULT).read_bytes(), what=bundle.RESULT))
    provenance = _provenance(originals[bundle.as_original(bundle.PROVENANCE_ATTESTATION)])
    evaluated = evaluation_result(result, provenance.builder, provenance.finished_on)
    made = {
        **originals,
        bundle.LOCK_ATTESTATION: lock,
        bundle.PROVENANCE_ATTESTATION: seal(provenance_statement(digests, provenance), signer),
        bundle.RESULT_ATTESTATION: seal(result_statement(digests, evaluated), signer),
    }
    for name, data in made.items():
        write_new(staging / name, data)


def _originals(inventory: Inventory) -> Iterator[tuple[str, bytes]]:
    """Yield the original's attestations, each with its place in the new bundle."""
    attestations = [name for name in inventory.files if bundle.is_attestation(name)]
    kept = [name for name in attestations if bundle.is_original_attestation(name)]
    for name in kept or attestations:
        place = name if kept else bundle.as_original(name)
        yield place, inventory.read(name, bundle.MAX_ATTESTATION_BYTES)


def _provenance(original: bytes) -> Provenance:
    """Return the statement of the redaction: of the run that the original names, by who redacted it."""
    statement: Any = parse_json(open_envelope(original).payload, what=bundle.PROVENANCE_ATTESTATION)
    before = Provenance.from_json(Statement.from_json(statement).predicate)
    moment = text_now()
    return replace(
        before,
        builder=Builder(LOCAL_BUILDER, {"evalctl-launcher": __version__}),
        started_on=moment,
        finished_on=moment,
        internal={},
        build_type=REDACT_BUILD_TYPE,
    )


def _refuse_unverified(verification: Verification) -> None:
    """Raise `CheckFailedError` rather than publish what would not verify."""
    broken = [
        check
        for check in verification.checks
        if check.status == "failed" and not check.name.startswith("trust:")
    ]
    if broken:
        raise CheckFailedError(
            "the redacted bundle would not verify, so there is none",
            code="not-verified",
            context="; ".join(f"{check.name}: {check.detail}" for check in broken[:3]),
        )
