"""`trust.toml`: read it strictly, write the first one, and add a key without losing a comment."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypeGuard, TypeVar

from msgspec.structs import replace

from launcher.errors import MalformedError, Problem
from launcher.spec.toml_text import toml_value
from launcher.trust.keys import PublicKey, load_public
from launcher.trust.policy import REVOCATIONS, ROLES, Policy, Revocation, Role, Rule, TrustedKey

MAX_POLICY_BYTES: Final = 1 << 20
_MAX_VERSION: Final = 2**53 - 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_FIRST_YEARS: Final = 5
_Read = TypeVar("_Read")


def read_policy(data: bytes, *, file: str = "trust.toml") -> Policy:
    """Read a policy; every table that is wrong is one problem of the `MalformedError` that is raised."""
    import tomllib

    if len(data) > MAX_POLICY_BYTES:
        raise _malformed(f"`{file}` is larger than {MAX_POLICY_BYTES} bytes")
    try:
        text = data.decode()
        value = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise _malformed(f"`{file}` is not TOML: {error}") from error
    return _Reader(text, file).policy(value)


def initial_policy(name: str, public: PublicKey, now: datetime, version: int = 1) -> str:
    """Return the text of a first policy: one key, every role, five years from `now`."""
    expires = _plus_years(now.astimezone(UTC).replace(microsecond=0, tzinfo=None), _FIRST_YEARS)
    head = (
        "# Whose signatures count on this machine, and for what. After `expires` nothing is trusted.\n"
        f"version = {version}\nexpires = {expires.isoformat()}Z\n\n"
    )
    rules = "".join(f"\n[rules.{role}]\nthreshold = 1\nfrom = [{toml_value(name)}]\n" for role in ROLES)
    text = head + _key_table(name, public, ROLES) + rules
    read_policy(text.encode())
    return text


def add_key(text: str, name: str, public: PublicKey, roles: tuple[Role, ...] = ROLES) -> str:
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


class _Reader:
    """Read table by table and collect what is wrong, at most one problem for each table."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._problems: list[Problem] = []

    def policy(self, value: Mapping[str, Any]) -> Policy:
        """Return the policy, or raise one `MalformedError` with every problem."""
        self._attempt("", lambda: _known_fields(value, "version expires keys rules"))
        head = self._attempt("", lambda: (_version(value), _expires(value)))
        tables = self._attempt("", lambda: (_tables(value, "keys"), _tables(value, "rules"))) or ({}, {})
        keys: dict[str, TrustedKey] = {}
        for name, table in tables[0].items():
            key = self._attempt(f"keys.{name}", partial(_read_key, name, table, keys))
            if key is not None:
                keys[name] = key
        rules: dict[Role, Rule] = {}
        for role, table in tables[1].items():
            rule = self._attempt(f"rules.{role}", partial(_read_rule, role, table, tables[0]))
            if rule is not None and _is_role(role):
                rules[role] = rule
        if self._problems or head is None:
            raise MalformedError(
                f"the trust policy `{self._file}` is malformed",
                code="malformed-policy",
                hint="mend what is named, then look with `evalctl trust show`",
                problems=self._problems,
            )
        return Policy(head[0], head[1], keys, rules)

    def _attempt(self, table: str, read: Callable[[], _Read]) -> _Read | None:
        try:
            return read()
        except MalformedError as error:
            where = f"`{table}`: " if table else ""
            self._problems.append(Problem(self._file, self._line_of(table), 1, where + error.message))
            return None

    def _line_of(self, table: str) -> int:
        header = re.compile(rf"\s*\[\s*{re.escape(table)}\s*\]")
        lines = enumerate(self._text.splitlines(), 1)
        return next((number for number, line in lines if table and header.match(line)), 1)


def _read_key(name: str, table: Mapping[str, Any], others: Mapping[str, TrustedKey]) -> TrustedKey:
    _known_fields(table, "public roles valid-from valid-until revoked-from reason builders")
    if not _NAME.fullmatch(name):
        raise _malformed("a key's name is made of letters, digits, `_` and `-`")
    public = load_public(_text(table, "public"))
    roles = _names(table, "roles")
    for role in roles:
        if role not in ROLES:
            raise _malformed(f"unknown role `{role}`; the roles are {', '.join(ROLES)}")
    key = TrustedKey(
        name=name,
        public=public,
        roles=frozenset(filter(_is_role, roles)),
        valid_from=_time(table, "valid-from"),
        valid_until=_time(table, "valid-until"),
        revoked_from=_time(table, "revoked-from"),
        reason=_reason(table),
        builders=_names(table, "builders") if "builders" in table else frozenset(),
    )
    if (key.revoked_from is None) != (key.reason is None):
        raise _malformed("`revoked-from` and `reason` stand together or not at all")
    if key.valid_from and key.valid_until and key.valid_from >= key.valid_until:
        raise _malformed("`valid-from` is not before `valid-until`")
    for other in others.values():
        if other.public == public:
            raise _malformed(f"this is the same key as `keys.{other.name}`: one key is one principal")
    return key


def _read_rule(role: str, table: Mapping[str, Any], keys: Mapping[str, Any]) -> Rule:
    _known_fields(table, "threshold from predicate")
    if not _is_role(role):
        raise _malformed(f"unknown role; the roles are {', '.join(ROLES)}")
    members = _names(table, "from")
    for member in sorted(members - keys.keys()):
        raise _malformed(f"`from` names `{member}`, which is not among the keys")
    threshold = table.get("threshold")
    if type(threshold) is not int or not 1 <= threshold <= len(members):
        raise _malformed(f"`threshold` must be a whole number from 1 to {len(members)}, got {threshold!r}")
    return Rule(threshold, members, _names(table, "predicate") if "predicate" in table else frozenset())


def _known_fields(table: Mapping[str, Any], fields: str) -> None:
    known = fields.split()
    for field in table:
        if field not in known:
            raise _malformed(f"unknown field {field[:80]!a}; the fields are {', '.join(known)}")


def _tables(value: Mapping[str, Any], field: str) -> Mapping[str, Mapping[str, Any]]:
    tables = value.get(field, {})
    if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
        raise _malformed(f"`{field}` must hold tables, `[{field}.NAME]`")
    return tables


def _version(value: Mapping[str, Any]) -> int:
    version = value.get("version")
    if type(version) is not int or not 1 <= version <= _MAX_VERSION:
        raise _malformed("`version` must be a whole number from 1 on")
    return version


def _expires(value: Mapping[str, Any]) -> datetime:
    expires = _time(value, "expires")
    if expires is None:
        raise _malformed("`expires` is missing: a policy without an end is never looked at again")
    return expires


def _time(table: Mapping[str, Any], field: str) -> datetime | None:
    value = table.get(field)
    if value is not None and (not isinstance(value, datetime) or value.tzinfo is None):
        raise _malformed(f"`{field}` must be a time with its zone, such as 2027-06-01T00:00:00Z")
    return value


def _text(table: Mapping[str, Any], field: str) -> str:
    value = table.get(field)
    if not isinstance(value, str):
        raise _malformed(f"`{field}` must be a text")
    return value


def _names(table: Mapping[str, Any], field: str) -> frozenset[str]:
    value = table.get(field)
    if not isinstance(value, list) or not value or not all(isinstance(item, str) for item in value):
        raise _malformed(f"`{field}` must be a list of at least one text")
    if len(set(value)) != len(value):
        raise _malformed(f"`{field}` names something twice")
    return frozenset(value)


def _reason(table: Mapping[str, Any]) -> Revocation | None:
    value = table.get("reason")
    for reason in REVOCATIONS:
        if value == reason:
            return reason
    if value is not None:
        raise _malformed(f"`reason` must be one of {', '.join(REVOCATIONS)}")
    return None


def _is_role(text: str) -> TypeGuard[Role]:
    return text in ROLES


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


def _malformed(message: str) -> MalformedError:
    return MalformedError(message, code="malformed-policy")
