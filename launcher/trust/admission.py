"""Whether a lock that came with a signature may be launched under it."""

from datetime import datetime

from launcher.errors import CheckFailedError, TrustError
from launcher.spec.bundle import LOCK
from launcher.spec.predicates import LOCK_TYPE, LockStatement
from launcher.spec.statement import Statement
from launcher.trust.dsse import Envelope, verify_envelope
from launcher.trust.policy import Claim, Policy
from launcher.trust.sigstore import open_envelope
from launcher.trust.timestamps import check_timestamp


def admit_lock(lock: tuple[str, str], attestation: bytes, policy: Policy, now: datetime) -> None:
    """Check that `attestation` is a signature of this lock by somebody who may sign locks.

    `lock` is the hex SHA-256 of the lock's bytes and the run's identity. Raises `CheckFailedError` for a bad
    signature or another lock's, `TrustError` for a signer whom `policy` does not allow.
    """
    sha256, identity = lock
    envelope = open_envelope(attestation)
    key = policy.key_for(envelope.keyid)
    if key is None:
        raise _untrusted(f"it is signed by {envelope.keyid}, whom this machine does not know")
    statement = Statement.from_json(verify_envelope(envelope, key.public))
    if statement.predicate_type != LOCK_TYPE or statement.subjects != ((LOCK, sha256),):
        raise CheckFailedError("the signature beside the lock is about something else", code="disagreement")
    if LockStatement.from_json(statement.predicate).lock != identity:
        raise CheckFailedError("the signature beside the lock names another run", code="disagreement")
    claim = Claim("lock", frozenset([envelope.keyid]), LOCK_TYPE, signed_at=_proven_times(envelope, policy))
    decision = policy.decide(claim, now)
    if not decision.allowed:
        raise _untrusted(decision.reason)


def _proven_times(envelope: Envelope, policy: Policy) -> dict[str, datetime]:
    """Return when an authority saw the signature, by its key; raises `CheckFailedError` for a false stamp."""
    if envelope.timestamp is None:
        return {}
    check, time = check_timestamp("timestamp", envelope.timestamp, envelope.signature, policy.authorities)
    if check.status == "failed":
        raise CheckFailedError(
            "the timestamp of the signature beside the lock does not hold",
            code="bad-timestamp",
            context=check.detail,
        )
    return {} if time is None else {envelope.keyid: time}


def _untrusted(reason: str) -> TrustError:
    return TrustError(
        "the signature beside the lock is not one that this machine trusts",
        code="lock-not-trusted",
        context=reason,
        hint="`evalctl trust add NAME.pub`, or move the signature away to launch under your own key",
    )
