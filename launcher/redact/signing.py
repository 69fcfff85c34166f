"""Sign a redacted bundle: its listing, the original's attestations, and the redactor's own beside them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from launcher import __version__
from launcher.canonical import parse_json
from launcher.runs.events import now as text_now
from launcher.spec import bundle
from launcher.spec.claims import evaluation_result
from launcher.spec.predicates import LOCAL_BUILDER, REDACT_BUILD_TYPE, Builder, Provenance
from launcher.spec.result import Result
from launcher.spec.statement import Statement, provenance_statement, result_statement
from launcher.store.bundles import write_sums
from launcher.store.directory import Inventory
from launcher.store.files import write_new
from launcher.trust.keys import Signer
from launcher.trust.sigstore import open_envelope, seal


def sign(inventory: Inventory, staging: Path, signer: Signer) -> None:
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
