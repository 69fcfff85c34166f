"""Best of five, told each way: by `ledger show`, witnesses, pins in a policy, verifiers that remember."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from launcher.ledger.book import Book
from launcher.ledger.checkpoint import witness_key
from launcher.ledger.folder import LogFolder
from launcher.spec.bundle import LEDGER_PROOF
from launcher.trust.key_files import load_signer, new_key
from launcher.trust.policy_edit import initial_policy
from launcher.verify.remembered import remembered
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld, copy_world
from tests.trust.sealed_bundle import NOW

METRIC_LINE = "metrics: accuracy (accuracy@1)"


def shown(evalctl: Evalctl) -> Any:
    return json.loads(evalctl("ledger", "show", "--json").out)


def keep(folder: Path, place: Path) -> Path:
    return Path(shutil.copytree(folder, place))


def pinned(world: SmallWorld, origin: str, witnesses: str = "", *, of_key: bool = True) -> Path:
    """A policy that trusts the world's key, with a ledger of this origin."""
    text = initial_policy("me", world.signer.public, NOW)
    if of_key:
        text = text.replace("[keys.me]\n", '[keys.me]\nledger = "ours"\n')
    key = bytes.fromhex(origin[-64:])
    line = load_public_point(key)
    path = world.root / "pinned.toml"
    path.write_text(f'{text}\n[ledgers.ours]\norigin = "{origin}"\npublic = "{line}"\n{witnesses}')
    return path


def load_public_point(point: bytes) -> str:
    from launcher.trust.keys import PublicKey

    return PublicKey("ssh-ed25519", point).openssh


def test_five_attempts_of_one_lock_are_five(world: SmallWorld, evalctl: Evalctl) -> None:
    for _ in range(5):
        assert evalctl("launch", world.write(), "--rerun").code == 0
    answer = shown(evalctl)
    assert [(each["attempt"], each["position"], each["of"]) for each in answer["attempts"]] == [
        (count, count, 5) for count in range(1, 6)
    ]
    assert (answer["size"], answer["witnessed"]) == (10, False)
    page = evalctl("ledger", "show").out
    assert "3 of 5" in page
    assert "local, not witnessed" in page
    best = answer["attempts"][2]["bundle"]
    assert "attempt 3 of 5" in evalctl("show", best).out
    assert "3 of 5" in evalctl("list").out
    proof = next(line for line in evalctl("verify", best).out.split("ok  ") if "ledger-proof" in line)
    assert "attempt 3, recorded in ledger" in proof
    assert "of 5" not in proof


def test_five_seeds_are_five_locks_and_five_attempts(world: SmallWorld, evalctl: Evalctl) -> None:
    for seed in range(5):
        file = world.write(run=f'command = ["answer"]\nseeds = [{seed}]')
        done = evalctl("launch", file, "--json")
        assert json.loads(done.out)["ledger"]["of"] == seed + 1
    found = shown(evalctl)["attempts"]
    assert len({each["lock"] for each in found}) == 5
    assert [(each["attempt"], each["position"], each["of"]) for each in found] == [
        (1, count, 5) for count in range(1, 6)
    ]
    page = evalctl("show", found[4]["bundle"]).out
    assert "verdict none, attempt 1\n" in page, "this lock was launched once"
    assert "attempt 5 of 5 over all locks" in page


def test_five_homes_are_local_ledgers_and_refused_where_one_is_pinned(
    world: SmallWorld, world_template: Path, evalctl: Evalctl
) -> None:
    world.launch()
    policy = pinned(world, Book(world.home).seal().origin)
    for count in range(5):
        other = copy_world(world_template, world.root / f"home-{count}")
        bundle = other.launch(signer=world.signer).bundle
        done = evalctl("verify", bundle, "--trust", policy)
        assert done.code == 3
        assert "another ledger's" in " ".join(done.out.split())
        local = " ".join(evalctl("verify", bundle).out.split())
        assert "attempt 1, recorded in ledger" in local
        assert "(local, not witnessed)" in local
    own = world.launch(rerun=True).bundle
    done = evalctl("verify", own, "--trust", policy)
    assert (done.code, "pinned as `ours`" in done.out) == (0, True)
    (own / LEDGER_PROOF).unlink()
    assert evalctl("verify", own, "--trust", policy).code == 3


def test_a_pin_with_another_key_is_not_this_ledger(world: SmallWorld, evalctl: Evalctl) -> None:
    bundle = world.launch().bundle
    policy = pinned(world, Book(world.home).seal().origin)
    assert evalctl("verify", bundle, "--trust", policy).code == 0
    text = policy.read_text()
    head, _, table = text.partition("[ledgers.ours]")
    other = re.sub('public = "[^"]*"', f'public = "{world.signer.public.openssh}"', table)
    policy.write_text(f"{head}[ledgers.ours]{other}")
    assert evalctl("verify", bundle, "--trust", policy).code == 3
    policy.write_text(text.replace('ledger = "ours"', 'ledger = "theirs"'))
    assert evalctl("verify", bundle, "--trust", policy).code == 2


def test_a_truncated_ledger_is_refused_by_all_who_saw_it(world: SmallWorld, evalctl: Evalctl) -> None:
    book = Book(world.home)
    world.launch()
    early = keep(book.path, world.root / "early")
    bundle = world.launch(rerun=True).bundle
    late = keep(book.path, world.root / "late")
    assert evalctl("ledger", "witness", late).code == 0
    assert evalctl("ledger", "verify", late).code == 0
    for command in ("witness", "verify"):
        done = evalctl("ledger", command, early)
        assert (done.code, "truncated" in done.err) == (1, True), command
    shutil.rmtree(book.path)
    keep(early, book.path)
    assert evalctl("ledger", "verify").code == 1
    done = evalctl("verify", bundle)
    assert (done.code, "truncated" in done.out) == (1, True)


@pytest.fixture
def forked(world: SmallWorld) -> tuple[Path, Path, Path, Path]:
    """Two pasts of one ledger, each with its second attempt's bundle; the home has the second."""
    world.launch()
    saved = keep(world.home.root, world.root / "saved")
    first = keep(world.launch(rerun=True).bundle, world.root / "first")
    one = keep(Book(world.home).path, world.root / "one")
    shutil.rmtree(world.home.root)
    keep(saved, world.home.root)
    second = keep(world.launch(rerun=True).bundle, world.root / "second")
    two = keep(Book(world.home).path, world.root / "two")
    return one, first, two, second


def test_a_forked_ledger_is_refused_by_all_who_saw_the_other(
    world: SmallWorld, evalctl: Evalctl, forked: tuple[Path, Path, Path, Path]
) -> None:
    one, first, two, second = forked
    assert evalctl("ledger", "witness", one).code == 0
    assert evalctl("ledger", "witness", two).code == 1
    done = evalctl("verify", first)
    assert (done.code, "ledger-seen" in done.out, "forked" in done.out) == (1, True, True)
    assert evalctl("verify", second).code == 0


@pytest.mark.parametrize("command", ["witness", "verify"])
def test_a_stranger_refuses_a_fork_each_time_however_much_it_grew(
    world: SmallWorld,
    evalctl: Evalctl,
    forked: tuple[Path, Path, Path, Path],
    command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, _, two, _ = forked
    world.launch(rerun=True)
    grown = keep(Book(world.home).path, world.root / "grown")
    monkeypatch.setenv("EVALCTL_HOME", str(world.root / "elsewhere"))
    assert evalctl("ledger", command, one).code == 0
    for other in (two, grown, two):
        before = (other / "checkpoint").read_bytes()
        done = evalctl("ledger", command, other)
        assert (done.code, "forked" in done.err, done.out) == (1, True, "")
        assert (other / "checkpoint").read_bytes() == before
    assert evalctl("ledger", command, one).code == 0


@pytest.mark.parametrize("command", ["witness", "verify"])
def test_a_stranger_refuses_a_ledger_that_became_shorter(
    world: SmallWorld, evalctl: Evalctl, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.launch()
    early = keep(Book(world.home).path, world.root / "early")
    world.launch(rerun=True)
    late = keep(Book(world.home).path, world.root / "late")
    monkeypatch.setenv("EVALCTL_HOME", str(world.root / "elsewhere"))
    for folder, code in ((early, 0), (late, 0), (early, 1), (late, 0)):
        done = evalctl("ledger", command, folder)
        assert (done.code, "truncated" in done.err) == (code, bool(code))


def test_a_verifier_elsewhere_remembers_what_it_saw(
    world: SmallWorld, evalctl: Evalctl, forked: tuple[Path, Path, Path, Path], tmp_path: Path
) -> None:
    one, first, two, second = forked
    elsewhere = SmallWorld(tmp_path / "elsewhere", world.engine).home
    policy = world.policy
    assert remembered(elsewhere, world.verify(first, policy)).verdict == "verified"
    assert remembered(elsewhere, world.verify(first, policy)).verdict == "verified"
    answer = remembered(elsewhere, world.verify(second, policy))
    assert (answer.verdict, answer.checks[-1].name) == ("failed", "ledger-seen")
    (kept,) = elsewhere.seen_ledgers.glob("*/*")
    kept.unlink()
    kept.parent.rmdir()
    kept.parent.parent.rmdir()
    kept.parent.parent.write_text("")
    skipped = remembered(elsewhere, world.verify(second, policy))
    assert (skipped.verdict, skipped.checks[-1].status) == ("verified", "skipped")
    assert one != two


def test_a_witness_that_the_policy_knows_makes_it_witnessed(world: SmallWorld, evalctl: Evalctl) -> None:
    bundle = world.launch().bundle
    book = Book(world.home)
    copy = keep(book.path, world.root / "copy")
    answer = json.loads(evalctl("ledger", "witness", copy, "--json").out)
    policy = pinned(world, answer["origin"], f'witnesses = ["{answer["key"]}"]\n')
    done = evalctl("verify", bundle, "--trust", policy)
    assert (done.code, "not co-signed by" in " ".join(done.out.split())) == (3, True)
    assert evalctl("ledger", "add", copy / "checkpoint").code == 0
    assert evalctl("ledger", "prove", bundle).code == 0
    done = evalctl("verify", bundle, "--trust", policy)
    assert (done.code, "witnessed by" in done.out) == (0, True)
    assert "co-signed by 1 whom" in " ".join(evalctl("verify", bundle).out.split())
    shutil.copy(policy, world.home.trust)
    assert shown(evalctl)["witnessed"] is True
    world.launch(rerun=True)
    again = json.loads(evalctl("ledger", "witness", keep(book.path, world.root / "more"), "--json").out)
    assert (again["since"], again["size"]) == (2, 4)


def test_a_cosignature_that_does_not_hold_is_refused(world: SmallWorld, evalctl: Evalctl) -> None:
    world.launch()
    copy = keep(Book(world.home).path, world.root / "copy")
    assert evalctl("ledger", "add", copy / "checkpoint").code == 1
    assert evalctl("ledger", "witness", copy).code == 0
    text = (copy / "checkpoint").read_text()
    (copy / "checkpoint").write_text(text[:-6] + "AAA==\n" if text.endswith("==\n") else text[:-3] + "A=\n")
    assert evalctl("ledger", "add", copy / "checkpoint").code == 1
    assert evalctl("ledger", "verify", copy).code == 1
    assert evalctl("ledger", "add", copy / "absent").code == 2
    (copy / "odd").write_text("odd")
    odd = evalctl("ledger", "add", copy / "odd")
    assert (odd.code, "odd` is no checkpoint" in odd.err, "ledger witness" in odd.err) == (1, True, True)
    assert evalctl("ledger", "verify", world.root / "nowhere").code == 2


@pytest.mark.parametrize("part", ["checkpoint", "tile/0/000.p/2", "tile/entries/000.p/2"])
def test_any_changed_byte_of_a_ledger_is_found(world: SmallWorld, evalctl: Evalctl, part: str) -> None:
    world.launch()
    copy = keep(Book(world.home).path, world.root / "copy")
    data = (copy / part).read_bytes()
    for at in range(0, len(data), max(1, len(data) // 12)):
        (copy / part).write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        done = evalctl("ledger", "verify", copy)
        assert (done.code, "bug" in done.err) == (1, False), at
    (copy / part).unlink()
    assert evalctl("ledger", "verify", copy).code == 1


def test_a_proof_is_made_again_where_it_was_lost(world: SmallWorld, evalctl: Evalctl) -> None:
    bundle = world.launch().bundle
    before = (bundle / LEDGER_PROOF).read_bytes()
    (bundle / LEDGER_PROOF).unlink()
    out = world.root / "proof"
    assert evalctl("ledger", "prove", bundle, "--out", out).code == 0
    assert out.read_bytes() == before
    other = SmallWorld(world.root / "other", world.engine)
    assert not Book(other.home).exists
    assert witness_key(load_signer(key_at(world.root / "k")).public).kind == 4
    assert LogFolder(world.root / "nowhere").checkpoint() is None


def key_at(path: Path) -> Path:
    new_key(path)
    return path


def test_an_empty_home_has_an_empty_ledger(evalctl: Evalctl, world: SmallWorld) -> None:
    assert shown(evalctl) == {"attempts": [], "size": 0, "root": None, "witnessed": False}
    assert not Book(world.home).exists
