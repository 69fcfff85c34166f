"""`trust.toml`: write the first one, and change one without losing a comment."""

import re
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from launcher.errors import MalformedError
from launcher.spec.toml_text import toml_value
from launcher.trust.keys import PublicKey
from launcher.trust.policy import EVIDENCE_ROLES, Policy, Role, Rule, TrustedKey
from launcher.trust.policy_file import read_policy

_FIRST_YEARS: Final = 5


def initial_policy(name: str, public: PublicKey, now: datetime, version: int = 1) -> str:
    """Return the text of a first policy: one key, every role, five years from `now`."""
    expires = _plus_years(now.astimezone(UTC).replace(microsecond=0, tzinfo=None), _FIRST_YEARS)
    head = (
        "# Whose signatures count on this machine, and for what. After `expires` nothing is trusted.\n"
        f"version = {version}\nexpires = {expires.isoformat()}Z\n\n"
    )
    rules = "".join(_new_rule(role, name) for role in EVIDENCE_ROLES)
    text = head + _key_table(name, public, EVIDENCE_ROLES) + rules
    read_policy(text.encode())
    return text


def add_key(text: str, name: str, public: PublicKey, roles: tuple[Role, ...] = EVIDENCE_ROLES) -> str:
    """Return `text` with one more key, named in the rule of each of its roles, and the next version.

    Comments stay. Raises `MalformedError` for a name or key that is there already, and for a file laid out
    so that it cannot be edited safely.
    """
    before = read_policy(text.encode())
    _refuse_known(before, name, public)
    edited = re.sub(r"(?m)^version\s*=\s*\d+", f"version = {before.version + 1}", text, count=1)
    edited = edited.rstrip("\n") + "\n\n" + _key_table(name, public, roles)
    for role in roles:
        edited = _add_to_rule(edited, role, name) if role in before.rules else edited + _new_rule(role, name)
    if read_policy(edited.encode()) != _with_key(before, TrustedKey(name, public, frozenset(roles))):
        raise MalformedError(
            "the trust policy is laid out so that it cannot be edited safely",
            code="policy-not-editable",
            hint="write `version`, `[keys.NAME]` and `[rules.ROLE]` as plain tables, or add the key by hand",
        )
    return edited


def _refuse_known(policy: Policy, name: str, public: PublicKey) -> None:
    known = policy.key_for(public.fingerprint)
    if known is not None:
        raise MalformedError(
            f"the trust policy has this key already, as `{known.name}`",
            code="key-known",
            context=public.fingerprint,
        )
    if name in policy.keys:
        raise MalformedError(
            f"the trust policy has another key called `{name}`",
            code="name-taken",
            hint="give the key another name with `--name`",
        )


def _with_key(policy: Policy, key: TrustedKey) -> Policy:
    rules = dict(policy.rules)
    for role in key.roles:
        rule = rules.get(role, Rule(1, frozenset()))
        rules[role] = replace(rule, members=rule.members | {key.name})
    return replace(policy, version=policy.version + 1, keys={**policy.keys, key.name: key}, rules=rules)


def _key_table(name: str, public: PublicKey, roles: tuple[Role, ...]) -> str:
    listed = ", ".join(map(toml_value, roles))
    return f"[keys.{name}]\npublic = {toml_value(public.openssh)}\nroles = [{listed}]\n"


def _new_rule(role: Role, name: str) -> str:
    return f"\n[rules.{role}]\nthreshold = 1\nfrom = [{toml_value(name)}]\n"


def _add_to_rule(text: str, role: Role, name: str) -> str:
    """Put `name` first into `from` of the rule; the caller reads the outcome again and so sees a failure."""
    pattern = rf"(?ms)(^\[rules\.{role}\](?:(?!^\[).)*?^from\s*=\s*\[)"
    return re.sub(pattern, lambda match: f"{match[1]}{toml_value(name)}, ", text, count=1)


def _plus_years(moment: datetime, years: int) -> datetime:
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:  # 29 February
        return moment.replace(year=moment.year + years, day=28)
