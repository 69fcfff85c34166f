"""The trust policy as values: which keys there are, and whose word counts for what, until when.

Everything here is a decision over values; the reader of `trust.toml` is `launcher.trust.policy_file`. What no
rule allows is denied, and a policy past its `expires` denies everything.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct, field

from launcher.errors import TrustError
from launcher.spec.roles import BUILT_ROLES, EVIDENCE_ROLES, Revocation, Role
from launcher.spec.units import duration_text, time_text
from launcher.trust.keys import PublicKey
from launcher.trust.ledgers import PinnedLedger
from launcher.trust.timestamps import Authority

# How far a signer's clock may run ahead of ours.
CLOCK_SKEW: Final = timedelta(minutes=5)


class Claim(Struct, frozen=True):
    """What is to be decided: these keys signed the same payload of this type.

    `signers` are fingerprints whose signatures hold; `builder` is None where no builder takes part (a lock).
    `signed_at` maps a fingerprint to the time before which, as a timestamp authority that the policy names
    has proven, its signature existed; `made_at` is the time that the signed payload itself states.
    """

    role: Role
    signers: frozenset[str]
    predicate: str
    builder: str | None = None
    signed_at: Mapping[str, datetime] = field(default_factory=dict)
    made_at: datetime | None = None

    def proven_at(self, fingerprint: str, now: datetime) -> datetime:
        """Return the moment at which a key's validity is judged: what an authority proves, else `now`."""
        return min(self.signed_at.get(fingerprint, now), now)


class TrustedKey(Struct, frozen=True):
    """`[keys.NAME]`: one principal. No `builders` means: whatever it launched on.

    A signature without a proven time counts as made now. `key-compromise` voids every signature, for whoever
    has the key can have signed at any time; `superseded` voids those not proven to be from before
    `revoked_from`.
    """

    name: str
    public: PublicKey
    roles: frozenset[Role]
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    revoked_from: datetime | None = None
    reason: Revocation | None = None
    builders: frozenset[str] = frozenset()
    ledger: str | None = None

    def refusal(self, claim: Claim, now: datetime) -> str | None:
        """Say why this key's signature does not count for `claim` at `now`, or return None."""
        proven = claim.proven_at(self.public.fingerprint, now)
        if standing := self.standing(claim.role, proven):
            return standing
        if self.builders and claim.role in BUILT_ROLES and claim.builder not in self.builders:
            return f"`{self.name}` may not sign for the builder `{claim.builder}`"
        return None

    def standing(self, role: Role, proven: datetime) -> str | None:
        """Say why nothing counts that this key signed as `role` at the `proven` time, or return None."""
        if role not in self.roles:
            return f"`{self.name}` does not have the role `{role}`"
        if self.reason == "key-compromise":
            return f"`{self.name}` is revoked: key-compromise"
        if self.revoked_from is not None and proven >= self.revoked_from:
            return f"`{self.name}` is revoked since {time_text(self.revoked_from)}: {self.reason}"
        if self.valid_from is not None and proven < self.valid_from:
            return f"`{self.name}` is not valid before {time_text(self.valid_from)}"
        if self.valid_until is not None and proven >= self.valid_until:
            return f"`{self.name}` was valid until {time_text(self.valid_until)}"
        return None


class Rule(Struct, frozen=True):
    """`[rules.ROLE]`: how many distinct principals of `members` must sign; empty `predicates`: any type.

    `max_age` is how old the evidence may be, by the time that its signed payload states. An authority's time
    would not do: anybody can have an old signature stamped today, or leave an old stamp away.
    """

    threshold: int
    members: frozenset[str]
    predicates: frozenset[str] = frozenset()
    max_age: timedelta | None = None

    def refusal(self, claim: Claim, now: datetime) -> str | None:
        """Say why nobody's signature could make this rule accept `claim` at `now`, or return None."""
        if self.predicates and claim.predicate not in self.predicates:
            return f"the rule for `{claim.role}` does not allow `{claim.predicate}`"
        if self.max_age is None:
            return None
        if claim.made_at is None:
            return f"the rule for `{claim.role}` bounds its age, and it states no time"
        if claim.made_at > now + CLOCK_SKEW:
            return f"it says that it was made at {time_text(claim.made_at)}, which is yet to come"
        if now - claim.made_at > self.max_age:
            made = time_text(claim.made_at)
            bound = duration_text(int(self.max_age.total_seconds()))
            return f"made at {made}, it is older than the {bound} of the rule for `{claim.role}`"
        return None


class Decision(Struct, frozen=True):
    """Whether the policy accepts a claim, and why (not); `counted` are the names of the keys that count.

    `wants_signers`: it does not, and would with the signatures of more keys that can sign today.
    """

    allowed: bool
    reason: str
    counted: tuple[str, ...] = ()
    wants_signers: bool = False


class Policy(Struct, frozen=True):
    """A whole policy; `version` only ever grows, and after `expires` nothing is trusted."""

    version: int
    expires: datetime
    keys: Mapping[str, TrustedKey]
    rules: Mapping[Role, Rule]
    authorities: Mapping[str, Authority] = field(default_factory=dict)
    ledgers: Mapping[str, PinnedLedger] = field(default_factory=dict)

    def key_for(self, fingerprint: str) -> TrustedKey | None:
        """Return the key with this fingerprint, valid or not."""
        for key in self.keys.values():
            if key.public.fingerprint == fingerprint:
                return key
        return None

    def able(self, role: Role, now: datetime) -> frozenset[str]:
        """Return the names of the keys whose signatures made at `now` count in the rule for `role`."""
        rule = self.rules[role]
        return frozenset(
            name for name in rule.members if name in self.keys and self.keys[name].standing(role, now) is None
        )

    def objection(self, role: Role, fingerprint: str, now: datetime) -> str | None:
        """Say why what this key signs at `now` does not count in the rule for `role`, or return None."""
        rule, key = self.rules.get(role), self.key_for(fingerprint)
        if rule is None:
            return f"the trust policy has no rule for `{role}`"
        if key is None or key.name not in rule.members:
            return self._unnamed(role, fingerprint)
        return key.standing(role, now)

    def decide(self, claim: Claim, now: datetime) -> Decision:
        """Decide whether `claim` is trusted at `now` (aware of its zone)."""
        if now >= self.expires:
            return Decision(False, f"the trust policy expired on {time_text(self.expires)}")
        rule = self.rules.get(claim.role)
        if rule is None:
            return Decision(False, f"the trust policy has no rule for `{claim.role}`")
        if refusal := rule.refusal(claim, now):
            return Decision(False, refusal)
        counted, refusals = self._count(claim, rule, now)
        if len(counted) >= rule.threshold:
            return Decision(True, f"signed by {', '.join(counted)}", counted)
        missing = f"the rule for `{claim.role}` asks for {rule.threshold}, {len(counted)} counted"
        others = self._others(claim, rule, now)
        enough = len(counted) + len(others) >= rule.threshold
        return Decision(False, "; ".join([missing, *refusals]), counted, wants_signers=enough)

    def _others(self, claim: Claim, rule: Rule, now: datetime) -> list[str]:
        """Return the names of the keys that did not sign `claim`, and whose signature made now counts."""
        known = (self.keys[name] for name in rule.members if name in self.keys)
        return [
            key.name
            for key in known
            if key.public.fingerprint not in claim.signers and key.refusal(claim, now) is None
        ]

    def _count(self, claim: Claim, rule: Rule, now: datetime) -> tuple[tuple[str, ...], list[str]]:
        counted, refusals = [], []
        for fingerprint in sorted(claim.signers):
            key = self.key_for(fingerprint)
            if key is None or key.name not in rule.members:
                refusals.append(self._unnamed(claim.role, fingerprint))
            elif refusal := key.refusal(claim, now):
                refusals.append(refusal)
            else:
                counted.append(key.name)
        return tuple(sorted(counted)), refusals

    def _unnamed(self, role: Role, fingerprint: str) -> str:
        key = self.key_for(fingerprint)
        if key is None:
            return f"{fingerprint} is not in the trust policy"
        return f"`{key.name}` is not named in the rule for `{role}`"


def single_key_policy(public: PublicKey, name: str = "key") -> Policy:
    """Return the policy of `--key PUB`: this key alone, for every piece of evidence, for ever."""
    rule = Rule(threshold=1, members=frozenset([name]))
    return Policy(
        version=1,
        expires=datetime.max.replace(tzinfo=UTC),
        keys={name: TrustedKey(name, public, frozenset(EVIDENCE_ROLES))},
        rules=dict.fromkeys(EVIDENCE_ROLES, rule),
    )


def empty_policy() -> Policy:
    """Return the policy of a machine that trusts nobody yet: it knows no key and denies everything."""
    return Policy(version=1, expires=datetime.max.replace(tzinfo=UTC), keys={}, rules={})


def refuse_rollback(policy: Policy, highest_seen: int) -> None:
    """Raise `TrustError` if a newer version of this policy was seen here before."""
    if policy.version < highest_seen:
        raise TrustError(
            f"the trust policy is version {policy.version}, but version {highest_seen} was seen here before",
            code="policy-rollback",
            hint="ask whoever keeps the policy for the current one",
        )
