"""Check the proof that a bundle's attempt stands in a ledger: what it shows offline, and no more."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from launcher.errors import CheckFailedError, EvalctlError
from launcher.ledger.checkpoint import check_signature, cosigners, named_key, short_origin
from launcher.ledger.looks import looks_under, pin_of
from launcher.ledger.proof import Proof, read_proof
from launcher.spec import bundle
from launcher.spec.lock import pins_from
from launcher.trust.attestations import AttestationReport
from launcher.trust.checks import Check, failed
from launcher.trust.ledgers import PinnedLedger
from launcher.trust.policy import Policy
from launcher.verify.contents import Contents
from launcher.verify.redacted import Original

NAME = "ledger-proof"


def check_proof(
    data: bytes | None, digest: str, report: AttestationReport, policy: Policy
) -> tuple[Proof | None, Check]:
    """Return what the proof file of the bundle with this digest says (None: nothing), and how it stands.

    Whoever signed the bundle says which ledger counted it: a proof from another one shows nothing.
    """
    if data is None:
        return None, Check(NAME, "skipped", _absent(report))
    try:
        proof = read_proof(data)
        _refuse_strange(proof)
        if proof.outcome.bundle != digest:
            raise _disagreement("bundle", proof.outcome.bundle, digest)
        _compare_statements(proof, report)
        said = _in_words(proof, policy)
    except EvalctlError as error:
        return None, failed(NAME, error)
    if report.provenance is None:
        return proof, Check(NAME, "skipped", f"{said}; nobody trusted says that it is the right ledger")
    return proof, Check(NAME, "ok", said)


def check_pins(proof: Proof | None, report: AttestationReport, policy: Policy) -> list[Check]:
    """Return whether the proof (None: none that holds) is what the policy demands of these signers.

    A key with a `ledger` counts only with that one's proof, a pinned ledger only with its witnesses.
    """
    keys = (policy.key_for(signer) for signer in report.signers)
    demanded = {key.ledger: key.name for key in keys if key and key.ledger}
    pin = None if proof is None else pin_of(proof.checkpoint, policy)
    if not demanded and pin is None:
        return []
    name = "trust:ledger"
    for ledger, signer in demanded.items():
        if pin is None or pin.name != ledger:
            said = "there is no proof of it" if proof is None else "the proof is another ledger's"
            return [Check(name, "failed", f"`{signer}` counts attempts in the ledger `{ledger}`: {said}")]
    if pin and proof and (lacking := _lacking(proof, pin)):
        return [Check(name, "failed", f"not co-signed by {', '.join(lacking)}")]
    return [Check(name, "ok", f"pinned as `{pin.name}`")] if pin else []


def _lacking(proof: Proof, pin: PinnedLedger) -> list[str]:
    """Return the names of the pinned ledger's witnesses that did not co-sign."""
    signed = cosigners(proof.checkpoint, pin.witnesses)
    return [short_origin(key.name) for key in pin.witnesses if key not in signed]


def check_original_proof(
    kept: Mapping[str, bytes], original: Original, policy: Policy
) -> tuple[Proof | None, Check]:
    """Return what `check_proof` does for the bundle that a redacted one was made of."""
    proofs = {bundle.from_original(path): data for path, data in kept.items()}
    digest = f"sha256:{original.digests[bundle.SUMS]}"
    proof, check = check_proof(proofs.get(bundle.LEDGER_PROOF), digest, original.report, policy)
    return proof, replace(check, name=f"original:{check.name}")


def _in_words(proof: Proof, policy: Policy) -> str:
    """Say what a proof shows of an attempt: of how many it is one, only the ledger itself can tell."""
    ledger = short_origin(proof.checkpoint.origin)
    looks = looks_under(proof.checkpoint, policy)
    return f"attempt {proof.attempt.position}, recorded in ledger {ledger} ({looks.in_words})"


def compare_attempt(proof: Proof, contents: Contents) -> None:
    """Raise `CheckFailedError` unless the ledger recorded the attempt for what the bundle says it is."""
    attempt, blueprint = proof.attempt, contents.blueprint
    pins = pins_from(contents.lock.identity)
    data = {pins.inputs[item.name].sha256 for item in blueprint.inputs if item.kind == "data"}
    metrics: dict[str, tuple[str, ...]] = {}
    for metric in blueprint.metrics:
        metrics[metric.definition] = (*metrics.get(metric.definition, ()), metric.name)
    _same("attempt's number", attempt.attempt, contents.result.attempt)
    _same("data", attempt.data, tuple(sorted(data)))
    _same("metrics", dict(attempt.metrics), metrics)
    _same("attempt's marks", attempt.marks, pins.marks)


def _refuse_strange(proof: Proof) -> None:
    key = named_key(proof.checkpoint.origin)
    if key is None:
        raise CheckFailedError("the ledger's origin does not name its key", code="bad-ledger-proof")
    check_signature(proof.checkpoint, key)
    cosigners(proof.checkpoint)


def _compare_statements(proof: Proof, report: AttestationReport) -> None:
    attempt, outcome = proof.attempt, proof.outcome
    if report.provenance is not None:
        named = report.provenance.internal
        _same("ledger", proof.checkpoint.origin, named.get("ledger"))
        _same("entry of the attempt", str(outcome.index), named.get("ledgerEntry"))
        _same("lock", attempt.lock, report.provenance.lock)
        _same("blueprint", attempt.suite, report.provenance.suite)
        _same("invocation", attempt.invocation_id, report.provenance.invocation_id)
        _same("signer", attempt.signer, report.maker)
    if report.result is not None:
        _same("status", outcome.status, report.result.status)
        _same("failure", outcome.failure, report.result.failure)
        _same("verdict", outcome.verdict, report.result.verdict)
        _same("marks", outcome.marks, report.result.marks)


def _absent(report: AttestationReport) -> str:
    origin = report.provenance.internal.get("ledger") if report.provenance else None
    if origin is None:
        return "no ledger is named that counts attempts"
    return f"recorded in ledger {short_origin(origin)}, as the signer says; there is no proof with the bundle"


def _same(what: str, recorded: Any, said: Any) -> None:
    if recorded != said:
        raise _disagreement(what, recorded, said)


def _disagreement(what: str, recorded: Any, said: Any) -> CheckFailedError:
    return CheckFailedError(
        f"ledger and bundle name different values for the {what}",
        code="disagreement",
        context=f"the ledger {str(recorded)[:200]!a}, the bundle {str(said)[:200]!a}",
    )
