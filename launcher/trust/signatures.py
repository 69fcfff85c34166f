"""Open one attestation: its structure, then its signature, and only then what it states."""

from launcher.errors import CheckFailedError, EvalctlError
from launcher.spec.bundle import ATTESTATIONS, MAX_ATTESTATION_BYTES, split_co_signature
from launcher.spec.statement import Statement
from launcher.trust.checks import Check, failed
from launcher.trust.dsse import Envelope, verify_envelope
from launcher.trust.evidence import Attestation
from launcher.trust.keys import fingerprint_hex
from launcher.trust.policy import Policy
from launcher.trust.sigstore import open_envelope


def examine(path: str, data: bytes, policy: Policy) -> tuple[Check, Attestation | None]:
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
