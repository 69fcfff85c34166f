"""Read the three statements that always exist, and hold them against each other."""

from msgspec import Struct

from launcher.spec.bundle import LOCK_ATTESTATION, PROVENANCE_ATTESTATION, RESULT_ATTESTATION
from launcher.spec.imported import ImportStatement
from launcher.spec.predicates import (
    IMPORT_BUILD_TYPE,
    IMPORTED_TYPE,
    LOCK_TYPE,
    PROVENANCE_TYPE,
    REDACT_BUILD_TYPE,
    RESULT_TYPE,
    EvaluationResult,
    LockStatement,
    Provenance,
)
from launcher.trust.evidence import Evidence, base_of, disagreement, signed_predicate


class Statements(Struct, frozen=True):
    """What is signed about a bundle; None where the policy does not know who signed it."""

    provenance: Provenance | None
    result: EvaluationResult | None
    lock: LockStatement | ImportStatement | None


def read_statements(evidence: Evidence) -> Statements:
    """Read the three statements that always exist, each only under the type its file name promises."""
    provenance = signed_predicate(evidence, PROVENANCE_ATTESTATION, PROVENANCE_TYPE)
    result = signed_predicate(evidence, RESULT_ATTESTATION, RESULT_TYPE)
    expected = lock_type(evidence)
    lock = signed_predicate(evidence, LOCK_ATTESTATION, expected)
    reader = ImportStatement if expected == IMPORTED_TYPE else LockStatement
    return Statements(
        None if provenance is None else Provenance.from_json(provenance),
        None if result is None else EvaluationResult.from_json(result),
        None if lock is None else reader.from_json(lock),
    )


def lock_type(evidence: Evidence) -> str:
    """Return the type under which the statement about `lock.json` is read: an import says that it is one."""
    statement = evidence.statement(LOCK_ATTESTATION)
    return IMPORTED_TYPE if statement and statement.predicate_type == IMPORTED_TYPE else LOCK_TYPE


def refuse_disagreement(evidence: Evidence, statements: Statements) -> None:
    """Raise unless the statements that could be read are by one signer about one attempt of one lock."""
    first, second = (evidence.attestations[path] for path in (PROVENANCE_ATTESTATION, RESULT_ATTESTATION))
    if first.signer != second.signer:
        raise disagreement("provenance and result are signed by different keys")
    for item in evidence.attestations.values():
        base = evidence.attestations[base_of(item.path)]
        if item.envelope.payload != base.envelope.payload:
            raise disagreement(f"`{item.path}` signs another payload than `{base.path}`")
    provenance, result, lock = statements.provenance, statements.result, statements.lock
    if provenance and result:
        _same("invocation", provenance.invocation_id, result.invocation_id)
        _same("builder", provenance.builder, result.verifier)
        _same("lock", provenance.lock, result.lock)
        _same("blueprint", provenance.suite, result.suite)
        _same("origin", provenance.build_type == IMPORT_BUILD_TYPE, result.origin is not None)
        _same("redaction", provenance.build_type == REDACT_BUILD_TYPE, result.redaction is not None)
    if provenance and lock:
        _same("lock", provenance.lock, lock.lock)
        _same("blueprint", provenance.suite, lock.suite)
        _same("origin", provenance.build_type == IMPORT_BUILD_TYPE, isinstance(lock, ImportStatement))


def _same(what: str, left: object, right: object) -> None:
    if left != right:
        raise disagreement(f"the signed statements name different values for the {what}")
