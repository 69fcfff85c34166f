"""`trust.toml`: write the first one, add and revoke keys, renew it; comments stay."""

from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from launcher.errors import MalformedError
from launcher.spec.roles import EVIDENCE_ROLES, Revocation
from launcher.spec.toml_text import toml_value
from launcher.spec.units import time_text
from launcher.trust.keys import PublicKey
from launcher.trust.policy import Policy, Rule, TrustedKey
from launcher.trust.policy_file import read_policy
from launcher.trust.policy_text import Changes, Path, edited, in_order, key_table, rule_table

_FIRST_YEARS: Final = 5


def initial_policy(name: str, public: PublicKey, now: datetime, version: int = 1) -> str:
    """Return the text of a policy of one key, for every piece of evidence, for five years."""
    return first_policy(TrustedKey(name, public, frozenset(EVIDENCE_ROLES)), now, version)


def first_policy(key: TrustedKey, now: datetime, version: int = 1) -> str:
    """Return the text of a policy of one key, with a rule for each of its roles, for five years from `now`.

    Raises `MalformedError` for a name that no key can have.
    """
    expires = _plus_years(now.astimezone(UTC).replace(microsecond=0), _FIRST_YEARS)
    head = (
        "# Whose signatures count on this machine, and for what. After `expires` nothing is trusted.\n"
        f"version = {version}\nexpires = {time_text(expires)}\n\n"
    )
    rules = [rule_table(role, (key.name,)) for role in in_order(key.roles)]
    text = "\n".join([head + key_table(key), *rules])
    read_policy(text.encode())
    return text


def add_key(text: str, key: TrustedKey) -> str:
    """Return `text` with one more key, named in the rule of each of its roles.

    Raises `MalformedError` for a name or key that is there already, and for a file laid out so that it
    cannot be edited safely.
    """
    before = read_policy(text.encode())
    _refuse_known(before, key)
    if "root" in key.roles and "root" not in before.rules:
        raise MalformedError(
            "the trust policy has no `[rules.root]` that the key could be named in",
            code="policy-not-signed",
            hint="`evalctl trust rule root --add NAME` with the name of your own key comes first",
        )
    rules = dict(before.rules)
    listed: dict[Path, tuple[str, ...]] = {}
    tables = [key_table(key)]
    for role in in_order(key.roles):
        rule = before.rules.get(role)
        if rule is None:
            rules[role] = Rule(1, frozenset([key.name]))
            tables.append(rule_table(role, (key.name,)))
        else:
            rules[role] = replace(rule, members=rule.members | {key.name})
            listed["rules", role, "from"] = (key.name,)
    after = replace(before, keys={**before.keys, key.name: key}, rules=rules)
    return edited(text, Changes(listed=listed, tables=tuple(tables)), after)


def revoke_key(text: str, name: str, reason: Revocation, now: datetime, since: datetime | None = None) -> str:
    """Return `text` with the key called `name` revoked from `since` on, else from `now`.

    A key that is revoked for this reason keeps its time, unless an earlier one is named. Raises
    `MalformedError` where there is no such key, and where a revoked one would be trusted again.
    """
    before = read_policy(text.encode())
    key = key_called(before, name)
    if key.reason == "key-compromise" and reason != key.reason:
        raise MalformedError(
            f"`{name}` is revoked as compromised, and that is not taken back",
            code="key-revoked",
            hint="give its owner's other key with `evalctl trust add NAME.pub`",
        )
    moment = (since or now).astimezone(UTC).replace(microsecond=0)
    if since and key.revoked_from and reason == "superseded" and moment > key.revoked_from:
        raise MalformedError(
            f"`{name}` is revoked already, and a later time would trust it again",
            code="key-revoked",
            context=f"it is revoked from {time_text(key.revoked_from)} on",
            hint="give its owner's other key with `evalctl trust add NAME.pub`",
        )
    if key.reason == reason and (since is None or moment == key.revoked_from):
        return text
    values: dict[Path, str] = {
        ("keys", name, "reason"): toml_value(reason),
        ("keys", name, "revoked-from"): time_text(moment),
    }
    revoked = replace(key, revoked_from=moment, reason=reason)
    return edited(text, Changes(values=values), replace(before, keys={**before.keys, name: revoked}))


def renew_policy(text: str, now: datetime, until: datetime | None = None) -> str:
    """Return `text` with `expires` at `until`, else five years from `now`, where it is not later already.

    Raises `MalformedError` for a time that is past, from which on nothing would be trusted.
    """
    before = read_policy(text.encode())
    meant = (until or _plus_years(now.astimezone(UTC), _FIRST_YEARS)).replace(microsecond=0)
    if meant <= now:
        raise MalformedError(
            f"{time_text(meant)} is past, and nothing is trusted after a policy expired",
            code="usage",
            hint="name a time to come, or revoke keys with `evalctl trust revoke NAME --reason REASON`",
        )
    if before.expires == meant or (until is None and before.expires > meant):
        return text
    values: dict[Path, str] = {("expires",): time_text(meant)}
    return edited(text, Changes(values=values), replace(before, expires=meant))


def _refuse_known(policy: Policy, key: TrustedKey) -> None:
    known = policy.key_for(key.public.fingerprint)
    if known is not None:
        raise MalformedError(
            f"the trust policy has this key already, as `{known.name}`",
            code="key-known",
            context=f"{key.public.fingerprint}{f', revoked: {known.reason}' if known.reason else ''}",
            hint="see what it may sign with `evalctl trust show`",
        )
    if key.name in policy.keys:
        raise MalformedError(
            f"the trust policy has another key called `{key.name}`",
            code="name-taken",
            hint="give the key another name with `--name`",
        )


def key_called(policy: Policy, name: str) -> TrustedKey:
    """Return the key of this name; raises `MalformedError` that lists them."""
    if name not in policy.keys:
        raise MalformedError(
            f"the trust policy has no key called {name[:80]!a}",
            code="no-such-name",
            context=f"it has {', '.join(policy.keys) or 'none'}",
            hint="see who is trusted with `evalctl trust show`",
        )
    return policy.keys[name]


def _plus_years(moment: datetime, years: int) -> datetime:
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:  # 29 February
        return moment.replace(year=moment.year + years, day=28)
