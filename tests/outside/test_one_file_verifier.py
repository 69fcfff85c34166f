"""The stand-alone verifier says what `evalctl verify` says, of every bundle."""

import ast
import contextlib
import io
import json
import random
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.cli.signing import read_verifying_policy
from launcher.errors import MalformedError, TrustError
from launcher.exports import evalctl_verify as one
from launcher.spec.bundle import co_signature
from launcher.spec.units import time_text
from launcher.store.home import Home
from launcher.trust.policy import single_key_policy
from launcher.trust.sigstore import open_envelope, seal_payload
from tests.bundles.case import write_files
from tests.bundles.honest import Run, launched
from tests.bundles.keys import ALICE, BOB
from tests.fakes.forgery import change_json, reseal
from tests.fakes.world import SmallWorld, answering
from tests.outside.one_file import FILE, LIGHT, POLICY, decider, own_code, told


@pytest.mark.slow
def test_both_verifiers_agree_on_every_case_of_the_corpus(tmp_path: Path) -> None:
    differing, judged = {}, 0
    for case in LIGHT:
        folder = tmp_path / case.name
        bundle = case.build(folder)
        key, trust = decider(case, folder)
        if key is None and trust is None:  # it is about a home that trusts nobody
            continue
        try:
            expected = own_code(bundle, read_verifying_policy(Home(tmp_path / "none"), trust, key))
        except MalformedError:
            expected = 2
        except TrustError:
            expected = 3
        answer = told(bundle, *(("--key", key) if key else ("--trust", trust)))  # type: ignore[arg-type]
        judged += 1
        if answer.code != expected:
            differing[case.name] = (expected, answer)
    assert differing == {}
    assert judged > 400


def test_what_a_known_key_co_signed_is_read_by_both_though_its_maker_is_unknown(
    bundle: Path, tmp_path: Path
) -> None:
    bob = tmp_path / "bob.pub"
    bob.write_text(BOB.public.openssh + "\n")
    for path in sorted((bundle / "attestations").iterdir()):
        payload = open_envelope(path.read_bytes()).payload
        place = co_signature(path.relative_to(bundle).as_posix(), BOB.public.key_hex)
        (bundle / place).write_bytes(seal_payload(payload, BOB))
    answer = told(bundle, "--key", bob)
    assert (answer.code, own_code(bundle, single_key_policy(BOB.public))) == (0, 0)
    assert not {"contents", "agreement"} & answer.skipped
    change_json(bundle / "result.json", lambda value: value["metrics"][0].update(value=0.123))
    reseal(bundle, ALICE)
    for path in (bundle / "attestations").glob("*.????????????????????????????????*"):
        base = open_envelope(path.with_name(f"{path.name.split('.')[0]}.sigstore.json").read_bytes())
        path.write_bytes(seal_payload(base.payload, BOB))
    assert (told(bundle, "--key", bob).code, own_code(bundle, single_key_policy(BOB.public))) == (1, 1)


def test_bytes_changed_at_random_are_refused_by_both(bundle: Path, key: Path) -> None:
    chance, files = random.Random(5), sorted(path for path in bundle.rglob("*") if path.is_file())
    for _ in range(80):
        path = chance.choice(files)
        data = path.read_bytes()
        place = chance.randrange(len(data) + 1)
        cut = data[place + chance.randrange(3) :]
        forged = data[:place] + chance.randbytes(chance.randrange(3)) + cut
        path.write_bytes(forged)
        expected = own_code(bundle, POLICY)
        assert told(bundle, "--key", key).code == expected == (forged != data), (path, place)
        path.write_bytes(data)


def _without_a_sample(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def _without_a_replicate(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines if b'"replicate":0' in line]


def _at_another_epoch(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], b'{"epoch":1,' + lines[-1][1:]]


@pytest.mark.parametrize("change", [_without_a_sample, _without_a_replicate, _at_another_epoch])
def test_replicates_that_answered_different_items_are_refused_by_both(
    bundle: Path, key: Path, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    place = bundle / "samples.jsonl"
    place.write_bytes(b"".join(change(place.read_bytes().splitlines(keepends=True))))
    reseal(bundle, ALICE)
    answer = told(bundle, "--key", key)
    assert (answer.code, own_code(bundle, POLICY)) == (1, 1)
    assert "replicate" in json.loads(answer.out)["sentence"]


def test_marks_that_are_none_are_refused_by_both(bundle: Path, key: Path) -> None:
    reseal(bundle, ALICE, result=lambda predicate: predicate.update(marks=[]))
    assert (told(bundle, "--key", key).code, own_code(bundle, POLICY)) == (1, 1)


def test_records_that_hold_too_much_together_are_refused_by_both(bundle: Path, key: Path) -> None:
    change_json(bundle / "environment.json", lambda value: value["facts"][0].update(value=[0] * 300_000))
    change_json(bundle / "sbom.cdx.json", lambda value: value.update(annotations=[0] * 300_000))
    reseal(bundle, ALICE)
    answer = told(bundle, "--key", key)
    assert (answer.code, own_code(bundle, POLICY)) == (1, 1)
    assert "too much to parse" in json.loads(answer.out)["sentence"]


def test_attestations_that_are_too_large_together_are_refused_by_both(bundle: Path, key: Path) -> None:
    for number in range(5):
        place = bundle / "attestations" / f"reproduction-{number}.sigstore.json"
        with place.open("wb") as stream:
            stream.truncate(7 << 20)
    answer = told(bundle, "--key", key)
    assert (answer.code, own_code(bundle, POLICY)) == (1, 1)
    assert "the attestations are too large" in json.loads(answer.out)["sentence"]


HOSTILE = (
    *(b"{", b"[" * 100_000, b'{"a":1,"a":1}', b"NaN", b"1e999", b'"\\ud800"', b"\xff", b"", b"1.0", b"[1,]"),
    *(b"9007199254740993", b"1" * 5000, b"-0", b'{"b":1,"a":1}', b"\xef\xbb\xbf1", '"x"'.encode("utf-16")),
)


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_json_in_another_spelling_is_refused(data: bytes) -> None:
    with pytest.raises(one.RefusedError):
        one.parse(data, "it")


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_as_an_attestation_or_a_policy_end_in_a_refusal(data: bytes) -> None:
    for read, error in ((one.read_policy, one.MisuseError), (one.policy_of_key, one.MisuseError)):
        with pytest.raises(error):
            read(data)
    with pytest.raises(one.RefusedError):
        one.open_attestation(one.LOCK, data, {})


def test_misuse_is_told_from_a_bad_bundle(bundle: Path, key: Path, tmp_path: Path) -> None:
    assert told(tmp_path / "nothing", "--key", key).code == 2
    assert told(key, "--key", key).code == 2
    assert told(bundle, "--key", tmp_path / "nothing").code == 2
    assert told(bundle, "--key", bundle / "lock.json").code == 2
    assert told(tmp_path, "--key", key).code == 1
    with pytest.raises(SystemExit) as caught, contextlib.redirect_stderr(io.StringIO()):
        one.main([str(bundle)])
    assert caught.value.code == 2


def test_what_is_not_checked_is_named(bundle: Path, key: Path) -> None:
    answer = told(bundle, "--key", key)
    assert answer.code == 0
    assert answer.skipped == set()
    assert json.loads(answer.out)["verdict"] == "verified"


def test_the_file_stands_alone() -> None:
    names = set()
    for node in ast.walk(ast.parse(FILE.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    roots = {name.partition(".")[0] for name in names}
    assert roots - {"cryptography"} <= sys.stdlib_module_names
    assert not roots & {"socket", "subprocess", "urllib", "http", "ctypes", "launcher"}


def test_nothing_of_the_launcher_imports_it() -> None:
    for path in FILE.parents[1].rglob("*.py"):
        assert path == FILE or "evalctl_verify import" not in path.read_text()
        assert path == FILE or "exports import" not in path.read_text()


def in_a_process(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    """Run the file as a stranger does, with little memory."""

    def bound() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))

    return subprocess.run(
        [sys.executable, "-I", FILE, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        preexec_fn=bound,
    )


def test_it_runs_as_a_program_within_256_mebibytes(tmp_path: Path, key: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    write_files(folder, launched(Run(items=20_000, seeds=(1, 2))))
    done = in_a_process(folder, "--key", key)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == (
        "verified: the bundle is what its signers signed, and they are trusted"
    )


def test_as_a_program_with_little_memory_it_answers_as_it_does_here(tmp_path: Path) -> None:
    groups = ("exhaustion", "archives")
    for case in [*LIGHT[::40], *(case for case in LIGHT if case.group in groups)]:
        bundle = case.build(tmp_path / case.name)
        key, trust = decider(case, tmp_path / case.name)
        done = in_a_process(bundle, *(("--key", key) if key else ("--trust", trust or "")))
        assert (done.returncode, "Traceback" in done.stderr) == (case.exit_code, False), done
        shutil.rmtree(tmp_path / case.name)


def test_a_redactable_bundle_without_commitments_is_refused_by_both(tmp_path: Path, key: Path) -> None:
    folder = tmp_path / "redactable"
    folder.mkdir()
    write_files(folder, launched(Run(tail="[bundle]\nredactable = true\n")))
    assert told(folder, "--key", key).code == own_code(folder, POLICY) == 1


def test_both_hold_a_ledger_proof_against_the_bundle(world: SmallWorld, tmp_path: Path, key: Path) -> None:
    bundle, chance = world.launch().bundle, random.Random(3)
    key.write_text(world.signer.public.openssh)
    proof = bundle / "attestations" / "ledger.tlog-proof"
    data = proof.read_bytes()
    checks = {check["name"]: check for check in json.loads(told(bundle, "--key", key).out)["checks"]}
    assert checks["ledger-proof"]["status"] == checks["ledger-entry"]["status"] == "ok"
    assert "not witnessed" in checks["ledger-proof"]["detail"]
    assert checks["ledger-memory"]["status"] == "skipped"
    forged = [
        data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        for place in chance.sample(range(len(data)), 40)
    ]
    forged += [b"", data[:-1], data + b"\n", data.replace(b"index 1", b"index 2"), data.split(b"\n\n")[0]]
    for other in forged:
        proof.write_bytes(other)
        assert told(bundle, "--key", key).code == own_code(bundle, world.policy) == 1, other
    proof.unlink()
    assert told(bundle, "--key", key).code == own_code(bundle, world.policy) == 0


def test_the_files_contents_say_how_long_each_part_is() -> None:
    lines = FILE.read_text().split("\n")
    begins = [number for number, line in enumerate(lines) if re.match(r"# \d+\. ", line)]
    parts = zip(begins, [*begins[1:], len(lines)], strict=True)
    made = [f"{lines[begin][2:-1]}: {end - begin} lines" for begin, end in parts]
    listed = [line.strip() for line in lines if re.fullmatch(r" *\d+\. .*: \d+ lines", line)]
    assert listed == made


@pytest.mark.parametrize("large", [1e200, 1.7e308])
def test_an_interval_that_no_double_holds_is_left_out_by_launch_and_both_verifiers(
    large: float, world: SmallWorld, tmp_path: Path
) -> None:
    def wide(_: int, sample: dict[str, Any]) -> dict[str, Any]:
        return {**sample, "scores": {"s": large if sum(sample["id"].encode()) % 2 else -large}}

    world.plays(answering(wide))
    metric = 'name = "m"\ndefinition = "mean@1"\nof = "scores.s"\nci = { method = "student", level = 0.9 }'
    bundle = world.launch(sections={"metric": metric}).bundle
    (result,) = json.loads((bundle / "result.json").read_bytes())["metrics"]
    assert (result["ci"], result["reason"]) == (None, "its ends are beyond what a double holds")
    key = tmp_path / "key.pub"
    key.write_text(world.signer.public.openssh + "\n")
    assert (told(bundle, "--key", key).code, own_code(bundle, world.policy)) == (0, 0)


def test_very_many_digests_are_put_in_order_and_compared_a_few_at_a_time() -> None:
    some, others = one.Digests(16), one.Digests(16)
    for number in range(100_000):
        some.add(b"%d" % (number // 2))
        others.add(b"%d" % ((99_999 - number) // 2))
    order = list(some.in_order())
    assert [some[number] for number in order] == sorted(map(some.__getitem__, range(100_000)))
    assert sorted(order) == list(range(100_000))
    assert some.is_same(others)
    others.held[0] ^= 1
    assert not some.is_same(others)


def test_what_is_equal_in_one_list_is_known_to_be_equal_in_another() -> None:
    items, names = one.Digests(16), one.Digests(16)
    for item, name in ("aA", "bB", "aA", "cB"):
        items.add(item.encode())
        names.add(name.encode())
    assert (items.decide(names), names.decide(items)) == (True, False)


def test_moments_are_said_in_utc_as_verify_says_them() -> None:
    moment = datetime(2026, 11, 20, 12, 0, tzinfo=timezone(timedelta(hours=2)))
    assert one.utc(moment) == time_text(moment.astimezone(UTC)) == "2026-11-20T10:00:00Z"
