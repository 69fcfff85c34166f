"""`[rules.ROLE]` of a `trust.toml`: who may sign, how many must, what, and how old it may be."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from launcher.errors import MalformedError
from launcher.spec.predicates import (
    IMPORTED_TYPE,
    LOCK_TYPE,
    PROVENANCE_TYPE,
    REPRODUCTION_TYPE,
    RESULT_TYPE,
)
from launcher.spec.roles import Role
from launcher.spec.toml_text import toml_value
from launcher.trust.policy import Policy, Rule, TrustedKey
from launcher.trust.policy_edit import key_called
from launcher.trust.policy_file import read_policy
from launcher.trust.policy_signature import POLICY_TYPE
from launcher.trust.policy_text import Changes, Path, edited, rule_table

# What lifts the bound on types, or on age.
ANY: Final = "any"
# The types of statement under each role. A result is signed as both of its.
PREDICATES: Final[Mapping[Role, tuple[str, ...]]] = {
    "lock": (LOCK_TYPE, IMPORTED_TYPE),
    "result": (PROVENANCE_TYPE, RESULT_TYPE),
    "reproduction": (REPRODUCTION_TYPE,),
    "root": (POLICY_TYPE,),
}


class RuleChange(Struct, frozen=True):
    """What to change of `[rules.ROLE]`: what is None or empty stays.

    `predicates` takes the place of those that are there; it and `max_age` are lifted by `any`.
    """

    threshold: int | None = None
    members: tuple[str, ...] = ()
    max_age: str | None = None
    removed: tuple[str, ...] = ()
    predicates: tuple[str, ...] = ()


def change_rule(text: str, role: Role, change: RuleChange) -> str:
    """Return `text` with the rule for `role` changed, or made.

    Whom it names gets the role; who is taken from it loses the role, unless it is the key's only one. A
    threshold stays as it is, whoever is taken. A text that says so already is returned as it is. Raises
    `MalformedError` for a name that no key has or that the rule does not name, for a threshold that cannot be
    met and for types that nothing of the role is signed as.
    """
    before = read_policy(text.encode())
    rule = before.rules.get(role, Rule(1, frozenset()))
    _refuse_names(before, role, rule, change)
    keys = _keys_after(before, role, change)
    after = replace(
        rule,
        threshold=change.threshold or rule.threshold,
        members=(rule.members | set(change.members)) - set(change.removed),
        predicates=_predicates(role, change.predicates) if change.predicates else rule.predicates,
        max_age=rule.max_age if change.max_age is None else _bound(change.max_age),
    )
    if after == before.rules.get(role) and keys == before.keys:
        return text
    _refuse_unmet(role, after)
    changes = _changes(before, role, change, keys)
    return edited(text, changes, replace(before, keys=keys, rules={**before.rules, role: after}))


def _changes(before: Policy, role: Role, change: RuleChange, keys: Mapping[str, TrustedKey]) -> Changes:
    rule = before.rules.get(role)
    more: dict[str, str] = {}
    if change.predicates:
        more["predicate"] = toml_value(list(dict.fromkeys(change.predicates)))
    if change.max_age is not None:
        more["max-age"] = toml_value(change.max_age)
    kept = {name: literal for name, literal in more.items() if literal not in _LIFTED}
    listed: dict[Path, tuple[str, ...]]
    listed = {_roles(name): (role,) for name in keys if keys[name].roles - before.keys[name].roles}
    unlisted: dict[Path, tuple[str, ...]]
    unlisted = {_roles(name): (role,) for name in keys if before.keys[name].roles - keys[name].roles}
    if rule is None:
        table = rule_table(role, change.members, change.threshold or 1, kept)
        return Changes(unlisted=unlisted, listed=listed, tables=(table,))
    if added := tuple(name for name in change.members if name not in rule.members):
        listed["rules", role, "from"] = added
    if change.removed:
        unlisted["rules", role, "from"] = change.removed
    values: dict[Path, str] = {("rules", role, name): literal for name, literal in kept.items()}
    if change.threshold is not None:
        values["rules", role, "threshold"] = str(change.threshold)
    removed = tuple(("rules", role, name) for name in more if name == "predicate" or name not in kept)
    return Changes(removed=removed, unlisted=unlisted, values=values, listed=listed)


_LIFTED: Final = (toml_value(ANY), toml_value([ANY]))


def _roles(name: str) -> Path:
    return ("keys", name, "roles")


def _keys_after(policy: Policy, role: Role, change: RuleChange) -> dict[str, TrustedKey]:
    keys = dict(policy.keys)
    for name in change.members:
        keys[name] = replace(keys[name], roles=keys[name].roles | {role})
    for name in change.removed:
        # A key has at least one role; one that no rule names counts for nothing.
        keys[name] = replace(keys[name], roles=keys[name].roles - {role} or keys[name].roles)
    return keys


def _refuse_names(policy: Policy, role: Role, rule: Rule, change: RuleChange) -> None:
    for name in (*change.members, *change.removed):
        key_called(policy, name)
    for name in change.removed:
        if name in change.members:
            raise MalformedError(f"`{name}` is to be added and removed", code="usage", hint="say one of them")
        if name not in rule.members:
            raise MalformedError(
                f"the rule for `{role}` does not name `{name}`",
                code="no-such-name",
                context=f"it names {', '.join(sorted(rule.members)) or 'nobody'}",
                hint="see who may sign what with `evalctl trust show`",
            )


def _refuse_unmet(role: Role, rule: Rule) -> None:
    if rule.threshold > len(rule.members):
        raise MalformedError(
            f"`{role}` cannot take {rule.threshold} of {len(rule.members)}",
            code="threshold",
            context=f"it may be signed by {', '.join(sorted(rule.members)) or 'nobody'}",
            hint=f"name more keys, `evalctl trust rule {role} --add NAME`, or ask for fewer",
        )


def _predicates(role: Role, named: tuple[str, ...]) -> frozenset[str]:
    """Return the types that the rule is to allow; empty: any."""
    if named == (ANY,):
        return frozenset()
    known = PREDICATES[role]
    for each in named:
        if each not in known:
            raise MalformedError(
                f"nothing that is signed as `{role}` is of the type {each[:80]!a}",
                code="usage",
                context=f"expected {', '.join(known)}",
                hint=f"`evalctl trust rule {role} --predicate any` allows all of them",
            )
    if role == "result" and set(named) != set(known):
        raise MalformedError(
            "a result is signed as two statements, and the rule would refuse one of them",
            code="usage",
            context=f"they are {' and '.join(known)}",
            hint=f"evalctl trust rule result {' '.join(f'--predicate {each}' for each in known)}",
        )
    return frozenset(named)


def _bound(text: str) -> timedelta | None:
    from launcher.spec.units import parse_duration

    if text == ANY:
        return None
    try:
        return timedelta(seconds=parse_duration(text))
    except ValueError as error:
        raise MalformedError(f"`{text[:40]}` is no duration", code="usage", hint=str(error)) from error
