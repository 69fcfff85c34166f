"""The ledger's commands: witnesses, pins in a policy, verifiers that remember, proofs that are made again."""

import json
import re
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from launcher.ledger.book import Book
from launcher.ledger.checkpoint import witness_key
from launcher.ledger.folder import LogFolder
from launcher.spec.bundle import LEDGER_PROOF
from launcher.trust.key_files import load_signer, new_key
from launcher.trust.notes import WITNESS, NoteKey, sign_note
from launcher.verify.remembered import remembered
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld
from tests.ledger.pasts import keep, pinned, shown, words
from tests.trust.sealed_bundle import ed25519_signer


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
    shutil.rmtree(kept.parent.parent)
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
    stranger = f"(local, co-signed by witness {answer['key'][34:46]}, whom the policy does not know)"
    assert stranger in words(evalctl("verify", bundle).out)
    assert stranger in words(evalctl("show", bundle).out)
    assert stranger[1:-1] in words(evalctl("ledger", "show").out)
    shutil.copy(policy, world.home.trust)
    told = shown(evalctl)
    assert (told["witnessed"], told["witnessed_size"]) == (True, 2)
    assert (told["witnesses"], told["strangers"]) == ([answer["key"].partition("+")[0]], [])
    assert "witnessed by" in words(evalctl("show", bundle).out)
    world.launch(rerun=True)
    again = json.loads(evalctl("ledger", "witness", keep(book.path, world.root / "more"), "--json").out)
    assert (again["since"], again["size"]) == (2, 4)
    page = words(evalctl("ledger", "show").out)
    assert f"witnessed by {answer['key'][34:46]}, when it had 2 of its 4 entries, at 20" in page


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
    nobody = {"witnessed": False, "witnesses": [], "strangers": [], "witnessed_size": None}
    empty = {"attempts": [], "origin": None, "size": 0, "root": None, **nobody, "witnessed_at": None}
    assert shown(evalctl) == empty
    assert not Book(world.home).exists


def test_a_proof_is_written_through_no_link(world: SmallWorld, evalctl: Evalctl) -> None:
    bundle = keep(world.launch().bundle, world.root / "copy")
    outside = bundle.rename(world.root / "outside") / "attestations"
    shutil.copytree(outside.parent, bundle, ignore=shutil.ignore_patterns("attestations"))
    (bundle / "attestations").symlink_to(outside)
    before = {path.name: path.stat().st_mtime_ns for path in outside.iterdir()}
    done = evalctl("ledger", "prove", bundle)
    assert (done.code, "link" in done.err or "regular" in done.err) == (1, True), done.err
    assert {path.name: path.stat().st_mtime_ns for path in outside.iterdir()} == before


def test_a_link_in_the_place_of_a_proof_is_replaced(world: SmallWorld, evalctl: Evalctl) -> None:
    bundle = world.launch().bundle
    proof = (bundle / LEDGER_PROOF).read_bytes()
    elsewhere = world.root / "elsewhere"
    out = world.root / "out"
    out.symlink_to(elsewhere)
    assert evalctl("ledger", "prove", bundle, "--out", out).code == 0
    assert (out.is_symlink(), out.read_bytes(), elsewhere.exists()) == (False, proof, False)


@pytest.mark.parametrize("part", ["tile/0/000.p/2", "tile/entries/000.p/2", "checkpoint", "witnessed"])
def test_a_damaged_ledger_proves_nothing(world: SmallWorld, evalctl: Evalctl, part: str) -> None:
    bundle = world.launch().bundle
    before = (bundle / LEDGER_PROOF).read_bytes()
    (Book(world.home).path / part).write_bytes(b"odd")
    for name in ("given", "lost"):
        if name == "lost":
            (bundle / LEDGER_PROOF).unlink()
        done = evalctl("ledger", "prove", bundle)
        if part.startswith("tile/0"):
            assert done.code == 0, "hashes follow from the entries, and are made again"
            continue
        assert (done.code, "damaged" in done.err) == (4, True), (part, name, done.err)
        if name == "given":
            assert (bundle / LEDGER_PROOF).read_bytes() == before
        else:
            assert not (bundle / LEDGER_PROOF).exists()


def test_what_no_ledger_counted_has_no_proof(world: SmallWorld, evalctl: Evalctl, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "absent"):
        assert evalctl("ledger", "prove", place).code in (1, 2)
    other = keep(world.launch().bundle, world.root / "other")
    shutil.rmtree(Book(world.home).path)
    Book(world.home).key_path.unlink()
    done = evalctl("ledger", "prove", other)
    assert (done.code, "no outcome that names" in done.err) == (1, True)


def test_a_home_that_moved_its_ledger_away_begins_another(world: SmallWorld, evalctl: Evalctl) -> None:
    for _ in range(2):
        world.launch(rerun=True)
    book = Book(world.home)
    before = shown(evalctl)["origin"]
    book.path.rename(world.root / "away")
    book.key_path.rename(world.root / "key")
    book.key_path.with_name("ledger.pub").unlink()
    done = evalctl("launch", world.write(), "--rerun")
    assert (done.code, "attempt 1 of 1, 3 at this lock" in words(done.out)) == (0, True), done.err
    assert shown(evalctl)["origin"] != before


def test_a_co_signed_checkpoint_of_another_past_is_found(
    world: SmallWorld, evalctl: Evalctl, forked: tuple[Path, Path, Path, Path]
) -> None:
    one, _, two, _ = forked
    assert evalctl("ledger", "witness", one).code == 0
    shutil.copy(one / "checkpoint", two / "witnessed")
    for command in ("verify", "witness"):
        done = evalctl("ledger", command, two)
        assert (done.code, "forked" in done.err) == (1, True)
    shutil.copy(one / "checkpoint", Book(world.home).path / "witnessed")
    assert evalctl("ledger", "show").code == 1


def test_another_bundles_proof_says_nothing_of_this_one(world: SmallWorld, evalctl: Evalctl) -> None:
    first, second = world.launch().bundle, world.launch(rerun=True).bundle
    assert json.loads(evalctl("show", second, "--json").out)["ledger"]["position"] == 2
    (second / LEDGER_PROOF).write_bytes((first / LEDGER_PROOF).read_bytes())
    assert json.loads(evalctl("show", second, "--json").out)["ledger"] is None
    assert "attempt 2 at this lock" in evalctl("show", second).out


def test_lists_say_where_the_ledger_cannot_be_read(world: SmallWorld, evalctl: Evalctl) -> None:
    world.launch()
    (Book(world.home).path / "checkpoint").write_bytes(b"no checkpoint")
    done = evalctl("list")
    assert (done.code, "cannot be told" in done.err, "1 at lock" in done.out) == (0, True, True)
    assert json.loads(evalctl("list", "--json").out)["attempts"][0]["of"] is None


def test_a_witness_with_a_name_of_its_own_counts_where_the_policy_knows_it(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    """Any C2SP witness: what it is called is for the policy to know."""
    bundle = world.launch().bundle
    checkpoint = Book(world.home).seal()
    assert checkpoint.note is not None
    signer = ed25519_signer(5)
    key = NoteKey("witness.example/w1", signer.public, WITNESS)
    note = replace(checkpoint.note, signatures=(*checkpoint.note.signatures,))
    signed = replace(note, signatures=(*note.signatures, sign_note(note.body, key, signer, 1_700_000_000)))
    (world.root / "cosigned").write_text(signed.text)
    assert evalctl("ledger", "add", world.root / "cosigned").code == 1
    policy = pinned(world, checkpoint.origin, f'witnesses = ["{key.text}"]\n')
    shutil.copy(policy, world.home.trust)
    assert evalctl("ledger", "add", world.root / "cosigned").code == 0
    assert evalctl("ledger", "prove", bundle).code == 0
    page = words(evalctl("ledger", "show").out)
    assert "witnessed by witness.example/w1, at 2023-11-14 22:13 UTC as they say" in page
    assert "witnessed by witness.example/w1" in words(evalctl("verify", bundle).out)
