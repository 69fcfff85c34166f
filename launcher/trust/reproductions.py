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


class CountedReproduction(Struct, frozen=True):
<<<<<<< HEAD
    """A reproduction signed by a key trusted for it.

    `independent`: it would count without the signatures of those who signed the original's result.
=======
    """A reproduction signed by a key trusted for it, and what the policy calls that key.

    `independent`: it counts without the key that made the original.
>>>>>>> db4c323 (Co-sign bundles, attach what others signed)
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
        if predicate is None:
            return Check(name, "skipped", f"signed by the unknown key {signer}: not counted"), None
        reproduction = Reproduction.from_json(predicate)
        _refuse_other_original(reproduction, evidence, statements)
    except EvalctlError as error:
        return failed(name, error), None
    claim = evidence.claim(
        "reproduction", path, REPRODUCTION_TYPE, reproduction.verifier.id, reproduction.evaluated_at
    )
    decision = evidence.decide(claim)
    if not decision.allowed:
        return Check(name, "skipped", f"not counted: {decision.reason}"), None
    if reproduction.scope != "full":
        detail = f"{reproduction.scope}, {reproduction.verdict}, by {signer}: not counted as a reproduction"
        return Check(name, "ok", detail), None
<<<<<<< HEAD
    others = claim.signers - evidence.signers(RESULT_ATTESTATION)
    independent = evidence.decide(replace(claim, signers=others)).allowed
    return Check(name, "ok", decision.reason), CountedReproduction(signer, independent, reproduction)


=======
    independent = _is_independent(path, evidence, reproduction)
    key = evidence.policy.key_for(signer)
    return Check(name, "ok", decision.reason), CountedReproduction(
        signer, independent, reproduction, key.name if key else ""
    )


def _is_independent(path: str, evidence: Evidence, reproduction: Reproduction) -> bool:
    """Say whether it would count without the key that made the original.

    Whoever only co-signed the original ran nothing, so that key's own run is one more.
    """
    others = evidence.signers(path) - {evidence.attestations[RESULT_ATTESTATION].signer}
    claim = Claim("reproduction", others, REPRODUCTION_TYPE, reproduction.verifier.id)
    return evidence.policy.decide(claim, evidence.now).allowed


>>>>>>> db4c323 (Co-sign bundles, attach what others signed)
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
