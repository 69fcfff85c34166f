"""Count the reproductions attached to a bundle: whose they are, and which of them are independent."""

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from launcher.errors import EvalctlError
from launcher.spec.bundle import ATTESTATIONS, REQUIRED_ATTESTATIONS, RESULT_ATTESTATION, SUMS
from launcher.spec.predicates import REPRODUCTION_TYPE
from launcher.spec.reproduction import Reproduction
from launcher.trust.agreement import Statements
from launcher.trust.checks import Check, failed
from launcher.trust.evidence import Evidence, base_of, disagreement, signed_predicate
from launcher.trust.policy import Claim, Decision


class CountedReproduction(Struct, frozen=True):
    """A reproduction signed by a key trusted for it, and what the policy calls that key.

    `independent`: another key than the one that made the original ran it, and it counts without that one.
    """

    signer: str
    independent: bool
    statement: Reproduction
    name: str = ""


def reproductions_in(evidence: Evidence) -> list[str]:
    """Return the paths of the reproductions, without their co-signatures."""
    bases = {base_of(path) for path in evidence.attestations}
    return sorted(bases.difference(REQUIRED_ATTESTATIONS))


def check_reproduction(
    path: str, evidence: Evidence, statements: Statements
) -> tuple[Check, CountedReproduction | None]:
    """Return how the reproduction at `path` stands, and itself where it counts."""
    name = path.removeprefix(ATTESTATIONS + "/").removesuffix(".sigstore.json")
    signer = evidence.attestations[path].signer
    try:
        predicate = signed_predicate(evidence, path, REPRODUCTION_TYPE)
        # A co-signer of the statement ran nothing.
        if predicate is None or evidence.attestations[path].statement is None:
            return Check(name, "skipped", f"signed by the unknown key {signer}: not counted"), None
        reproduction = Reproduction.from_json(predicate)
        _refuse_other_original(reproduction, evidence, statements)
    except EvalctlError as error:
        return failed(name, error), None
    claim = evidence.claim(
        "reproduction", path, REPRODUCTION_TYPE, reproduction.verifier.id, reproduction.evaluated_at
    )
    decision = evidence.decide(claim)
    if refusal := _refusal(decision, claim, signer, evidence):
        few = decision.wants_signers and bool(decision.counted)
        return Check(name, "skipped", f"not counted: {refusal}", wants_signers=few), None
    if reproduction.scope != "full":
        detail = f"{reproduction.scope}, {reproduction.verdict}, by {signer}: not counted as a reproduction"
        return Check(name, "ok", detail), None
    makers = _makers(evidence)
    others = evidence.decide(replace(claim, signers=claim.signers - makers))
    independent = signer not in makers and others.allowed
    key = evidence.policy.key_for(signer)
    counted = CountedReproduction(signer, independent, reproduction, key.name if key else "")
    return Check(name, "ok", decision.reason), counted


def _refusal(decision: Decision, claim: Claim, signer: str, evidence: Evidence) -> str | None:
    """Say why the reproduction does not count, or return None: whoever ran it is among those who count.

    Else one key that counts could lend its word to any number of keys that do not.
    """
    key = evidence.policy.key_for(signer)
    if decision.allowed and key is not None and key.name in decision.counted:
        return None
    if not decision.allowed:
        return decision.reason
    alone = evidence.decide(replace(claim, signers=frozenset([signer])))
    return f"{alone.reason}; whoever co-signed it ran nothing"


def _makers(evidence: Evidence) -> frozenset[str]:
    """Return the keys that may have made the original.

    Whoever only co-signed it ran nothing, so that key's own run is one more; but where nobody knows the key
    that made it, any of the co-signers may hold that key as well.
    """
    made = evidence.attestations[RESULT_ATTESTATION]
    return frozenset([made.signer]) if made.statement else evidence.signers(RESULT_ATTESTATION)


def once(counted: Iterable[CountedReproduction]) -> tuple[CountedReproduction, ...]:
    """Count once what one key said of one outcome: anybody can copy a statement under another name."""
    return tuple({_said(item): item for item in counted}.values())


def _said(item: CountedReproduction) -> tuple[str, str, str]:
    return item.signer, item.statement.reproduced, item.statement.verdict


def _refuse_other_original(reproduction: Reproduction, evidence: Evidence, statements: Statements) -> None:
    digest = "sha256:" + evidence.digests[SUMS]
    if reproduction.original != digest:
        raise disagreement("the reproduction is of another bundle")
    if reproduction.reproduced == digest:
        raise disagreement("the reproduction names the original as its own outcome")
    if statements.provenance and reproduction.lock != statements.provenance.lock:
        raise disagreement("the reproduction launched another lock")
    claims = {claim.metric: claim.value for claim in statements.result.claims} if statements.result else None
    for metric in reproduction.metrics:
        if claims is not None and (metric.name not in claims or claims[metric.name] != metric.original):
            raise disagreement("the reproduction compares with other figures than the original's")
