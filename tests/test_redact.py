"""Redaction: what is withheld is in no byte, what is left still verifies, and no lie about it does."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from launcher.canonical import canonical_bytes
from launcher.errors import CheckFailedError, MalformedError
from launcher.metrics.committed import refuse_unredactable
from launcher.metrics.contributions import Form
from launcher.redact.search import found_in, telling_texts
from launcher.spec import bundle as names
from launcher.spec.blueprint import Metric
from launcher.spec.commitments import Entry, refuse_large
from launcher.spec.disclosure import Choice, sample_left
from launcher.spec.sample import Sample
from launcher.spec.schema import schema_of
from launcher.trust.policy import single_key_policy
from launcher.trust.policy_file import read_policy
from launcher.verify import verify
from launcher.verify.told import FieldComparison
from tests.bundles.case import write_files
from tests.bundles.keys import ALICE
from tests.bundles.redacting import KEY, USUAL, change_part, change_samples
from tests.bundles.redacting import redacted as redacted_files_of
from tests.conftest import Evalctl
from tests.fakes.engine import World as Inside
from tests.fakes.finished import Finished
from tests.fakes.forgery import copy_of, reseal, statement_of
from tests.fakes.world import SmallWorld, copy_world, write_lines
from tests.trust.sealed_bundle import BOB

CANARY = "canary-7f3e91d2"
METRICS = """[[metric]]
name = "macro"
definition = "f1@1"
parameters = { average = "macro", resamples = 200 }

[[metric]]
name = "loss"
definition = "mean@1"
of = "scores.loss"
where = { size = "large" }

"""
SECTIONS = {
    "score": None,
    "labels": None,
    "run": 'command = ["answer"]\nseeds = [3, 4]',
    "tail": METRICS + "[bundle]\nredactable = true\n",
}
EVERYTHING = ("--withhold", "inputs,predictions,targets")


def tell(inside: Inside) -> int:
    """Leave a canary in one sample, and in everything else that a program can leave."""
    samples = [
        {
            "id": f"item-{number:02}",
            "prediction": ["lda", "svm"][number % 2],
            "target": ["lda", "svm", "lda"][number % 3],
            "scores": {"loss": number / 7},
            "groups": {"size": ["large", "small"][number % 2]},
            "weight": 1 + number % 2,
            "seconds": 0.25,
        }
        for number in range(12)
    ]
    samples[7] |= {
        "id": f"the {CANARY}",
        "prediction": f"{CANARY} predicted",
        "target": f"{CANARY} wanted",
        "task": f"{CANARY} task",
        "input_sha256": "ab" * 32,
        "seconds": 0.5,
    }
    samples[7]["groups"]["who"] = f"{CANARY} group"
    samples.append(
        {"id": f"failed {CANARY}", "target": "lda", "error": f"broke on {CANARY}", "scores": {"loss": 1}}
    )
    samples[-1]["groups"] = {"size": "large"}
    write_lines(inside.outputs / "samples.jsonl", samples)
    event = {"step": f"load {CANARY}", "phase": f"of {CANARY}", "detail": {"last": CANARY}}
    write_lines(inside.outputs / "events.jsonl", [event])
    (inside.outputs / "artifacts").mkdir()
    (inside.outputs / "artifacts" / "trace.txt").write_text(f"looked at {CANARY}")
    inside.stdout.extend(f"{CANARY} on stdout\n".encode())
    inside.stderr.extend(base64.b64encode(CANARY.encode()) + b"\n")
    return 0


@pytest.fixture(scope="module")
def shared(world_template: Path, tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    """Return a world in which a redactable bundle was made, for tests that leave it alone."""
    world = copy_world(world_template, tmp_path_factory.mktemp("redactable") / "world")
    world.plays(tell)
    world.launch(sections=SECTIONS)
    return world


@pytest.fixture(scope="module")
def original(shared: SmallWorld) -> Path:
    (bundle,) = shared.home.bundles.iterdir()
    return bundle


@pytest.fixture(scope="module")
def redacted(shared: SmallWorld, original: Path) -> Path:
    """Return a bundle without predictions and targets, and without the two samples of the canary."""
    return redact(shared, original, "predictions", "targets", ids=(f"the {CANARY}", f"failed {CANARY}"))


def redact(world: SmallWorld, bundle: Path, *withheld: str, ids: tuple[str, ...] = ()) -> Path:
    from launcher.redact import Redactor
    from launcher.redact import redact as redact_bundle

    usual = {"artifacts", "event-details", "logs", "prediction-files"}
    redactor = Redactor(world.home, world.signer, world.policy, datetime.now(UTC))
    return redact_bundle(bundle, Choice(frozenset(withheld) | usual, frozenset(ids)), redactor).path


@pytest.fixture
def lie(redacted: Path, tmp_path: Path) -> Path:
    """Return a copy of the redacted bundle to do harm to."""
    return copy_of(redacted, tmp_path / "lie")


@pytest.fixture
def told(shared: SmallWorld, evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch) -> Evalctl:
    """Return the command line in the world of the shared bundles."""
    monkeypatch.setenv("EVALCTL_HOME", str(shared.home.root))
    return evalctl


def files_of(bundle: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(bundle.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            yield path.relative_to(bundle).as_posix(), data
            if path.suffix == ".json" and path.parent.name == "attestations":
                payload = json.loads(data)["dsseEnvelope"]["payload"]
                yield f"{path.name} payload", base64.b64decode(payload)


def forms(text: str) -> list[bytes]:
    data = text.encode()
    encoded = [base64.b64encode(b"x" * offset + data)[4 * (offset > 0) : -4] for offset in range(3)]
    return [data, data.hex().encode(), data.hex().upper().encode(), data[::-1], *encoded]


def said_by(answer: Finished) -> Any:
    return json.loads(answer.out)


def error_of(answer: Finished) -> str:
    return str(json.loads(answer.err.splitlines()[-1])["error"]["code"])


def why(world: SmallWorld, bundle: Path) -> str:
    verification = world.verify(bundle)
    assert verification.verdict == "failed", verification.checks
    return "; ".join(check.detail for check in verification.checks if check.status == "failed")


def test_a_redactable_bundle_commits_to_every_part_and_verifies(shared: SmallWorld, original: Path) -> None:
    verification = shared.verify(original)
    assert verification.verdict == "verified", verification.checks
    (check,) = [check for check in verification.checks if check.name == "commitments"]
    assert "what they commit to is not checked" in check.detail


def test_the_key_of_the_salts_is_the_owners_alone_and_in_no_bundle(
    shared: SmallWorld, original: Path
) -> None:
    (key,) = (shared.home.root / "redaction").glob("*.key")
    assert key.stat().st_mode & 0o777 == 0o600
    digits = key.read_text().strip()
    assert len(digits) == 64
    for name, data in files_of(original):
        assert digits.encode() not in data, name
        assert bytes.fromhex(digits) not in data, name


def test_a_redacted_bundle_verifies_with_the_numbers_of_the_original(
    shared: SmallWorld, original: Path, redacted: Path
) -> None:
    verification = shared.verify(redacted)
    assert verification.verdict == "verified", verification.checks
    before, after = shared.verify(original).contents, verification.contents
    assert before and after and after.result.redaction
    assert after.result.metrics == before.result.metrics
    assert after.result.samples == before.result.samples
    assert after.result.redaction.samples == 4
    assert len(after.samples) == len(before.samples) - 4
    assert all(sample.prediction is sample.target is None for sample in after.samples)


def test_show_counts_a_redacted_bundle_as_the_attempt_that_it_was_made_of(
    told: Evalctl, original: Path, redacted: Path
) -> None:
    of_original = said_by(told("show", original, "--json"))["ledger"]
    assert of_original["position"] == of_original["of"]
    assert said_by(told("show", redacted, "--json"))["ledger"] == of_original


def test_a_withheld_canary_is_in_no_byte_of_the_redacted_bundle(original: Path, redacted: Path) -> None:
    assert any(CANARY.encode() in data for _, data in files_of(original))
    for name, data in files_of(redacted):
        assert CANARY not in name
        for form in forms(CANARY):
            assert form not in data, (name, form)


def test_samples_alone_can_be_withheld(shared: SmallWorld, original: Path) -> None:
    made = redact(shared, original, ids=(f"the {CANARY}", f"failed {CANARY}"))
    assert shared.verify(made).verdict == "verified"
    assert not any(CANARY.encode() in data for _, data in files_of(made))
    assert b"svm" in (made / "samples.jsonl").read_bytes()
    assert b"tables" not in (made / "openings.jsonl").read_bytes()


@pytest.mark.parametrize("withheld", [("inputs",), ("predictions",), ("targets",), ()])
def test_each_part_can_be_withheld_alone(
    shared: SmallWorld, original: Path, withheld: tuple[str, ...]
) -> None:
    made = redact(shared, original, *withheld)
    verification = shared.verify(made)
    assert verification.verdict == "verified", verification.checks
    assert verification.contents and verification.contents.result.redaction
    assert verification.contents.result.redaction.withheld[: len(withheld)] == withheld
    same = (made / "samples.jsonl").read_bytes() == (original / "samples.jsonl").read_bytes()
    assert same is not bool(withheld)


def test_salts_are_long_and_no_two_are_alike(redacted: Path) -> None:
    salts: list[str] = []
    for line in (redacted / "openings.jsonl").read_bytes().splitlines()[1:]:
        opening = json.loads(line)["opening"]
        salts += [cell[0] for cell in opening.values()] if isinstance(opening, dict) else [opening[0]]
    assert len(salts) > 100
    assert len(set(salts)) == len(salts)
    assert {len(salt) for salt in salts} == {32}


def test_a_redacted_bundle_can_be_redacted_further_without_the_key(
    shared: SmallWorld, original: Path, tmp_path: Path
) -> None:
    first = redact(shared, original, "targets")
    world = SmallWorld(tmp_path / "elsewhere", shared.engine)
    shutil.copytree(shared.home.root, world.home.root)
    shutil.rmtree(world.home.root / "redaction")
    second = redact(world, first, "predictions", ids=("item-03",))
    verification = world.verify(second)
    assert verification.verdict == "verified", verification.checks
    assert verification.contents and verification.contents.result.redaction
    assert verification.contents.result.redaction.withheld[:2] == ("predictions", "targets")
    assert verification.contents.result.redaction.original == f"sha256:{original.name}"
    assert b"item-03" not in b"".join(data for _, data in files_of(second))


def test_another_key_may_redact_where_the_policy_lets_it_sign_results(
    shared: SmallWorld, redacted: Path, tmp_path: Path
) -> None:
    lie = copy_of(redacted, tmp_path / "bobs")
    lock = (lie / names.LOCK_ATTESTATION).read_bytes()
    reseal(lie, BOB)
    (lie / names.LOCK_ATTESTATION).write_bytes(lock)
    assert shared.verify(lie).verdict == "untrusted"
    policy = f"""version = 1
expires = 2099-01-01T00:00:00Z
[keys.alice]
public = "{shared.signer.public.openssh}"
roles = ["lock", "result"]
[keys.bob]
public = "{BOB.public.openssh}"
roles = ["result"]
[rules.lock]
threshold = 1
from = ["alice"]
[rules.result]
threshold = 1
from = ["alice", "bob"]
"""
    verification = shared.verify(lie, read_policy(policy.encode(), file="trust.toml"))
    assert verification.verdict == "verified", verification.checks
    assert verification.signers == (BOB.public.fingerprint,)


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


def test_a_redaction_that_only_the_result_tells_is_refused(shared: SmallWorld, lie: Path) -> None:
    reseal(lie, shared.signer, result=lambda it: it.pop("redaction"))
    assert "redaction" in why(shared, lie)


def test_a_file_that_is_neither_original_nor_made_of_openings_is_refused(
    shared: SmallWorld, lie: Path
) -> None:
    (lie / "artifacts").mkdir()
    (lie / "artifacts" / "new.txt").write_text("new")
    reseal(lie, shared.signer)
    assert "was not in the original" in why(shared, lie)


@pytest.mark.parametrize(
    "name", ["environment.json", "resources.jsonl", "commitments.jsonl", "sbom.cdx.json"]
)
def test_a_file_that_is_said_to_be_original_and_is_not_is_refused(
    shared: SmallWorld, lie: Path, name: str
) -> None:
    (lie / name).write_bytes((lie / name).read_bytes().replace(b"1", b"2", 1) + b"\n")
    reseal(lie, shared.signer)
    assert why(shared, lie)


@pytest.mark.parametrize("name", ["samples.jsonl", "events.jsonl", "result.json"])
def test_a_redacted_file_with_another_line_is_refused(shared: SmallWorld, lie: Path, name: str) -> None:
    path = lie / name
    if name == "result.json":
        result = json.loads(path.read_bytes())
        result["replicates"][0]["exit_code"] = None
        path.write_bytes(canonical_bytes(result) + b"\n")
    else:
        path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    reseal(lie, shared.signer)
    assert "is not what the values given out make" in why(shared, lie)


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


def test_a_bundle_that_is_not_redactable_is_not_redacted(world: SmallWorld, evalctl: Evalctl) -> None:
    bundle = world.launch().bundle
    told = evalctl("redact", bundle, "--json")
    assert (told.code, error_of(told)) == (1, "not-redactable")


def test_a_home_that_launched_nothing_is_left_as_it_is(
    original: Path, evalctl: Evalctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALCTL_HOME", str(tmp_path / "other"))
    told = evalctl("redact", original, "--json")
    assert (told.code, error_of(told)) == (2, "no-key")
    assert not (tmp_path / "other").exists()


def test_without_its_key_a_bundle_is_not_redacted(
    shared: SmallWorld, original: Path, evalctl: Evalctl, world: SmallWorld
) -> None:
    told = evalctl("redact", original, "--signer", f"{shared.home.default_key}.pub", "--json")
    assert (told.code, error_of(told)) == (4, "no-redaction-key")


def test_a_sample_in_the_name_of_a_file_cannot_be_withheld(world: SmallWorld, evalctl: Evalctl) -> None:
    def name_it(inside: Inside) -> int:
        code = tell(inside)
        (inside.outputs / "artifacts" / f"{CANARY}.txt").write_text("picture")
        return code

    world.plays(name_it)
    bundle = world.launch(sections=SECTIONS).bundle
    before = sorted(world.home.bundles.iterdir())
    told = evalctl("redact", bundle, "--samples", f"the {CANARY}", f"failed {CANARY}", "--json")
    assert (told.code, error_of(told)) == (1, "still-there")
    assert "ORIGINAL-SHA256SUMS" in told.err
    assert sorted(world.home.bundles.iterdir()) == before


def test_the_words_of_a_failed_program_are_signed_nowhere(world: SmallWorld) -> None:
    def repeat(inside: Inside) -> int:
        write_lines(inside.outputs / "samples.jsonl", [{"id": CANARY, "target": 1}] * 2)
        return 0

    world.plays(repeat)
    bundle = world.launch(sections=SECTIONS).bundle
    assert world.verify(bundle).verdict == "verified"
    assert CANARY in (bundle / "events.jsonl").read_text()
    made = redact(world, bundle)
    assert world.verify(made).verdict == "verified"
    assert not any(CANARY.encode() in data for _, data in files_of(made))


def test_every_view_says_what_is_withheld(told: Evalctl, redacted: Path, shared: SmallWorld) -> None:
    said = "withheld predictions, targets"
    for command in (["show"], ["verify"], ["report", "--format", "markdown"], ["report"]):
        page = told(*command[:1], redacted, *command[1:])
        assert page.code == 0, page.err
        assert said in " ".join(page.out.split()), command
        assert "4 samples whole" in " ".join(page.out.split()), command
        if command != ["show"]:
            assert "whether it was right (for" in " ".join(page.out.split()), command
    assert "redacted: withheld predictions, targets" in " ".join(told("list").out.split())
    for command in ("show", "verify"):
        answer = said_by(told(command, redacted, "--json"))
        assert answer["redaction"]["samples"] == 4
    (listed,) = [
        one
        for one in said_by(told("list", "--json"))["attempts"]
        if one["bundle"] == f"sha256:{redacted.name}"
    ]
    assert listed["redaction"]["withheld"][:2] == ["predictions", "targets"]


def test_a_report_of_a_redacted_bundle_calls_no_item_wrong(told: Evalctl, redacted: Path) -> None:
    page = told("report", redacted, "--format", "markdown").out
    assert "no item is shown" in page
    assert "item\\-" not in page


def test_the_command_withholds_and_the_next_one_verifies(
    told: Evalctl, original: Path, tmp_path: Path
) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text(f"the {CANARY}\n")
    out = tmp_path / "out"
    made = told(
        *("redact", original, *EVERYTHING, "--samples", "item-01", "item-02"),
        *("--samples-from", ids, "--keep", "logs,event-details", "--out", out, "--json"),
    )
    assert made.code == 1, "the log that is kept names the sample"
    made = told("redact", original, *EVERYTHING, "--samples", "item-01", "item-02", "--out", out, "--json")
    assert made.code == 0, made.err
    assert said_by(made)["redaction"]["samples"] == 4
    right, ranks, number = said_by(made)["left"]
    assert right == "whether it was right (for `accuracy`)"
    assert ranks.endswith("(for `macro`)")
    assert number.endswith("(for `loss`)")
    assert said_by(made)["exposure"]["guessable"] is True
    assert said_by(made)["exposure"]["withheld"]["scores"] == {"values": 26, "follow": 14}
    spoken = told("redact", original, *EVERYTHING, "--out", tmp_path / "again").err
    assert "14 of 26 withheld scores follow from what stays" in spoken
    assert "warning: what is withheld of samples can be guessed" in spoken
    checked = told("verify", out, "--json")
    assert (checked.code, said_by(checked)["verdict"]) == (0, "verified")


@pytest.mark.parametrize(
    "wrong",
    [
        ("--withhold", "labels"),
        ("--keep", "samples"),
        ("--samples", "nobody"),
        ("--samples-from", "gone"),
        ("extra",),
    ],
)
def test_what_cannot_be_withheld_is_usage(told: Evalctl, original: Path, wrong: tuple[str, ...]) -> None:
    assert told("redact", original, *wrong, "--json").code == 2


def test_nothing_is_left_in_the_home_of_a_redaction_that_fails(
    told: Evalctl, shared: SmallWorld, original: Path
) -> None:
    before = {path.name for path in shared.home.root.iterdir()}
    assert told("redact", original, "--samples", "nobody").code == 2
    ids = (f"the {CANARY}", f"failed {CANARY}")
    assert told("redact", original, "--samples", *ids, "--keep", "artifacts,logs").code == 1
    assert {path.name for path in shared.home.root.iterdir()} - {"trash"} == before - {"trash"}


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
    comparison = FieldComparison(metrics, [Form("right"), Form("ranks"), Form("number")], frozenset())
    for entry in entries:
        if (sample := sample_left(entry)) is not None:
            comparison.add(entry.cells, sample)
    comparison.close()


def test_a_redacted_bundle_is_reproduced_as_far_as_it_goes(
    world: SmallWorld, evalctl: Evalctl, tmp_path: Path
) -> None:
    world.plays(tell)
    bundle = world.launch(sections=SECTIONS).bundle
    made = redact(world, bundle, "predictions", "targets", ids=("item-03",))
    answer = evalctl("reproduce", made, "--json")
    assert answer.code == 0, answer.err
    assert said_by(answer)["verdict"] == "equivalent"
    assert said_by(answer)["samples"]["n"] == 24
    assert "withheld" in said_by(answer)["metrics"][0]["reason"]
    again = said_by(evalctl("verify", made, "--json"))
    assert again["verdict"] == "verified"
    assert len(again["reproductions"]) == 1
    further = redact(world, made, "inputs")
    assert world.verify(further).verdict == "verified"


@pytest.mark.parametrize("name", [names.COMMITMENTS, names.OPENINGS])
def test_every_line_of_commitments_and_openings_has_its_schema(redacted: Path, name: str) -> None:
    validator = Draft202012Validator(schema_of(name.removesuffix(".jsonl")))
    lines = [json.loads(line) for line in (redacted / name).read_bytes().splitlines()]
    for line in lines:
        validator.validate(line)
    assert {next(iter({"sample", "result", "schema", "event", "file"} & line.keys())) for line in lines} >= {
        *("sample", "result", "schema", "event"),
    }
    assert not validator.is_valid({**lines[-1], "more": 1})


NAMED = "Patient Müller/4711 \U0001f600"
WRITTEN = {
    "as it is": NAMED.encode(),
    "in lower case": b"of Patient m\xc3\xbcller/4711 \xf0\x9f\x98\x80".lower(),
    "in UTF-16": NAMED.encode("utf-16"),
    "in UTF-16, big-endian": NAMED.encode("utf-16-be"),
    "in JSON": json.dumps(NAMED).encode(),
    "in JSON, each character escaped": "".join(f"\\u{ord(letter):04X}" for letter in NAMED[:-1]).encode()
    + rb"\uD83D\uDE00",
    "in an address": b"?id=Patient%20M%C3%BCller%2f4711%20%f0%9f%98%80",
    "in hexadecimal": NAMED.encode().hex().upper().encode(),
    "in base64": base64.b64encode(b"xy" + NAMED.encode()),
    "in base64 for addresses": base64.urlsafe_b64encode(b"x" + NAMED.encode()),
    "as a name of a file": b"artifacts/0/patient_m_ller_4711.png",
}


@pytest.mark.parametrize("way", WRITTEN)
def test_a_withheld_text_is_found_however_it_is_written(tmp_path: Path, way: str) -> None:
    texts = telling_texts([Sample(NAMED, prediction="right")], [Sample("another", prediction="wrong")])
    (tmp_path / "clean").write_bytes(b"nothing of it: Patient, Mueller, right, 471")
    assert found_in(tmp_path, texts) is None
    (tmp_path / "file").write_bytes(b"\n" + WRITTEN[way] + b"\n")
    assert found_in(tmp_path, texts) == "file"


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
    refuse_unredactable(few, 632)
    with pytest.raises(MalformedError, match="a redactable bundle holds at most"):
        refuse_unredactable(few, 633)
    with pytest.raises(CheckFailedError, match="a redactable bundle holds at most"):
        refuse_large(3_200_001, 10)
