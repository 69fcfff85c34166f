"""Open one attestation: its structure, then its signature, and only then what it states."""

from collections.abc import Iterable

from launcher.errors import CheckFailedError, EvalctlError
from launcher.spec.bundle import (
    ATTESTATIONS,
    MAX_ATTESTATION_BYTES,
    MAX_ENVELOPE_VALUES,
    MAX_STATEMENT_VALUES,
    split_co_signature,
)
from launcher.spec.statement import Statement
from launcher.trust.checks import Check, failed
from launcher.trust.dsse import Envelope, verify_envelope
from launcher.trust.evidence import Attestation
from launcher.trust.keys import fingerprint_hex
from launcher.trust.policy import Policy
from launcher.trust.sigstore import open_envelope
from launcher.trust.timestamps import check_timestamp


def examine(path: str, data: bytes, policy: Policy) -> tuple[tuple[Check, ...], Attestation | None]:
    """Open one attestation, check its signature and its timestamp; it is None where that fails."""
    what = _short(path)
    name = f"signature:{what}"
    try:
        envelope = _open(path, data)
        key = policy.key_for(envelope.keyid)
        if key is None:
            detail = f"made by {envelope.keyid}, which the trust policy does not know"
            return (Check(name, "skipped", detail),), Attestation(path, envelope, None)
        _refuse_values(envelope.payload, MAX_STATEMENT_VALUES)
        statement = Statement.from_json(verify_envelope(envelope, key.public))
    except EvalctlError as error:
        return (failed(name, error),), None
    signed = Check(name, "ok", f"{envelope.keyid} ({key.name})")
    if envelope.timestamp is None:
        return (signed,), Attestation(path, envelope, statement)
    stamp, time = check_timestamp(
        f"timestamp:{what}", envelope.timestamp, envelope.signature, policy.authorities
    )
    return (signed, stamp), None if stamp.status == "failed" else Attestation(path, envelope, statement, time)


def without_timestamp(attestations: Iterable[Attestation]) -> tuple[Check, ...]:
    """Say for which signatures of known keys nobody else vouches for the time, if there are any."""
    signed = [item for item in attestations if item.statement is not None]
    bare = [_short(item.path) for item in signed if item.envelope.timestamp is None]
    if not bare:
        return ()
    which = "none" if len(bare) == len(signed) else f"none of {', '.join(bare)}"
    return (Check("timestamps", "ok", f"{which}: when it was signed, only the signer says"),)


def _short(path: str) -> str:
    return path.removeprefix(ATTESTATIONS + "/").removesuffix(".sigstore.json")


def _open(path: str, data: bytes) -> Envelope:
    if len(data) > MAX_ATTESTATION_BYTES:
        raise CheckFailedError(f"it has more than {MAX_ATTESTATION_BYTES} bytes", code="bad-attestation")
    _refuse_values(data, MAX_ENVELOPE_VALUES)
    envelope = open_envelope(data)
    signed = split_co_signature(path)
    if signed and fingerprint_hex(envelope.keyid) != signed[1]:
        raise CheckFailedError("its name and its keyid name different keys", code="wrong-key")
    return envelope


def _refuse_values(data: bytes, limit: int) -> None:
    """Raise `CheckFailedError` for JSON of more values than anybody writes: each takes far more memory."""
    if sum(map(data.count, (b",", b"[", b"{"))) > limit:
        raise CheckFailedError(f"it holds more than {limit} values", code="bad-attestation")
