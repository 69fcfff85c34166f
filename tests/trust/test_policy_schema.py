"""`evalctl schema trust` and the reader of `trust.toml`, held against each other."""

import tomllib
from datetime import date, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from launcher.errors import MalformedError
from launcher.spec.roles import BUILT_ROLES, ROLES
from launcher.spec.schema import schema_of
from launcher.trust.policy_file import FIELDS, read_policy
from tests.trust.sealed_bundle import ALICE
from tests.trust.test_policy_fields import CASES, MALFORMED, TEXT, Violation

SCHEMA = schema_of("trust")
VALIDATOR = Draft202012Validator(SCHEMA)
# What no schema can say: what follows from another table, and the calendar.
BEYOND = ("the same key as", "not among the keys", "from 1 to 2", "not before", "in UTC")
REST = f"""
[timestamps.tsa]
certificate = "PEM"
[ledgers.team]
origin = "example.org/team"
public = "{ALICE.public.openssh}"
witnesses = ["w"]
"""


def as_json(value: Any) -> Any:
    """Return a TOML value as JSON: times as text."""
    if isinstance(value, dict):
        return {name: as_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, datetime | date) else value


def accepted(text: str) -> bool:
    return VALIDATOR.is_valid(as_json(tomllib.loads(text)))


@pytest.mark.parametrize("case", [case for _, case in CASES])
def test_every_policy_that_is_read_is_one(case: Violation) -> None:
    text = TEXT.replace(case.old, case.new, 1) if case.old else TEXT
    # One of them names a key that another test adds.
    text = text.replace('["alice", "carol"]', '["alice", "bob"]')
    read_policy(text.encode())
    assert accepted(text)


@pytest.mark.parametrize(("old", "new", "because"), MALFORMED)
def test_what_is_malformed_is_none_but_for_what_follows_from_elsewhere(
    old: str, new: str, because: str
) -> None:
    text = TEXT.replace(old, new, 1)
    with pytest.raises(MalformedError):
        read_policy(text.encode())
    # Of numbers that are written with a fraction JSON Schema knows those that have none.
    beyond = new == "version = 3.0" or any(word in because for word in BEYOND)
    assert not accepted(text) or beyond


def test_the_schema_knows_the_very_fields_and_words_of_the_reader() -> None:
    properties = SCHEMA["properties"]
    assert set(properties) == set(FIELDS[""])
    tables = {name: properties[name]["additionalProperties"] for name in ("keys", "timestamps", "ledgers")}
    assert {name: set(table["properties"]) for name, table in tables.items()} == {
        name: set(FIELDS[name]) for name in tables
    }
    rules = properties["rules"]["properties"]
    assert tuple(rules) == ROLES
    assert {role for role, rule in rules.items() if "max-age" in rule["properties"]} == set(BUILT_ROLES)
    assert set().union(*(rule["properties"] for rule in rules.values())) == set(FIELDS["rules"])
    assert accepted(TEXT + REST)
    assert not accepted(TEXT + REST.replace("origin", "name"))
