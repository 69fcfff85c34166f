"""Signed policies: whose signatures a `trust.toml` needs, and which one may follow which.

A policy with `[rules.root]` counts only when its own root keys signed its very bytes. What takes its place
has a higher version and is signed by the root keys of both, as The Update Framework does with its root
(https://theupdateframework.github.io/specification/latest/#update-root); nothing unsigned takes its place.
The statement follows from the file's bytes alone, so that no payload is ever parsed.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from launcher.digest import sha256_hex
from launcher.errors import TrustError
from launcher.spec.predicates import PREFIX
from launcher.spec.statement import Statement
from launcher.trust.dsse import PAYLOAD_TYPE, Envelope, pae, statement_bytes
from launcher.trust.policy import Claim, Policy, refuse_rollback

POLICY_TYPE: Final = PREFIX + "trust-policy/v1"
# The subject's name wherever the file lies: the statement is about its bytes.
POLICY_SUBJECT: Final = "trust.toml"
_SIGN = "see what it lacks with `evalctl trust show`; a root key signs it with `evalctl trust sign`"


class OfferedPolicy(Struct, frozen=True):
    """A policy as it was found: its bytes, what they say, and the signatures that lie beside them."""

    data: bytes
    policy: Policy
    envelopes: tuple[Envelope, ...] = ()

    @property
    def digest(self) -> str:
        """Return the digest of the file."""
        return "sha256:" + sha256_hex(self.data)

    @property
    def is_signed(self) -> bool:
        """Say whether it counts only when it is signed."""
        return "root" in self.policy.rules

    @property
    def payload(self) -> bytes:
        """Return the bytes that its root keys sign."""
        subjects = ((POLICY_SUBJECT, sha256_hex(self.data)),)
        predicate = {"version": str(self.policy.version)}
        return statement_bytes(Statement(subjects, POLICY_TYPE, predicate).as_json())

    def signers(self, *judges: Policy) -> frozenset[str]:
        """Return the fingerprints of the keys, known to `judges`, whose signatures over it hold."""
        payload = self.payload
        signed = pae(PAYLOAD_TYPE, payload)
        known = {key.public.fingerprint: key.public for judge in judges for key in judge.keys.values()}
        return frozenset(
            envelope.keyid
            for envelope in self.envelopes
            if envelope.payload == payload
            and envelope.keyid in known
            and known[envelope.keyid].is_signature_of(signed, envelope.signature)
        )


def lacking(offered: OfferedPolicy, seen: Policy | None, now: datetime) -> tuple[str, ...]:
    """Return what `offered` lacks to count, in words: its own root's signatures, and those of `seen`."""
    judges = [judge for judge in (seen, offered.policy) if judge is not None and "root" in judge.rules]
    signers = offered.signers(*judges)
    return tuple(reason for judge in judges if (reason := _lacking(judge, signers, now)))


def _lacking(judge: Policy, signers: frozenset[str], now: datetime) -> str:
    rule = judge.rules["root"]
    # An expired policy trusts nobody, and still says who may replace it.
    undated = replace(judge, expires=datetime.max.replace(tzinfo=UTC))
    decision = undated.decide(Claim("root", signers, POLICY_TYPE), now)
    if decision.allowed:
        return ""
    others = sorted(name for name in rule.members if judge.keys[name].public.fingerprint not in signers)
    wanted = f"version {judge.version} wants {rule.threshold} of {', '.join(sorted(rule.members))}"
    return f"{wanted}: {', '.join(others)} did not sign" if others else f"{wanted}: {decision.reason}"


def refuse_policy(offered: OfferedPolicy, seen: OfferedPolicy | None, now: datetime) -> None:
    """Raise `TrustError` unless `offered` counts where `seen` is the newest that counted here before."""
    if seen is not None and seen.data != offered.data:
        refuse_rollback(offered.policy, seen.policy.version)
        if seen.is_signed:
            _refuse_replacement(offered, seen)
    before = seen.policy if seen is not None and seen.data != offered.data else None
    if reasons := lacking(offered, before, now):
        raise TrustError(
            f"the trust policy, version {offered.policy.version}, is not signed as it must be",
            code="policy-not-signed",
            context="; ".join(reasons),
            hint=_SIGN,
        )


def _refuse_replacement(offered: OfferedPolicy, seen: OfferedPolicy) -> None:
    if not offered.is_signed:
        raise TrustError(
            "the trust policy was signed before, and this one has no `[rules.root]`",
            code="policy-downgrade",
            context=f"version {seen.policy.version} was signed, version {offered.policy.version} is not",
            hint="ask whoever keeps the policy for the current one",
        )
    if offered.policy.version == seen.policy.version:
        raise TrustError(
            f"there are two trust policies of version {offered.policy.version}",
            code="policy-replaced",
            context=f"{seen.digest} counted here before, this is {offered.digest}",
            hint="ask whoever keeps the policy which of the two is theirs; a change needs a higher version",
        )


def root_signers(*policies: Policy | None) -> frozenset[str]:
    """Return the fingerprints of the keys that the root rules of `policies` name."""
    named: Iterable[tuple[Policy, str]] = (
        (policy, name)
        for policy in policies
        if policy is not None and "root" in policy.rules
        for name in policy.rules["root"].members
    )
    return frozenset(policy.keys[name].public.fingerprint for policy, name in named)
