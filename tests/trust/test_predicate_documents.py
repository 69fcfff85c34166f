import json
import re
from pathlib import Path

import pytest

from launcher.spec.imported import ImportStatement
from launcher.spec.predicates import (
    IMPORTED_TYPE,
    LOCK_TYPE,
    PROVENANCE_TYPE,
    REPRODUCTION_TYPE,
    RESULT_TYPE,
    EvaluationResult,
    LockStatement,
    Provenance,
)
from launcher.spec.reproduction import Reproduction
from launcher.spec.statement import Statement
from launcher.trust.dsse import verify_envelope
from launcher.trust.sigstore import open_envelope, seal
from tests.trust.sealed_bundle import ALICE

FOLDER = Path(__file__).parents[2] / "docs" / "predicates"
READERS = {
    "provenance.md": (PROVENANCE_TYPE, Provenance),
    "evaluation-result.md": (RESULT_TYPE, EvaluationResult),
    "lock.md": (LOCK_TYPE, LockStatement),
    "imported.md": (IMPORTED_TYPE, ImportStatement),
    "reproduction.md": (REPRODUCTION_TYPE, Reproduction),
}


def keys_of(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value) | set().union(*map(keys_of, value.values()))
    return set().union(*map(keys_of, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("name", READERS)
def test_the_documented_example_is_what_is_signed_and_read(name: str) -> None:
    text = (FOLDER / name).read_text()
    predicate_type, reader = READERS[name]
    example = json.loads(re.search(r"```json\n(.*?)```", text, re.DOTALL)[1])  # type: ignore[index]
    statement = Statement.from_json(verify_envelope(open_envelope(seal(example, ALICE)), ALICE.public))
    assert f"`{predicate_type}`" in text
    assert statement.predicate_type == predicate_type
    assert reader.from_json(statement.predicate).as_json() == statement.predicate
    assert statement.as_json() == example


@pytest.mark.parametrize("name", READERS)
def test_every_field_of_a_predicate_is_documented(name: str) -> None:
    text, _, example = (FOLDER / name).read_text().partition("## Example")
    predicate = json.loads(example[example.index("{") : example.rindex("}") + 1])["predicate"]
    for texts in (("buildDefinition", "internalParameters"), ("predicate", "environment")):
        predicate.get(texts[0], predicate).pop(texts[1], None)
    versions = {"evalctl"}
    assert {key for key in keys_of(predicate) - versions if key not in text} == set()


@pytest.mark.parametrize("name", READERS)
def test_a_predicate_without_one_of_its_fields_is_refused(name: str) -> None:
    example = re.search(r"```json\n(.*?)```", (FOLDER / name).read_text(), re.DOTALL)[1]  # type: ignore[index]
    _, reader = READERS[name]
    for key in json.loads(example)["predicate"]:
        predicate = json.loads(example)["predicate"]
        del predicate[key]
        with pytest.raises(Exception, match="the signed statement is malformed"):
            reader.from_json(predicate)
