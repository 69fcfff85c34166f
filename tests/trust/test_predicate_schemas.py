"""Schema and reader of each predicate accept the same, as far as a schema can say it."""

import json
from pathlib import Path
from typing import Any, Protocol

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from jsonschema import Draft202012Validator

from launcher.canonical import canonical_bytes
from launcher.errors import EvalctlError
from launcher.spec.imported import ImportStatement
from launcher.spec.predicates import BUILD_TYPE, EvaluationResult, LockStatement, Provenance
from launcher.spec.redaction import Redaction
from launcher.spec.reproduction import Reproduction
from launcher.spec.schema import schema_of
from tests.bundles.honest import Run, imported, launched
from tests.spec.test_record_schemas import VALUES, changed, places
from tests.trust.sealed_bundle import PROVENANCE, RESULT, reproduction_of, sealed


class Reader(Protocol):
    """What reads a predicate."""

    def from_json(self, value: Any) -> Any:
        """Return it or refuse it."""


def predicate_in(files: dict[str, bytes], name: str) -> Any:
    from base64 import b64decode

    value = json.loads(files[f"attestations/{name}.sigstore.json"])
    return json.loads(b64decode(value["dsseEnvelope"]["payload"]))["predicate"]


LAUNCHED, IMPORTED = launched(Run()), imported(Run())
REDACTED = {
    **RESULT.as_json(),
    "redaction": Redaction("sha256:" + "6" * 64, ("predictions", "logs"), 3, ("result.json",)).as_claim(),
}
READERS: dict[str, tuple[Reader, list[Any]]] = {
    "provenance": (Provenance, [PROVENANCE.as_json(), predicate_in(LAUNCHED, "provenance")]),
    "evaluation-result": (
        EvaluationResult,
        [
            RESULT.as_json(),
            predicate_in(LAUNCHED, "result"),
            predicate_in(launched(Run(failure="timeout")), "result"),
            predicate_in(IMPORTED, "result"),
            REDACTED,
        ],
    ),
    "lock-statement": (LockStatement, [predicate_in(LAUNCHED, "lock")]),
    "imported": (ImportStatement, [predicate_in(IMPORTED, "lock")]),
    "reproduction": (
        Reproduction,
        [reproduction_of(sealed()).as_json(), reproduction_of(sealed(), scope="samples").as_json()],
    ),
}
# What follows from elsewhere in the predicate, or is a time that does not exist, no schema says.
BEYOND = {
    "provenance": {("runDetails", "metadata", "startedOn"), ("runDetails", "metadata", "finishedOn")},
    "evaluation-result": {("redaction", "withheld"), ("redaction", "redacted")},
    "reproduction": {("verdict",), ("samples", "n"), ("samples", "equal"), ("metrics", 0)},
}
MORE = (
    "0.50",
    "1e5",
    "-3",
    "00",
    "2026-02-03T04:05:06Z",
    "2026-02-03",
    "gte",
    "ci-lower",
    "full",
    "diverged",
)


def accepts(reader: Reader, value: Any) -> bool:
    try:
        reader.from_json(value)
    except EvalctlError:
        return False
    return True


def is_beyond(name: str, path: tuple[str | int, ...]) -> bool:
    return any(path[: len(prefix)] == prefix for prefix in BEYOND.get(name, set()))


@pytest.mark.parametrize("name", READERS)
def test_what_is_signed_is_valid(name: str) -> None:
    reader, documents = READERS[name]
    validator = Draft202012Validator(schema_of(name))
    for document in documents:
        validator.validate(document)
        assert accepts(reader, document)


@pytest.mark.parametrize("name", READERS)
def test_schema_and_reader_accept_the_same_of_every_single_change(name: str) -> None:
    reader, documents = READERS[name]
    validator, refused = Draft202012Validator(schema_of(name)), 0
    for document in documents:
        for path in places(document):
            if not path or is_beyond(name, path):
                continue
            mutants = [changed(document, path, "replace", value) for value in (*VALUES, *MORE)]
            mutants += [changed(document, path, how, "x") for how in ("remove", "add")]
            for mutant in mutants:
                taken = accepts(reader, mutant)
                assert validator.is_valid(mutant) == taken, (path, mutant)
                refused += not taken
    assert refused > 40


@pytest.mark.parametrize("name", BEYOND)
def test_what_a_schema_cannot_say_it_does_not_refuse(name: str) -> None:
    """Where only the reader knows better, the schema is the weaker of the two."""
    reader, documents = READERS[name]
    validator = Draft202012Validator(schema_of(name))
    for document in documents:
        for path in places(document):
            for value in (*VALUES, *MORE) if path and is_beyond(name, path) else ():
                mutant = changed(document, path, "replace", value)
                assert validator.is_valid(mutant) or not accepts(reader, mutant), (path, value)


def test_the_external_parameters_of_a_launch_are_exactly_the_documented_ones() -> None:
    validator = Draft202012Validator(schema_of("launch"))
    definition = predicate_in(LAUNCHED, "provenance")["buildDefinition"]
    assert definition["buildType"] == BUILD_TYPE
    validator.validate(definition["externalParameters"])
    for path in places(definition["externalParameters"]):
        for how in ("remove", "add") if path else ():
            assert not validator.is_valid(changed(definition["externalParameters"], path, how, "x"))


def test_the_provenance_is_slsa_field_by_field() -> None:
    """in-toto's own model takes every field, gives it back unchanged, and finds what SLSA demands."""
    for files in (LAUNCHED, IMPORTED):
        value = predicate_in(files, "provenance")
        message = ParseDict(value, provenance_pb2.Provenance())
        assert canonical_bytes(strict(MessageToDict(message))) == canonical_bytes(strict(value))
        definition, details = message.build_definition, message.run_details
        assert definition.build_type.startswith("https://w3id.org/evalctl-launcher/")
        assert definition.external_parameters["lock"].startswith("sha256:")
        assert details.builder.id.startswith("https://")
        assert details.builder.version
        assert details.metadata.invocation_id
        assert details.metadata.started_on.ToDatetime() <= details.metadata.finished_on.ToDatetime()
        named = {dependency.name: dict(dependency.digest) for dependency in definition.resolved_dependencies}
        assert all(named.values())
        if files is LAUNCHED:
            assert {"image", "image-config", "code", "data/items"} <= named.keys()
            assert set(named["code"]) == {"gitCommit", "gitTree"}


def strict(value: Any) -> Any:
    """Return a predicate without the digits of its times that say nothing: `.000Z` and `Z` are one moment."""
    text = json.dumps(value, sort_keys=True).replace(".000Z", "Z").replace(".250Z", ".25Z")
    return json.loads(text)


def test_every_schema_of_a_predicate_is_named_in_its_document() -> None:
    folder = Path(__file__).parents[2] / "docs" / "predicates"
    text = "".join(path.read_text() for path in folder.glob("*.md"))
    for name in (*READERS, "launch"):
        assert f"`evalctl schema {name}`" in text
