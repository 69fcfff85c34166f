"""The JSON Schema of a trust policy, `trust.toml`; TOML's times count as text.

That names in `from`, `ledger` and thresholds fit the other tables, that no key stands under two names, and
that a period has a length, no schema can say; the reader checks it.
"""

from typing import Final

from launcher.spec.json_types import Schema, array, document, said, table, words
from launcher.spec.roles import BUILT_ROLES, REVOCATIONS, ROLES
from launcher.spec.units import DURATION_PATTERN

_TEXT: Final[Schema] = {"type": "string"}
_NAMES: Final[Schema] = array(_TEXT, minItems=1, uniqueItems=True)
_NAME: Final[Schema] = {"pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"}
_TIME: Final[Schema] = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:]{8}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})$",
}
_KEY: Final[Schema] = {
    "type": "string",
    "pattern": r"^\s*(ssh-ed25519 |ecdsa-sha2-nistp256 |-----BEGIN PUBLIC KEY-----)",
}
_PERIOD: Final = {
    "valid-from": said(_TIME, "Nothing from before counts."),
    "valid-until": said(_TIME, "Nothing from this time on counts."),
}


def _named(entry: Schema, description: str) -> Schema:
    return {
        "type": "object",
        "propertyNames": _NAME,
        "additionalProperties": entry,
        "description": description,
    }


def _rule(role: str) -> Schema:
    dated = {
        "max-age": said({"type": "string", "pattern": f"^(?:{DURATION_PATTERN})$"}, "How old it may be.")
    }
    return table(
        {
            "threshold": said({"type": "integer", "minimum": 1, "maximum": 64}, "How many keys must sign."),
            "from": said({**_NAMES, "maxItems": 64}, "The names of the keys that may."),
        },
        {
            "predicate": said(_NAMES, "The only types of statement that count; absent: any."),
            **(dated if role in BUILT_ROLES else {}),
        },
    )


def trust_schema() -> Schema:
    """Return the schema of a trust policy."""
    key = table(
        {
            "public": said(_KEY, "An OpenSSH public key line, or PEM."),
            "roles": said(array(words(ROLES), minItems=1, uniqueItems=True), "What it may sign."),
        },
        {
            **_PERIOD,
            "revoked-from": said(_TIME, "From when on it is revoked."),
            "reason": said(
                words(REVOCATIONS), "key-compromise: nothing counts; superseded: what is proven earlier."
            ),
            "builders": said(_NAMES, "The builders it may sign for, by their exact `id`; absent: any."),
            "ledger": said(_TEXT, "The ledger that counts its attempts, by its name below."),
        },
    ) | {"dependentRequired": {"revoked-from": ["reason"], "reason": ["revoked-from"]}}
    authority = table(
        {"certificate": said(_TEXT, "A root's certificate in PEM, and those below it.")}, _PERIOD
    )
    ledger = table(
        {"origin": said(_TEXT, "Its name."), "public": said(_KEY, "Its Ed25519 key.")},
        {"witnesses": said(_NAMES, "The keys of witnesses that must have co-signed it.")},
    )
    rules = table({}, {role: _rule(role) for role in ROLES})
    fields = table(
        {
            "version": said({"type": "integer", "minimum": 1, "maximum": 2**53 - 1}, "It only ever grows."),
            "expires": said(_TIME, "From then on nothing is trusted."),
        },
        {
            "keys": _named(key, "Who may sign what, until when."),
            "rules": said(rules, "How many of whom must sign what; what has no rule is denied."),
            "timestamps": _named(authority, "RFC 3161 authorities that are believed."),
            "ledgers": _named(ledger, "Ledgers of attempts that are believed."),
        },
    )
    text = "Whose signatures count, for what, and until when."
    return document("trust/v1", "evalctl trust policy", text, fields)
