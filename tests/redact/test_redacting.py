"""Redaction: what is withheld is in no byte, and what is left still verifies."""

import base64
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from launcher.canonical import canonical_bytes
from launcher.spec import bundle as names
from launcher.spec.schema import schema_of
from launcher.trust.policy_file import read_policy
from tests.conftest import Evalctl
from tests.fakes.engine import World as Inside
from tests.fakes.forgery import copy_of, reseal
from tests.fakes.world import SmallWorld, write_lines
from tests.redact.redactable import CANARY, SECTIONS, redact, said_by, tell, why
from tests.trust.sealed_bundle import BOB


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
    left = list(after.samples)
    assert len(left) == len(list(before.samples)) - 4
    assert all(sample.prediction is sample.target is None for sample in left)


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
