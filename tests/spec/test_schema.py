import tomllib
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from launcher.spec.kinds import FREE_DEFINITIONS, REQUIRED, Fault, Key, Kind, ListOf, MapOf, Scalar, Table
from launcher.spec.language import BLUEPRINT
from launcher.spec.schema import blueprint_schema

CORPUS = Path(__file__).parent / "blueprints"
VALIDATOR = Draft202012Validator(blueprint_schema())
# What a schema cannot say: it follows no reference, compares no two keys, knows no calendar and no NaN.
BEYOND_A_SCHEMA = {
    "dotted_too_deep",
    "egress_without_hosts",
    "labels_readable",
    "lineage_in_a_circle",
    "metric_definitions",
    "names_repeated",
    "nested_too_deep",
    "not_supported_yet",
    "places_behind_wide_text",
    "references",
    "registry_only",
    "services",
    "resamples",
    "sizes_beyond_memory",
    "two_primaries",
}
CANDIDATES: tuple[Any, ...] = (
    *(True, False, 0, 1, -1, 2, 64, 65, 3600, 2**32 - 1, 2**32, 0.5, -0.5, 1.5, 1e300),
    *("", "a", "A-b.c_d", "-a", ".a", "a/b", "a/b/c", "../a", "/a", "a//b", "a/", "x" * 300, "x" * 20_000),
    *("1.0.0", "01.0.0", "1.0", "2024-01-31", "2024-1-31", "45m", "1h30m", "30m1h", "0s", "10ms", "h"),
    *("4GiB", "4 GiB", "4gb", "0B", "1.5GiB", "a" * 40, "a" * 64, "A" * 64, "sha256:" + "a" * 64, "a" * 63),
    *("oci:image@sha256:" + "a" * 64, "acme/x@sha256:" + "a" * 64, "acme/x:1@sha256:" + "a" * 64, "acme/x:1"),
    *(
        "oci:a b",
        "host:5000/a",
        "UPPER/a",
        "linux/amd64",
        "https://example.org/x",
        "http://u:p@h/",
        "ftp://x",
    ),
    *("file:///x", "doi:10.1/x", "accuracy@1", "accuracy", "code:metric.py", "prediction", "scores.x"),
    *(">=8.0", "8.0", "EVALCTL_X", "9X", "OK_1", "a\u0000b", "a\nb", "\u202ex", "\u001b[0m", "ünï"),
    *(
        "none",
        "public",
        "train",
        "input",
        "samples",
        "higher",
        "runc",
        "metric",
        "value",
        "evalctl/blueprint/v1",
    ),
    *([], [1], [1, 1], ["a"], ["a", "a"], [""], {}, {"a": 1}, {"A": "x"}, {"$a": 1}, {"a": {"$b": 1}}),
)
# A grammar that its expression only approximates: known words, credentials, hosts, reserved names.
APPROXIMATED = {"a URI or a path", "a repository", "a free variable name", "a table, each value text"}


def keys_of(table: Table) -> list[Key]:
    found = []
    for key in table.keys:
        found.append(key)
        kind = key.kind.item if isinstance(key.kind, ListOf) else key.kind
        if isinstance(kind, Table):
            found.extend(keys_of(kind))
    return found


LEAVES = {
    f"{key.name} ({key.kind.label})": key.kind
    for key in keys_of(BLUEPRINT)
    if isinstance(key.kind, Scalar | ListOf | MapOf) and not isinstance(getattr(key.kind, "item", 0), Table)
}


def as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value.isoformat() if isinstance(value, date | time) else value


def is_readable(kind: Kind, value: Any) -> bool:
    faults: list[Fault] = []
    kind.read(value, ("key",), faults)
    return not faults


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(blueprint_schema())
    assert blueprint_schema()["$id"] == "https://w3id.org/evalctl-launcher/schemas/blueprint/v1"


@pytest.mark.parametrize("name", LEAVES)
def test_schema_and_reader_accept_the_same_values(name: str) -> None:
    kind = LEAVES[name]
    validator = Draft202012Validator({**kind.schema(), "$defs": dict(FREE_DEFINITIONS)})
    for value in CANDIDATES:
        accepted, readable = validator.is_valid(value), is_readable(kind, value)
        if readable or not any(label in name for label in APPROXIMATED):
            assert accepted == readable, value


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*_good.toml")), ids=lambda path: path.stem)
def test_the_schema_accepts_every_good_blueprint(path: Path) -> None:
    assert list(VALIDATOR.iter_errors(as_json(tomllib.loads(path.read_text(encoding="utf-8"))))) == []


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*_bad.toml")), ids=lambda path: path.stem)
def test_the_schema_refuses_what_the_reader_refuses_for_its_structure(path: Path) -> None:
    try:
        document = tomllib.loads(path.read_bytes().decode())
    except (ValueError, RecursionError):
        return
    assert VALIDATOR.is_valid(as_json(document)) == (path.stem.removesuffix("_bad") in BEYOND_A_SCHEMA)


@pytest.mark.parametrize(
    "key",
    [key for key in keys_of(BLUEPRINT) if key.default not in (REQUIRED, None)],
    ids=lambda key: key.name,
)
def test_every_default_is_valid_by_reader_and_schema(key: Key) -> None:
    assert is_readable(key.kind, key.default)
    schema = {**key.kind.schema(), "$defs": dict(FREE_DEFINITIONS)}
    assert Draft202012Validator(schema).is_valid(key.default)
