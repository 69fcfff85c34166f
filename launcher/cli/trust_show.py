"""`evalctl trust show`, `evalctl trust export`: the whole policy in words, and in OpenSSH's."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from launcher.cli.options import Json
from launcher.cli.output import print_json, say
from launcher.cli.policies import age_text, place_named
from launcher.cli.signing import read_verifying_policy
from launcher.cli.trust_options import PolicyFile
from launcher.errors import MalformedError, TrustError
from launcher.report.text import one_line
from launcher.spec.roles import EVIDENCE_ROLES, ROLES, Role
from launcher.spec.units import time_text
from launcher.store.home import find_home
from launcher.store.policies import PolicyPlace, accept, read_offered
from launcher.trust.ledgers import PinnedLedger
from launcher.trust.policy import Policy, TrustedKey
from launcher.trust.policy_signature import OfferedPolicy
from launcher.trust.timestamps import Authority


def show(trust: PolicyFile = None, as_json: Json = False) -> int:
    """Show who is trusted, for what, until when.

    Exit code 3: the policy does not count, because it expired, is older than one seen before, or lacks
    signatures.
    """
    home, now = find_home(), datetime.now(UTC)
    place = place_named(home, trust)
    offered = read_offered(place)
    refusal = _refusal(place, offered, now)
    if as_json:
        print_json(_as_object(offered, refusal, now))
    else:
        print("\n".join(map(one_line, _lines(place, offered, refusal, now))))
    return TrustError.exit_status if refusal else 0


def _refusal(place: PolicyPlace, offered: OfferedPolicy, now: datetime) -> str | None:
    try:
        if remark := accept(place, offered, now):
            say(remark)
    except TrustError as error:
        return error.in_words
    return "it expired" if now >= offered.policy.expires else None


def _lines(place: PolicyPlace, offered: OfferedPolicy, refusal: str | None, now: datetime) -> Iterator[str]:
    policy = offered.policy
    yield f"policy {place.path}, version {policy.version}, expires {_when(policy.expires, now)}"
    yield f"  {offered.digest}"
    if refusal:
        yield f"  it does not count: {refusal}"
    yield f"  {_signed_by(offered)}"
    for key in policy.keys.values():
        yield f"  {key.name}: {key.public.fingerprint}"
        for line in _about(policy, key, now):
            yield f"    {line}"
    yield "rules:"
    for role in ROLES if offered.is_signed else EVIDENCE_ROLES:
        yield f"  {role}: {_rule(policy, role, now)}"
    if policy.authorities:
        yield "timestamps:"
    for authority in policy.authorities.values():
        yield f"  {authority.name}: {_period(authority, now)}"
    if policy.ledgers:
        yield "ledgers:"
    for ledger in policy.ledgers.values():
        yield f"  {ledger.name}: {ledger.origin}, {_kept_by(ledger)}"


def _signed_by(offered: OfferedPolicy) -> str:
    if not offered.is_signed:
        return "not signed: whoever can write the file decides who is trusted"
    names = sorted(_signers(offered))
    return f"signed by {', '.join(names)}" if names else "signed by none of its root keys"


def _signers(offered: OfferedPolicy) -> Iterator[str]:
    for fingerprint in offered.signers(offered.policy):
        key = offered.policy.key_for(fingerprint)
        if key is not None and "root" in key.roles:
            yield key.name


def _about(policy: Policy, key: TrustedKey, now: datetime) -> Iterator[str]:
    yield f"may sign: {', '.join(sorted(key.roles))}"
    if not any(key.name in rule.members for rule in policy.rules.values()):
        yield "no rule names it: nothing that it signs counts"
    if key.builders:
        yield f"on the builders: {', '.join(sorted(key.builders))}"
    if key.ledger is not None:
        yield f"its attempts are counted by the ledger `{key.ledger}`"
    if key.valid_from is not None:
        yield f"valid from {_when(key.valid_from, now)}"
    if key.valid_until is not None:
        yield f"valid until {_when(key.valid_until, now)}"
    if key.reason == "key-compromise":
        yield "revoked, key-compromise: nothing that it signed counts"
    elif key.revoked_from is not None:
        since = _when(key.revoked_from, now)
        yield f"revoked from {since}, superseded: what an authority proves to be earlier counts"


def _rule(policy: Policy, role: Role, now: datetime) -> str:
    rule = policy.rules.get(role)
    if rule is None:
        return "nobody"
    said = [f"{rule.threshold} of {', '.join(sorted(rule.members))}"]
    if rule.predicates:
        said.append(f"only {', '.join(sorted(rule.predicates))}")
    if rule.max_age is not None:
        said.append(f"nothing older than {age_text(rule.max_age)}")
    if len(able := policy.able(role, now)) < rule.threshold:
        said.append(f"met by nothing signed today: {len(able)} of its keys can sign")
    return "; ".join(said)


def _period(authority: Authority, now: datetime) -> str:
    ends = (("from", authority.valid_from), ("until", authority.valid_until))
    said = [f"{word} {_when(moment, now)}" for word, moment in ends if moment is not None]
    return f"counts {' '.join(said)}" if said else "counts at any time"


def _kept_by(ledger: PinnedLedger) -> str:
    witnesses = ", ".join(key.name for key in ledger.witnesses)
    seen = f"co-signed by {witnesses}" if witnesses else "no witness is asked for"
    return f"signed by {ledger.public.fingerprint}, {seen}"


def _when(moment: datetime, now: datetime) -> str:
    """Return a day, and how far away it is in the largest unit that there are two of."""
    seconds = abs((moment - now).total_seconds())
    sizes = (("years", 365.25 * 86400), ("months", 30.44 * 86400), ("days", 86400.0), ("hours", 3600.0))
    unit, size = next((item for item in sizes if seconds >= 2 * item[1]), ("minutes", 60.0))
    distance = f"{seconds / size:.0f} {unit}"
    return f"{moment.astimezone(UTC):%Y-%m-%d} ({f'in {distance}' if moment > now else f'{distance} ago'})"


def _as_object(offered: OfferedPolicy, refusal: str | None, now: datetime) -> dict[str, Any]:
    policy = offered.policy
    return {
        "version": policy.version,
        "expires": time_text(policy.expires),
        "digest": offered.digest,
        "counts": refusal is None,
        "refusal": refusal,
        "signed": offered.is_signed,
        "signers": sorted(_signers(offered)),
        "keys": [_key_object(key) for key in policy.keys.values()],
        "rules": {
            role: {
                "threshold": rule.threshold,
                "from": sorted(rule.members),
                "predicate": sorted(rule.predicates),
                "max-age": None if rule.max_age is None else age_text(rule.max_age),
                "able": sorted(policy.able(role, now)),
            }
            for role, rule in policy.rules.items()
        },
        "timestamps": {
            name: {
                "certificates": list(authority.certificates),
                "valid-from": _time(authority.valid_from),
                "valid-until": _time(authority.valid_until),
            }
            for name, authority in policy.authorities.items()
        },
        "ledgers": {
            name: {
                "origin": ledger.origin,
                "fingerprint": ledger.public.fingerprint,
                "witnesses": [key.name for key in ledger.witnesses],
            }
            for name, ledger in policy.ledgers.items()
        },
    }


def _key_object(key: TrustedKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "fingerprint": key.public.fingerprint,
        "roles": sorted(key.roles),
        "public": key.public.openssh,
        "valid-from": _time(key.valid_from),
        "valid-until": _time(key.valid_until),
        "revoked-from": _time(key.revoked_from),
        "reason": key.reason,
        "builders": sorted(key.builders),
        "ledger": key.ledger,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else time_text(moment)


def export(
    allowed_signers: Annotated[
        bool,
        typer.Option("--allowed-signers", help="As OpenSSH's allowed_signers, for `ssh-keygen -Y verify`."),
    ] = False,
    trust: PolicyFile = None,
    as_json: Json = False,
) -> int:
    """Print the policy for other programs: OpenSSH.

    Namespaces are evalctl-ROLE@w3id.org. A policy that does not count here is not given out (exit 3).
    """
    from launcher.trust.allowed_signers import allowed_signers as lines_of
    from launcher.trust.allowed_signers import namespace

    if not allowed_signers:
        raise MalformedError(
            "say in which format", code="usage", hint="evalctl trust export --allowed-signers"
        )
    home = find_home()
    place = place_named(home, trust)
    policy = read_verifying_policy(home, trust, None)
    if datetime.now(UTC) >= policy.expires:
        raise TrustError(
            f"the trust policy `{place.path}` expired on {policy.expires:%Y-%m-%d}",
            code="policy-expired",
            hint="whoever keeps it sets `expires` and counts `version` up",
        )
    text = lines_of(policy)
    if as_json:
        print_json(
            {"allowed_signers": text, "namespaces": {role: namespace(role) for role in EVIDENCE_ROLES}}
        )
    else:
        print(text, end="")
    return 0
