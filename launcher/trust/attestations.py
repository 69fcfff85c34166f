"""Check a bundle's attestations against its files and a trust policy: the core of `verify`, without a disk.

Order matters: structure, then signatures by keys the policy knows, and only then is a payload parsed. What
the policy does not know is never parsed and never counted. Tampering (`failed`) outranks missing trust
(`untrusted`), so that a changed byte is never mistaken for a stranger.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct

from launcher.digest import sha256_hex
from launcher.errors import CheckFailedError, EvalctlError
from launcher.spec.bundle import (
    LEDGER_PROOF,
    LOCK_ATTESTATION,
    PROVENANCE_ATTESTATION,
    REQUIRED_ATTESTATIONS,
    RESULT_ATTESTATION,
    SUMS,
    check_sums,
    is_attestation,
    is_bundle_file,
    refuse_many_attestations,
    refuse_missing,
    split_co_signature,
)
from launcher.spec.imported import ImportStatement
from launcher.spec.predicates import (
    PROVENANCE_TYPE,
    RESULT_TYPE,
    EvaluationResult,
    LockStatement,
    Provenance,
)
from launcher.trust.agreement import Statements, lock_type, read_statements, refuse_disagreement
from launcher.trust.checks import Check, checked, failed
from launcher.trust.evidence import Evidence
from launcher.trust.policy import Policy
from launcher.trust.reproductions import CountedReproduction, check_reproduction, once, reproductions_in
from launcher.trust.signatures import examine, without_timestamp


class AttestationReport(Struct, frozen=True):
    """What the attestations are worth; signers are fingerprints whose signatures hold.

    The statements are None where the policy does not know who signed them; `unknown` are the fingerprints
    it would have to know. `maker` is who the bundle says made it, known or not: whoever is trusted may only
    have co-signed. Nothing but the checks is filled in once a bundle is malformed.
    """

    verdict: Literal["verified", "failed", "untrusted"]
    checks: tuple[Check, ...]
    signers: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    maker: str | None = None
    provenance: Provenance | None = None
    result: EvaluationResult | None = None
    lock: LockStatement | ImportStatement | None = None
    reproductions: tuple[CountedReproduction, ...] = ()

    @property
    def invocation_id(self) -> str | None:
        """Return the attempt that made the bundle, once it is known who says so."""
        return self.provenance.invocation_id if self.provenance else None

    @property
    def is_read(self) -> bool:
        """Say whether each of the three statements was signed by a known key, and read."""
        return None not in (self.provenance, self.result, self.lock)

    @property
    def hint(self) -> str | None:
        """Say what to do about signers that the policy does not know."""
        if not self.unknown:
            return None
        return (
            f"if you know and trust who holds {' and '.join(self.unknown)}, get that public key from them "
            "and type `evalctl trust add NAME.pub`"
        )


def check_attestations(
    digests: Mapping[str, str], files: Mapping[str, bytes], policy: Policy, now: datetime
) -> AttestationReport:
    """Check everything about a bundle that needs neither the meaning of its files nor a disk.

    `digests` maps the path of every file outside `attestations/`, SHA256SUMS included, to the hex SHA-256 of
    its bytes; `files` holds the bytes of SHA256SUMS and of every file inside `attestations/`, by path. Raises
    nothing for bad content: that is a report with the verdict `failed`.
    """
    names = checked("attestation-names", lambda: _refuse_names(digests, files))
    if names.status == "failed":
        return AttestationReport("failed", (names,))
    examined = [
        examine(path, files[path], policy) for path in sorted(files) if path not in (SUMS, LEDGER_PROOF)
    ]
    attestations = {item.path: item for _, item in examined if item is not None}
    checks = [
        names,
        checked("checksums", lambda: _refuse_sums(digests, files)),
        *(check for checks, _ in examined for check in checks),
        *without_timestamp(attestations.values()),
    ]
    if len(attestations) < len(examined):
        return AttestationReport("failed", tuple(checks))
    return _check_statements(Evidence(digests, attestations, policy, now), checks)


def _check_statements(evidence: Evidence, checks: list[Check]) -> AttestationReport:
    try:
        statements = read_statements(evidence)
        refuse_disagreement(evidence, statements)
    except EvalctlError as error:
        return AttestationReport("failed", (*checks, failed("agreement", error)))
    if None in (statements.provenance, statements.result, statements.lock):
        checks.append(Check("agreement", "skipped", "a statement by an unknown key is not read"))
    else:
        checks.append(Check("agreement", "ok", "the statements are about these files and about one attempt"))
    reproductions = [check_reproduction(path, evidence, statements) for path in reproductions_in(evidence)]
    checks.extend(check for check, _ in reproductions)
    trust = _check_trust(evidence, statements)
    tampered = any(check.status == "failed" for check in checks)
    read = None not in (statements.provenance, statements.result, statements.lock)
    trusted = read and all(check.status == "ok" for check in trust)
    return AttestationReport(
        verdict="failed" if tampered else "verified" if trusted else "untrusted",
        checks=(*checks, *trust),
        signers=tuple(
            sorted(evidence.signers(PROVENANCE_ATTESTATION) & evidence.signers(RESULT_ATTESTATION))
        ),
        unknown=_unknown(evidence),
        maker=evidence.attestations[PROVENANCE_ATTESTATION].signer,
        provenance=statements.provenance,
        result=statements.result,
        lock=statements.lock,
        reproductions=once(counted for _, counted in reproductions if counted is not None),
    )


def _refuse_names(digests: Mapping[str, str], files: Mapping[str, bytes]) -> None:
    for path in digests:
        if not is_bundle_file(path) or is_attestation(path):
            raise CheckFailedError(f"{path!a} is no file that a bundle may hold", code="extra-file")
    for path in files:
        if path != SUMS and not is_attestation(path):
            raise CheckFailedError(f"{path!a} is no attestation", code="extra-file")
    refuse_many_attestations(len(files) - 1)
    refuse_missing([*(digests.keys() - {SUMS}), *files])
    if SUMS not in digests:
        raise CheckFailedError(f"`{SUMS}` has no digest", code="missing-file")
    for path in files:
        signed = split_co_signature(path)
        if signed and signed[0] not in files:
            raise CheckFailedError(f"`{path}` co-signs what is not there", code="missing-file")


def _refuse_sums(digests: Mapping[str, str], files: Mapping[str, bytes]) -> None:
    if sha256_hex(files[SUMS]) != digests[SUMS]:
        raise CheckFailedError(f"`{SUMS}` changed while it was read", code="changed-file")
    check_sums(files[SUMS], digests)


def _check_trust(evidence: Evidence, statements: Statements) -> list[Check]:
    builder = statements.provenance.builder.id if statements.provenance else None
    made_at = statements.result.evaluated_at if statements.result else None
    claims = {
        "trust:provenance": evidence.claim(
            "result", PROVENANCE_ATTESTATION, PROVENANCE_TYPE, builder, made_at
        ),
        "trust:result": evidence.claim("result", RESULT_ATTESTATION, RESULT_TYPE, builder, made_at),
        "trust:lock": evidence.claim("lock", LOCK_ATTESTATION, lock_type(evidence)),
    }
    decisions = {name: evidence.decide(claim) for name, claim in claims.items()}
    unknown = _unknown(evidence)
    stranger = f"; signed by {', '.join(unknown)}" if unknown else ""
    return [
        Check(name, "ok", decision.reason)
        if decision.allowed
        else Check(name, "failed", decision.reason + stranger, wants_signers=decision.wants_signers)
        for name, decision in decisions.items()
    ]


def _unknown(evidence: Evidence) -> tuple[str, ...]:
    """Return the signers of the three statements that the policy does not know."""
    signed = (evidence.attestations[path] for path in REQUIRED_ATTESTATIONS)
    return tuple(sorted({item.signer for item in signed if item.statement is None}))
