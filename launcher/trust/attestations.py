"""Check a bundle's attestations against its files and a trust policy: the core of `verify`, without a disk.

Order matters: structure, then signatures by keys the policy knows, and only then is a payload parsed. What
the policy does not know is never parsed and never counted. Tampering (`failed`) outranks missing trust
(`untrusted`), so that a changed byte is never mistaken for a stranger.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Literal

from msgspec import Struct

from launcher.digest import sha256_hex
from launcher.errors import CheckFailedError, EvalctlError
from launcher.spec.bundle import (
    ATTESTATIONS,
    LEDGER_PROOF,
    LOCK_ATTESTATION,
    MAX_ATTESTATION_BYTES,
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
    BUILD_TYPE,
    IMPORTED_TYPE,
    LOCK_TYPE,
    PROVENANCE_TYPE,
    REPRODUCTION_TYPE,
    RESULT_TYPE,
    EvaluationResult,
    LockStatement,
    Provenance,
)
from launcher.spec.reproduction import Reproduction
from launcher.spec.statement import Statement
from launcher.trust.checks import Check, checked, failed
from launcher.trust.dsse import Envelope, verify_envelope
from launcher.trust.evidence import Attestation, Evidence, base_of, disagreement, signed_predicate
from launcher.trust.keys import fingerprint_hex
from launcher.trust.policy import Claim, Policy
from launcher.trust.sigstore import open_envelope


class CountedReproduction(Struct, frozen=True):
    """A reproduction signed by a key trusted for it; `independent`: by another key than the result's."""

    signer: str
    independent: bool
    statement: Reproduction


class AttestationReport(Struct, frozen=True):
    """What the attestations are worth; signers are fingerprints whose signatures hold.

    The statements are None where the policy does not know who signed them; `unknown` are the fingerprints
    it would have to know. Nothing but the checks is filled in once a bundle is malformed.
    """

    verdict: Literal["verified", "failed", "untrusted"]
    checks: tuple[Check, ...]
    signers: tuple[str, ...] = ()
    lock_signers: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    provenance: Provenance | None = None
    result: EvaluationResult | None = None
    lock: LockStatement | ImportStatement | None = None
    reproductions: tuple[CountedReproduction, ...] = ()

    @property
    def invocation_id(self) -> str | None:
        """Return the attempt that made the bundle, once it is known who says so."""
        return self.provenance.invocation_id if self.provenance else None

    @property
    def hint(self) -> str | None:
        """Say what to do about signers that the policy does not know."""
        if not self.unknown:
            return None
        return (
            f"if you know and trust who holds {' and '.join(self.unknown)}, get that public key from them "
            "and type `evalctl trust add NAME.pub`"
        )


class _Contents(Struct, frozen=True):
    provenance: Provenance | None
    result: EvaluationResult | None
    lock: LockStatement | ImportStatement | None


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
        _examine(path, files[path], policy) for path in sorted(files) if path not in (SUMS, LEDGER_PROOF)
    ]
    attestations = {item.path: item for _, item in examined if item is not None}
    checks = [
        names,
        checked("checksums", lambda: _refuse_sums(digests, files)),
        *(check for check, _ in examined),
    ]
    if LEDGER_PROOF in files:
        checks.append(Check("ledger-proof", "skipped", "this version does not check ledger proofs"))
    if len(attestations) < len(examined):
        return AttestationReport("failed", tuple(checks))
    return _check_contents(Evidence(digests, attestations, policy, now), checks)


def _check_contents(evidence: Evidence, checks: list[Check]) -> AttestationReport:
    try:
        contents = _read_contents(evidence)
        _refuse_disagreement(evidence, contents)
    except EvalctlError as error:
        return AttestationReport("failed", (*checks, failed("agreement", error)))
    if None in (contents.provenance, contents.result, contents.lock):
        checks.append(Check("agreement", "skipped", "a statement by an unknown key is not read"))
    else:
        checks.append(Check("agreement", "ok", "the statements are about these files and about one attempt"))
    reproductions = [_check_reproduction(path, evidence, contents) for path in _reproductions(evidence)]
    checks.extend(check for check, _ in reproductions)
    trust = _check_trust(evidence, contents)
    tampered = any(check.status == "failed" for check in checks)
    trusted = all(check.status == "ok" for check in trust)
    return AttestationReport(
        verdict="failed" if tampered else "verified" if trusted else "untrusted",
        checks=(*checks, *trust),
        signers=tuple(
            sorted(evidence.signers(PROVENANCE_ATTESTATION) & evidence.signers(RESULT_ATTESTATION))
        ),
        lock_signers=tuple(sorted(evidence.signers(LOCK_ATTESTATION))),
        unknown=_unknown(evidence),
        provenance=contents.provenance,
        result=contents.result,
        lock=contents.lock,
        reproductions=_once(counted for _, counted in reproductions if counted is not None),
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


def _examine(path: str, data: bytes, policy: Policy) -> tuple[Check, Attestation | None]:
    """Open one attestation and check its signature; it is None where that fails."""
    name = f"signature:{path.removeprefix(ATTESTATIONS + '/').removesuffix('.sigstore.json')}"
    try:
        envelope = _open(path, data)
        key = policy.key_for(envelope.keyid)
        if key is None:
            detail = f"made by {envelope.keyid}, which the trust policy does not know"
            return Check(name, "skipped", detail), Attestation(path, envelope, None)
        statement = Statement.from_json(verify_envelope(envelope, key.public))
    except EvalctlError as error:
        return failed(name, error), None
    return Check(name, "ok", f"{envelope.keyid} ({key.name})"), Attestation(path, envelope, statement)


def _open(path: str, data: bytes) -> Envelope:
    if len(data) > MAX_ATTESTATION_BYTES:
        raise CheckFailedError(f"it has more than {MAX_ATTESTATION_BYTES} bytes", code="bad-attestation")
    envelope = open_envelope(data)
    signed = split_co_signature(path)
    if signed and fingerprint_hex(envelope.keyid) != signed[1]:
        raise CheckFailedError("its name and its keyid name different keys", code="wrong-key")
    return envelope


def _read_contents(evidence: Evidence) -> _Contents:
    """Read the three statements that always exist, each only under the type its file name promises."""
    provenance = signed_predicate(evidence, PROVENANCE_ATTESTATION, PROVENANCE_TYPE)
    result = signed_predicate(evidence, RESULT_ATTESTATION, RESULT_TYPE)
    lock_type = _lock_type(evidence)
    lock = signed_predicate(evidence, LOCK_ATTESTATION, lock_type)
    reader = ImportStatement if lock_type == IMPORTED_TYPE else LockStatement
    return _Contents(
        None if provenance is None else Provenance.from_json(provenance),
        None if result is None else EvaluationResult.from_json(result),
        None if lock is None else reader.from_json(lock),
    )


def _lock_type(evidence: Evidence) -> str:
    """Return the type under which the statement about `lock.json` is read: an import says that it is one."""
    statement = evidence.attestations[LOCK_ATTESTATION].statement
    return IMPORTED_TYPE if statement and statement.predicate_type == IMPORTED_TYPE else LOCK_TYPE


def _refuse_disagreement(evidence: Evidence, contents: _Contents) -> None:
    """Raise unless the statements that could be read are by one signer about one attempt of one lock."""
    first, second = (evidence.attestations[path] for path in (PROVENANCE_ATTESTATION, RESULT_ATTESTATION))
    if first.signer != second.signer:
        raise disagreement("provenance and result are signed by different keys")
    for item in evidence.attestations.values():
        base = evidence.attestations[base_of(item.path)]
        if item.envelope.payload != base.envelope.payload:
            raise disagreement(f"`{item.path}` signs another payload than `{base.path}`")
    provenance, result, lock = contents.provenance, contents.result, contents.lock
    if provenance and result:
        _same("invocation", provenance.invocation_id, result.invocation_id)
        _same("builder", provenance.builder, result.verifier)
        _same("lock", provenance.lock, result.lock)
        _same("blueprint", provenance.suite, result.suite)
        _same("origin", provenance.build_type == BUILD_TYPE, result.origin is None)
    if provenance and lock:
        _same("lock", provenance.lock, lock.lock)
        _same("blueprint", provenance.suite, lock.suite)
        _same("origin", provenance.build_type == BUILD_TYPE, isinstance(lock, LockStatement))


def _same(what: str, left: object, right: object) -> None:
    if left != right:
        raise disagreement(f"the signed statements name different values for the {what}")


def _check_trust(evidence: Evidence, contents: _Contents) -> list[Check]:
    builder = contents.provenance.builder.id if contents.provenance else None
    decisions = {
        "trust:provenance": evidence.decide("result", PROVENANCE_ATTESTATION, PROVENANCE_TYPE, builder),
        "trust:result": evidence.decide("result", RESULT_ATTESTATION, RESULT_TYPE, builder),
        "trust:lock": evidence.decide("lock", LOCK_ATTESTATION, _lock_type(evidence), None),
    }
    unknown = _unknown(evidence)
    stranger = f"; signed by {', '.join(unknown)}" if unknown else ""
    return [
        Check(name, "ok", decision.reason)
        if decision.allowed
        else Check(name, "failed", decision.reason + stranger)
        for name, decision in decisions.items()
    ]


def _unknown(evidence: Evidence) -> tuple[str, ...]:
    """Return the signers of the three statements that the policy does not know."""
    signed = (evidence.attestations[path] for path in REQUIRED_ATTESTATIONS)
    return tuple(sorted({item.signer for item in signed if item.statement is None}))


def _reproductions(evidence: Evidence) -> list[str]:
    bases = {base_of(path) for path in evidence.attestations}
    return sorted(bases.difference(REQUIRED_ATTESTATIONS))


def _check_reproduction(
    path: str, evidence: Evidence, contents: _Contents
) -> tuple[Check, CountedReproduction | None]:
    name = path.removeprefix(ATTESTATIONS + "/").removesuffix(".sigstore.json")
    signer = evidence.attestations[path].signer
    try:
        predicate = signed_predicate(evidence, path, REPRODUCTION_TYPE)
        if predicate is None:
            return Check(name, "skipped", f"signed by the unknown key {signer}: not counted"), None
        reproduction = Reproduction.from_json(predicate)
        _refuse_other_original(reproduction, evidence, contents)
    except EvalctlError as error:
        return failed(name, error), None
    decision = evidence.decide("reproduction", path, REPRODUCTION_TYPE, reproduction.verifier.id)
    if not decision.allowed:
        return Check(name, "skipped", f"not counted: {decision.reason}"), None
    if reproduction.scope != "full":
        detail = f"{reproduction.scope}, {reproduction.verdict}, by {signer}: not counted as a reproduction"
        return Check(name, "ok", detail), None
    independent = _is_independent(path, evidence, reproduction)
    return Check(name, "ok", decision.reason), CountedReproduction(signer, independent, reproduction)


def _is_independent(path: str, evidence: Evidence, reproduction: Reproduction) -> bool:
    """Say whether it would count without the signatures of those who signed the original's result."""
    others = evidence.signers(path) - evidence.signers(RESULT_ATTESTATION)
    claim = Claim("reproduction", others, REPRODUCTION_TYPE, reproduction.verifier.id)
    return evidence.policy.decide(claim, evidence.now).allowed


def _once(counted: Iterable[CountedReproduction]) -> tuple[CountedReproduction, ...]:
    """Count once what one key said of one outcome: anybody can copy a statement under another name."""
    return tuple({(item.signer, item.statement.reproduced): item for item in counted}.values())


def _refuse_other_original(reproduction: Reproduction, evidence: Evidence, contents: _Contents) -> None:
    digest = "sha256:" + evidence.digests[SUMS]
    if reproduction.original != digest:
        raise disagreement("the reproduction is of another bundle")
    if reproduction.reproduced == digest:
        raise disagreement("the reproduction names the original as its own outcome")
    if contents.provenance and reproduction.lock != contents.provenance.lock:
        raise disagreement("the reproduction launched another lock")
    claims = {claim.metric: claim.value for claim in contents.result.claims} if contents.result else None
    for metric in reproduction.metrics:
        if claims is not None and (metric.name not in claims or claims[metric.name] != metric.original):
            raise disagreement("the reproduction compares with other figures than the original's")
