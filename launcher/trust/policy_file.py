"""`trust.toml`: read it strictly."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, TypeGuard, TypeVar

from launcher.errors import MalformedError, Problem
from launcher.spec.roles import BUILT_ROLES, REVOCATIONS, ROLES, Revocation, Role
from launcher.spec.units import parse_duration
from launcher.trust.keys import load_public
from launcher.trust.ledgers import PinnedLedger
from launcher.trust.notes import WITNESS, read_note_key
from launcher.trust.policy import Policy, Rule, TrustedKey
from launcher.trust.timestamps import Authority, read_certificates

MAX_POLICY_BYTES: Final = 1 << 20
MAX_MEMBERS: Final = 64
# The fields of the file, and of each of its tables.
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("version", "expires", "keys", "rules", "timestamps", "ledgers"),
    "keys": (
        *("public", "roles", "valid-from", "valid-until", "revoked-from", "reason", "builders", "ledger"),
    ),
    "rules": ("threshold", "from", "predicate", "max-age"),
    "timestamps": ("certificate", "valid-from", "valid-until"),
    "ledgers": ("origin", "public", "witnesses"),
}
# What somebody may look for under another name.
_OTHER_ROLES: Final = {
    "launch": "a launch is admitted by the signature of its lock, `lock`",
    "provenance": "provenance and result are signed together, `result`",
    "imported": "an import is signed as a bundle is, `lock` and `result`",
}
_MAX_VERSION: Final = 2**53 - 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
_Read = TypeVar("_Read")


def read_policy(data: bytes, *, file: str = "trust.toml") -> Policy:
    """Read a policy; every table that is wrong is one problem of the `MalformedError` that is raised."""
    import tomllib

    from launcher.spec.positions import TooMuchError, scan

    if len(data) > MAX_POLICY_BYTES:
        raise _malformed(f"`{file}` is larger than {MAX_POLICY_BYTES} bytes")
    try:
        text = data.decode()
        # A key of thousands of parts is refused before `tomllib`, whose time grows with their square.
        scan(text.replace("\r\n", "\n"))
        value = tomllib.loads(text)
    except TooMuchError as error:
        raise _malformed(f"`{file}` has {error}") from error
    except (ValueError, RecursionError) as error:
        raise _malformed(f"`{file}` is not TOML: {error}") from error
    return _Reader(text, file).policy(value)


class _Reader:
    """Read table by table and collect what is wrong, at most one problem for each table."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._problems: list[Problem] = []

    def policy(self, value: Mapping[str, Any]) -> Policy:
        """Return the policy, or raise one `MalformedError` with every problem."""
        self._attempt("", lambda: _known_fields(value, ""))
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
        authorities: dict[str, Authority] = {}
        for name, table in (self._attempt("", lambda: _tables(value, "timestamps")) or {}).items():
            authority = self._attempt(f"timestamps.{name}", partial(_read_authority, name, table))
            if authority is not None:
                authorities[name] = authority
        ledgers: dict[str, PinnedLedger] = {}
        for name, table in (self._attempt("", lambda: _tables(value, "ledgers")) or {}).items():
            ledger = self._attempt(f"ledgers.{name}", partial(_read_ledger, name, table))
            if ledger is not None:
                ledgers[name] = ledger
        for name, key in keys.items():
            self._attempt(f"keys.{name}", partial(_refuse_unknown_ledger, key, value.get("ledgers")))
        if self._problems or head is None:
            raise MalformedError(
                f"the trust policy `{self._file}` is malformed",
                code="malformed-policy",
                hint="mend what is named, then look with `evalctl trust show`",
                problems=self._problems,
            )
        return Policy(head[0], head[1], keys, rules, authorities, ledgers)

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
    _known_fields(table, "keys")
    if not _NAME.fullmatch(name):
        raise _malformed("a key's name is made of letters, digits, `_` and `-`")
    public = load_public(_text(table, "public"))
    roles = _names(table, "roles")
    for role in sorted(roles):
        if not _is_role(role):
            raise _unknown_role(role)
    key = TrustedKey(
        name=name,
        public=public,
        roles=frozenset(filter(_is_role, roles)),
        valid_from=_time(table, "valid-from"),
        valid_until=_time(table, "valid-until"),
        revoked_from=_time(table, "revoked-from"),
        reason=_reason(table),
        builders=_names(table, "builders") if "builders" in table else frozenset(),
        ledger=_text(table, "ledger") if "ledger" in table else None,
    )
    if (key.revoked_from is None) != (key.reason is None):
        raise _malformed("`revoked-from` and `reason` stand together or not at all")
    _refuse_empty_period(key.valid_from, key.valid_until)
    for other in others.values():
        if other.public == public:
            raise _malformed(f"this is the same key as `keys.{other.name}`: one key is one principal")
    return key


def _read_authority(name: str, table: Mapping[str, Any]) -> Authority:
    _known_fields(table, "timestamps")
    if not _NAME.fullmatch(name):
        raise _malformed("an authority's name is made of letters, digits, `_` and `-`")
    authority = Authority(
        name=name,
        certificates=read_certificates(_text(table, "certificate")),
        valid_from=_time(table, "valid-from"),
        valid_until=_time(table, "valid-until"),
    )
    _refuse_empty_period(authority.valid_from, authority.valid_until)
    return authority


def _read_ledger(name: str, table: Mapping[str, Any]) -> PinnedLedger:
    _known_fields(table, "ledgers")
    if not _NAME.fullmatch(name):
        raise _malformed("a ledger's name is made of letters, digits, `_` and `-`")
    public = load_public(_text(table, "public"))
    witnesses = _names(table, "witnesses") if "witnesses" in table else frozenset()
    keys = tuple(map(read_note_key, sorted(witnesses)))
    if public.algorithm != "ssh-ed25519" or any(key.kind != WITNESS for key in keys):
        raise _malformed("a ledger has an Ed25519 key, and `witnesses` are keys of witnesses")
    return PinnedLedger(name, _text(table, "origin"), public, keys)


def _refuse_unknown_ledger(key: TrustedKey, ledgers: Any) -> None:
    if key.ledger is not None and key.ledger not in (ledgers or {}):
        raise _malformed(f"`ledger` names `{key.ledger}`, which is not among the ledgers")


def _refuse_empty_period(begin: datetime | None, end: datetime | None) -> None:
    if begin and end and begin >= end:
        raise _malformed("`valid-from` is not before `valid-until`")


def _read_rule(role: str, table: Mapping[str, Any], keys: Mapping[str, Any]) -> Rule:
    _known_fields(table, "rules")
    if not _is_role(role):
        raise _unknown_role(role)
    members = _names(table, "from")
    if len(members) > MAX_MEMBERS:
        raise _malformed(f"`from` names {len(members)} keys; at most {MAX_MEMBERS} signatures are looked at")
    for member in sorted(members - keys.keys()):
        raise _malformed(f"`from` names `{member}`, which is not among the keys")
    threshold = table.get("threshold")
    if type(threshold) is not int or not 1 <= threshold <= len(members):
        raise _malformed(f"`threshold` must be a whole number from 1 to {len(members)}, got {threshold!r}")
    predicates = _names(table, "predicate") if "predicate" in table else frozenset()
    return Rule(threshold, members, predicates, _max_age(role, table))


def _max_age(role: Role, table: Mapping[str, Any]) -> timedelta | None:
    if "max-age" not in table:
        return None
    if role not in BUILT_ROLES:
        raise _malformed(f"a `{role}` signature states no time, so that `max-age` would admit none")
    try:
        return timedelta(seconds=parse_duration(_text(table, "max-age")))
    except ValueError as error:
        raise _malformed(f"`max-age`: {error}") from error


def _known_fields(table: Mapping[str, Any], name: str) -> None:
    for field in table:
        if field not in FIELDS[name]:
            raise _malformed(f"unknown field {field[:80]!a}; {_advice(field, FIELDS[name], 'fields')}")


def _advice(word: str, known: tuple[str, ...], what: str) -> str:
    """Return what a mistyped word was meant to be, else all that there are."""
    from difflib import get_close_matches

    close = get_close_matches(word[:80].lower().replace("_", "-"), known, n=1, cutoff=0.7)
    return f"did you mean `{close[0]}`?" if close else f"the {what} are {', '.join(known)}"


def _unknown_role(role: str) -> MalformedError:
    because = f": {_OTHER_ROLES[role]}" if role in _OTHER_ROLES else f"; {_advice(role, ROLES, 'roles')}"
    return _malformed(f"unknown role {role[:80]!a}{because}")


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
    try:
        return value and value.astimezone(UTC)
    except OverflowError as error:
        raise _malformed(f"`{field}` is no time between the years 1 and 9999 in UTC") from error


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


def _malformed(message: str) -> MalformedError:
    return MalformedError(message, code="malformed-policy")
