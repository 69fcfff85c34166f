"""No lie about what is withheld verifies: not the redactor's, and not that of whoever launched."""

import base64
import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from launcher.canonical import canonical_bytes
from launcher.errors import CheckFailedError, MalformedError
from launcher.metrics.committed import refuse_unredactable
from launcher.metrics.contributions import Form
from launcher.spec import bundle as names
from launcher.spec.blueprint import Metric
from launcher.spec.commitments import Entry, refuse_large
from launcher.spec.disclosure import Choice, sample_left
from launcher.spec.sample import Sample
from launcher.trust.policy import single_key_policy
from launcher.verify import verify
from launcher.verify.told import FieldComparison
from tests.bundles.case import write_files
from tests.bundles.keys import ALICE
from tests.bundles.redacting import KEY, USUAL, change_part, change_samples
from tests.bundles.redacting import redacted as redacted_files_of
from tests.fakes.forgery import copy_of, reseal, statement_of
from tests.fakes.world import SmallWorld
from tests.redact.redactable import redact, why
from tests.trust.sealed_bundle import BOB


def change_lines(path: Path, change: Callable[[list[Any]], Any]) -> None:
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    change(lines)
    path.write_bytes(b"".join(canonical_bytes(line) + b"\n" for line in lines))


def samples_in(lines: list[Any]) -> list[dict[str, Any]]:
    return [line["opening"] for line in lines if "sample" in line]


def change_value(lines: list[Any]) -> None:
    samples_in(lines)[0]["metric.0"][1] = [False, not samples_in(lines)[0]["metric.0"][1][1]]


def swap_salts(lines: list[Any]) -> None:
    one = samples_in(lines)[0]
    one["item"][0], one["seed"][0] = one["seed"][0], one["item"][0]


def swap_openings(lines: list[Any]) -> None:
    one, other, *_ = samples_in(lines)
    one["metric.1"], other["metric.1"] = other["metric.1"], one["metric.1"]


def swap_columns(lines: list[Any]) -> None:
    one = samples_in(lines)[0]
    one["metric.0"], one["metric.1"] = one["metric.1"], one["metric.0"]


def drop_sample(lines: list[Any]) -> None:
    lines.remove(next(line for line in lines if "sample" in line and "id" not in line["opening"]))


def drop_visible_sample(lines: list[Any]) -> None:
    lines.remove(next(line for line in lines if "sample" in line and "id" in line["opening"]))


def withhold_sample(lines: list[Any]) -> None:
    one = next(one for one in samples_in(lines) if "id" in one)
    for column in ("id", "epoch", "groups", "input_sha256", "task"):
        one.pop(column, None)


def withhold_contribution(lines: list[Any]) -> None:
    del samples_in(lines)[0]["metric.2"]


def add_sample(lines: list[Any]) -> None:
    lines.append({"sample": "f" * 32, "opening": samples_in(lines)[0]})


def repeat_sample(lines: list[Any]) -> None:
    lines.append(next(line for line in lines if "sample" in line))


def drop_step(lines: list[Any]) -> None:
    lines.remove(next(line for line in lines if "event" in line))


def drop_deviations(lines: list[Any]) -> None:
    lines.remove(next(line for line in lines if line.get("result") == "deviations"))


LIES = {
    change_value: "what is given out of the sample",
    swap_salts: "what is given out of the sample",
    swap_openings: "what is given out of the sample",
    swap_columns: "what is given out of the sample",
    drop_sample: "a sample is missing",
    drop_visible_sample: "a sample is missing",
    withhold_sample: "samples are withheld, and 4 are said to be",
    withhold_contribution: "withholds its 'metric.2'",
    add_sample: "never committed to",
    repeat_sample: "out of order or stands twice",
    drop_step: "a step is missing",
    drop_deviations: "`result.json` is not what the values given out make",
}


@pytest.mark.parametrize("change", LIES, ids=lambda change: change.__name__)
def test_a_redactor_who_lies_about_what_is_given_out_is_refused(
    shared: SmallWorld, lie: Path, change: Callable[[list[Any]], Any]
) -> None:
    change_lines(lie / names.OPENINGS, change)
    reseal(lie, shared.signer)
    assert LIES[change] in why(shared, lie)


def in_result(lie: Path, shared: SmallWorld, change: Callable[[Any], Any]) -> None:
    """Change the redaction that result and statement claim, alike."""

    def change_claim(predicate: Any) -> None:
        predicate["redaction"]["samples"] = int(predicate["redaction"]["samples"])
        change(predicate["redaction"])
        predicate["redaction"]["samples"] = str(predicate["redaction"]["samples"])

    path = lie / names.RESULT
    result = json.loads(path.read_bytes())
    change(result["redaction"])
    path.write_bytes(canonical_bytes(result) + b"\n")
    reseal(lie, shared.signer, result=change_claim)


CLAIMS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "fewer samples": (lambda it: it.update(samples=2), "4 samples are withheld, and 2 are said to be"),
    "no samples": (lambda it: it.update(samples=0), "are withheld, and 0 are said to be"),
    "no targets": (lambda it: it["withheld"].remove("targets"), "withholds its 'target'"),
    "inputs": (lambda it: it["withheld"].insert(0, "inputs"), "gives out its"),
    "no logs": (lambda it: it["withheld"].remove("logs"), "is not there, against what is said"),
    "no details": (lambda it: it["withheld"].remove("event-details"), "are not those that must be"),
    "another original": (lambda it: it.update(original="sha256:" + "0" * 64), "another original"),
    "whole samples": (lambda it: it["redacted"].remove("samples.jsonl"), "are not those that must be"),
}


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_redactor_who_claims_to_withhold_something_else_is_refused(
    shared: SmallWorld, lie: Path, claim: str
) -> None:
    change, said = CLAIMS[claim]
    in_result(lie, shared, change)
    assert said in why(shared, lie)


def test_a_changed_attestation_of_the_original_is_refused(shared: SmallWorld, lie: Path) -> None:
    path = lie / names.as_original(names.RESULT_ATTESTATION)
    value = json.loads(path.read_bytes())
    signature = bytearray(base64.b64decode(value["dsseEnvelope"]["signatures"][0]["sig"]))
    signature[0] ^= 1
    value["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    path.write_bytes(canonical_bytes(value) + b"\n")
    assert why(shared, lie)


@pytest.mark.parametrize("name", [names.RESULT_ATTESTATION, names.LOCK_ATTESTATION])
def test_a_missing_attestation_of_the_original_is_refused(shared: SmallWorld, lie: Path, name: str) -> None:
    (lie / names.as_original(name)).unlink()
    assert "has no" in why(shared, lie)


def test_another_listing_of_the_original_is_refused(shared: SmallWorld, lie: Path) -> None:
    path = lie / names.ORIGINAL_SUMS
    path.write_bytes(path.read_bytes().replace(b"0", b"1", 1))
    reseal(lie, shared.signer)
    assert why(shared, lie)


def test_an_original_by_a_stranger_is_trusted_by_nobody(shared: SmallWorld, lie: Path) -> None:
    statement = statement_of(lie, names.as_original(names.RESULT_ATTESTATION))
    from launcher.trust.sigstore import seal

    for name in (names.RESULT_ATTESTATION, names.PROVENANCE_ATTESTATION):
        statement = statement_of(lie, names.as_original(name))
        (lie / names.as_original(name)).write_bytes(seal(statement, BOB))
    assert shared.verify(lie).verdict == "untrusted"


def test_a_bundle_that_is_not_redacted_may_not_hold_what_only_redacted_ones_have(
    shared: SmallWorld, original: Path, redacted: Path, tmp_path: Path
) -> None:
    lie = copy_of(original, tmp_path / "lie")
    shutil.copy(redacted / names.OPENINGS, lie / names.OPENINGS)
    reseal(lie, shared.signer)
    assert "is of a redacted bundle" in why(shared, lie)


COMMITTED: dict[str, tuple[Callable[[list[Any]], Any], str]] = {
    "a sample less": (lambda lines: lines.pop(), "commitments to"),
    "a file less": (
        lambda lines: lines.remove(next(line for line in lines if "file" in line)),
        "not one commitment for each",
    ),
    "a column less": (
        lambda lines: (
            lines[0]["columns"].remove("target"),
            [line["commitment"].pop("target") for line in lines if "sample" in line],
        ),
        "no commitment to the samples' `target`",
    ),
    "no column of items": (
        lambda lines: (
            lines[0]["columns"].remove("item"),
            [line["commitment"].pop("item") for line in lines if "sample" in line],
        ),
        "no commitment to the samples' `item`",
    ),
    "no contributions": (lambda lines: lines[0]["metrics"].pop(), "not in the form"),
    "no digest": (lambda lines: lines[1].update(commitment="x"), "is not what it must be"),
    "out of order": (lambda lines: lines.append(lines.pop(-2)), "out of order"),
}


@pytest.mark.parametrize("lacking", COMMITTED)
def test_an_original_without_a_commitment_for_each_part_is_refused(
    shared: SmallWorld, original: Path, tmp_path: Path, lacking: str
) -> None:
    change, said = COMMITTED[lacking]
    lie = copy_of(original, tmp_path / "lie")
    change_lines(lie / names.COMMITMENTS, change)
    reseal(lie, shared.signer)
    assert said in why(shared, lie)


def test_a_redactable_bundle_without_commitments_is_refused(
    shared: SmallWorld, original: Path, tmp_path: Path
) -> None:
    lie = copy_of(original, tmp_path / "lie")
    (lie / names.COMMITMENTS).unlink()
    reseal(lie, shared.signer)
    assert "has no `commitments.jsonl`" in why(shared, lie)


@pytest.mark.parametrize("column", ["metric.0", "metric.1", "metric.2", "failed", "item"])
def test_a_launcher_that_committed_to_other_contributions_than_its_samples_make_is_refused(
    shared: SmallWorld, original: Path, column: str
) -> None:
    made = redact(shared, original, ids=("item-03",))
    contents = shared.verify(made).contents
    assert contents
    lines = [json.loads(line) for line in (made / names.OPENINGS).read_bytes().splitlines()]
    entries = [
        Entry("sample", line["sample"], {name: cell[1] for name, cell in line["opening"].items()})
        for line in lines
        if "sample" in line
    ]
    metrics = contents.blueprint.metrics
    compare_fields(metrics, entries)
    entry = next(entry for entry in entries if entry.cells.get("id") == "item-04")
    false = {"metric.0": [False, True], "metric.1": [False, 1, 1], "metric.2": [False, 9.0]}
    lie = replace(entry, cells={**entry.cells, column: false.get(column, "odd")})
    with pytest.raises(CheckFailedError, match="something else than its fields say"):
        compare_fields(metrics, [lie if each is entry else each for each in entries])


def compare_fields(metrics: Sequence[Metric], entries: Sequence[Entry]) -> None:
    comparison = FieldComparison(metrics, [Form("right"), Form("ranks"), Form("number")], frozenset(), b"key")
    for entry in entries:
        if (sample := sample_left(entry)) is not None:
            comparison.add(entry.cells, sample)
    comparison.close()


def flip_prediction(cells: dict[str, Any]) -> None:
    cells["prediction"] = (cells["target"] + 1) % 3


@pytest.mark.parametrize("withheld", [(), ("inputs",)])
def test_a_launcher_whose_visible_samples_say_something_else_is_refused(
    tmp_path: Path, withheld: tuple[str, ...]
) -> None:
    lie = change_samples(flip_prediction)
    write_files(tmp_path, redacted_files_of(Choice(USUAL | {*withheld}, frozenset({"item-0003"})), lie=lie))
    assert "something else than its fields say" in refused_for(tmp_path)


def refused_for(bundle: Path) -> str:
    verification = verify(bundle, single_key_policy(ALICE.public), datetime.now(UTC))
    assert verification.verdict == "failed", verification.checks
    return "; ".join(check.detail for check in verification.checks if check.status == "failed")


def test_tables_that_no_samples_make_are_refused_where_every_sample_is_there(tmp_path: Path) -> None:
    table = {"confusion": {"labels": [0], "counts": [[40]], "failed": [0]}}
    write_files(tmp_path, redacted_files_of(Choice(USUAL), lie=change_part("tables", table)))
    assert "the tables do not follow from the samples" in refused_for(tmp_path)


def other_item(cells: dict[str, Any]) -> None:
    if cells["replicate"] == 1 and cells["id"] == "item-0004":
        cells["item"] = KEY.item(None, "item-0003")


def no_failure(cells: dict[str, Any]) -> None:
    cells["failed"] = "no"


@pytest.mark.parametrize(
    ("change", "said"),
    [(other_item, "replicates answered different items"), (no_failure, "neither failed nor did not")],
)
def test_a_launcher_who_committed_to_what_no_run_makes_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], said: str
) -> None:
    everything = frozenset(f"item-{number:04}" for number in range(20))
    made = redacted_files_of(Choice(USUAL, everything), lie=change_samples(change))
    write_files(tmp_path, made)
    assert said in refused_for(tmp_path)


def test_the_number_of_commitments_to_samples_is_bounded() -> None:
    few = [Sample("a", prediction=1, target=1)] * 50_000
    refuse_unredactable(few, 312)
    with pytest.raises(MalformedError, match="a redactable bundle holds at most"):
        refuse_unredactable(few, 313)
    with pytest.raises(CheckFailedError, match="a redactable bundle holds at most"):
        refuse_large(1_600_001, 10)
