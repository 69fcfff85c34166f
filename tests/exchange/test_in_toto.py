"""What in-toto's own model reads of an exported verdict, and what it may say."""

import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

from launcher.exchange.in_toto import TEST_RESULT_TYPE, test_result
from launcher.spec import bundle as names
from launcher.spec.bundle import SUMS
from launcher.verify import load_contents
from tests.bundles.case import write_files
from tests.bundles.honest import METRIC, Files, Run, imported, launched
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld
from tests.outside.judges import Case, openssl, securesystemslib, sigstore_js

test_result.__test__ = False  # type: ignore[attr-defined]
MISSED = METRIC.replace("min = 0.8", "min = 0.99")
FREE = METRIC.partition("\nthreshold")[0]
ASKS_AN_END = (
    '\n[[metric]]\nname = "second"\ndefinition = "f1@1"\nthreshold = { min = 0.2, on = "ci-lower" }\n'
)


def exported(folder: Path, files: Files) -> Any:
    folder.mkdir()
    write_files(folder, files)
    return test_result(load_contents(folder), files[SUMS])


@pytest.mark.parametrize(
    ("files", "result"),
    [
        (launched(Run()), "PASSED"),
        (launched(Run(metric=MISSED)), "FAILED"),
        (
            launched(Run(metric=METRIC + ASKS_AN_END + 'parameters = { average = "macro" }', items=1)),
            "WARNED",
        ),
        (launched(Run(metric=FREE)), "WARNED"),
        (launched(Run(failure="timeout")), "FAILED"),
        (launched(Run(sandbox='network = "egress"\nallow-hosts = ["judge.example"]')), "WARNED"),
        (imported(Run()), "WARNED"),
    ],
    ids=["passed", "missed", "no-interval", "no-threshold", "timeout", "not-re-runnable", "imported"],
)
def test_only_a_whole_run_that_kept_every_threshold_has_passed(
    tmp_path: Path, files: Files, result: str
) -> None:
    statement = exported(tmp_path / "bundle", files)
    assert statement["predicate"]["result"] == result
    Statement.copy_from_pb(ParseDict(statement, statement_pb2.Statement())).validate()
    message = ParseDict(statement["predicate"], test_result_pb2.TestResult())
    assert message.result == result
    back = MessageToDict(message)
    assert {key: value for key, value in statement["predicate"].items() if value} == back
    assert statement["predicateType"] == TEST_RESULT_TYPE


def test_it_names_tests_subjects_and_what_was_run(tmp_path: Path) -> None:
    files = launched(
        Run(metric=METRIC + '\n[[metric]]\nname = "free"\ndefinition = "f1@1"\nparameters = { class = 1 }')
    )
    statement = exported(tmp_path / "bundle", files)
    predicate = statement["predicate"]
    assert (predicate["passedTests"], predicate["failedTests"]) == (["accuracy (accuracy@1)"], [])
    assert {one["name"] for one in statement["subject"]} == {
        name for name in files if not names.is_attestation(name)
    }
    assert [one["name"] for one in predicate["configuration"]] == [
        *("lock.json", "image", "image-config", "code", "data/items")
    ]


def test_the_command_writes_a_statement_and_signs_it_where_a_key_is_named(
    world: SmallWorld, evalctl: Evalctl, tmp_path: Path
) -> None:
    bundle = world.launch().bundle
    bare = json.loads(evalctl("export", "in-toto", bundle).out)
    assert bare["predicateType"] == TEST_RESULT_TYPE
    place = tmp_path / "verdict.sigstore.json"
    done = evalctl("export", "in-toto", bundle, "--out", place, "--key", world.home.default_key)
    assert (done.code, done.out) == (0, f"{place}\n")
    case = Case(str(place), world.signer.public.pem, TEST_RESULT_TYPE, str(bundle))
    wrong = Case(str(bundle / names.RESULT_ATTESTATION), case.key, TEST_RESULT_TYPE, str(bundle))
    for judge in (securesystemslib, openssl, sigstore_js):
        accepted, refused = judge([case, wrong], tmp_path)
        assert accepted is None
        assert refused


def test_a_bundle_that_does_not_verify_is_not_exported(
    world: SmallWorld, evalctl: Evalctl, tmp_path: Path
) -> None:
    bundle = world.launch().bundle
    (tmp_path / "trust.toml").write_text("version = 1\nexpires = 2040-01-01T00:00:00Z\n")
    assert evalctl("export", "in-toto", bundle, "--trust", tmp_path / "trust.toml").code == 3
    (bundle / "samples.jsonl").write_bytes(b"")
    done = evalctl("export", "in-toto", bundle, "--out", tmp_path / "verdict.json")
    assert (done.code, done.out, (tmp_path / "verdict.json").exists()) == (1, "", False)
