"""What the attestations of a bundle prove: which statements a known key signed, and about which files."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from launcher.errors import CheckFailedError
from launcher.spec.bundle import LOCK, LOCK_ATTESTATION, REQUIRED_ATTESTATIONS, SUMS, split_co_signature
from launcher.spec.fields import instant
from launcher.spec.roles import Role
from launcher.spec.statement import Statement, bundle_subjects
from launcher.trust.dsse import Envelope
from launcher.trust.policy import Claim, Decision, Policy


class Attestation(Struct, frozen=True):
    """One file: its structure, and its statement if a known key's signature over it holds.

    `signed_at` is a time at which, as a timestamp authority has proven, the signature was there.
    """

    path: str
    envelope: Envelope
    statement: Statement | None
    signed_at: datetime | None = None

    @property
    def signer(self) -> str:
        """The fingerprint that it names."""
        return self.envelope.keyid


class Evidence(Struct, frozen=True):
    """A bundle's digests and attestations, and who judges them when."""

    digests: Mapping[str, str]
    attestations: Mapping[str, Attestation]
    policy: Policy
    now: datetime

    def signatures(self, path: str) -> Iterator[Attestation]:
        """Yield the attestations by known keys over the very payload at `path`, there or co-signed."""
        payload = self.attestations[path].envelope.payload
        for item in self.attestations.values():
            if item.statement and base_of(item.path) == path and item.envelope.payload == payload:
                yield item

    def signers(self, path: str) -> frozenset[str]:
        """Return the known keys that signed the very payload at `path`, there or in a co-signature."""
        return frozenset(item.signer for item in self.signatures(path))

    def statement(self, path: str) -> Statement | None:
        """Return what the payload at `path` states, where any known key signed that very payload."""
        return next((item.statement for item in self.signatures(path)), None)

    def claim(
        self, role: Role, path: str, predicate: str, builder: str | None = None, made_at: str | None = None
    ) -> Claim:
        """Return what the policy is to decide about the attestation at `path`; `made_at` as it is signed."""
        times: dict[str, datetime] = {}
        for item in self.signatures(path):
            if item.signed_at is not None:
                times[item.signer] = min(item.signed_at, times.get(item.signer, item.signed_at))
        stated = None if made_at is None else instant(made_at)
        return Claim(role, self.signers(path), predicate, builder, times, stated)

    def decide(self, claim: Claim) -> Decision:
        """Ask the policy about a claim."""
        return self.policy.decide(claim, self.now)


def signed_predicate(evidence: Evidence, path: str, predicate_type: str) -> Mapping[str, Any] | None:
    """Return what is signed at `path`, None where no known key signed it.

    Raises `CheckFailedError` where it is of another type, or about other files than the bundle's.
    """
    statement = evidence.statement(path)
    if statement is None:
        return None
    if statement.predicate_type != predicate_type:
        raise disagreement(f"`{path}` holds `{statement.predicate_type}`, not `{predicate_type}`")
    if path == LOCK_ATTESTATION:
        expected: tuple[tuple[str, str], ...] = ((LOCK, evidence.digests[LOCK]),)
    elif path in REQUIRED_ATTESTATIONS:
        expected = bundle_subjects(evidence.digests)
    else:
        expected = ((SUMS, evidence.digests[SUMS]),)
    if statement.subjects != expected:
        raise disagreement(f"`{path}` is about other files: {_difference(statement.subjects, expected)}")
    return statement.predicate


def _difference(signed: tuple[tuple[str, str], ...], found: tuple[tuple[str, str], ...]) -> str:
    name, _ = min(set(signed) ^ set(found))
    if name not in dict(signed):
        return f"`{name}` is not signed"
    if name not in dict(found):
        return f"{name!a} is signed but not there"
    return f"`{name}` was changed"


def base_of(path: str) -> str:
    """Return the attestation that the one at `path` co-signs, or `path` itself."""
    signed = split_co_signature(path)
    return signed[0] if signed else path


def disagreement(message: str) -> CheckFailedError:
    """Return the error for statements that do not fit the files or each other."""
    return CheckFailedError(message, code="disagreement")
