"""Proofs that a log only grew: made by its owner, asked for by who saw it, and trees judged by pymerkle."""

import json
from pathlib import Path

import pymerkle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from launcher.errors import CheckFailedError, EvalctlError
from launcher.ledger.book import Book
from launcher.ledger.checkpoint import Checkpoint, check_signature, read_checkpoint
from launcher.ledger.consistency import Growth, prove_growth, read_growth
from launcher.ledger.folder import LogFolder
from launcher.ledger.tiles import Hashes, leaf_hashes
from launcher.ledger.tree import check_consistency, consistency_proof, fold, inclusion_proof, leaf_hash
from launcher.ledger.tree import root_of_inclusion as root_of
from launcher.trust.notes import read_note, read_note_key, signed_by
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld
from tests.ledger.logs import KEY, SIGNER, log_at
from tests.ledger.pasts import keep, words


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> LogFolder:
    made = log_at(tmp_path_factory.mktemp("log") / "log")
    end = made.read_end()
    for count in range(20):
        end = made.append(end, b"entry %d" % count)
    made.seal(end, SIGNER)
    return made.folder


def growth_of(log: LogFolder, old: int) -> Growth:
    checkpoint = log.checkpoint()
    assert checkpoint is not None
    return prove_growth(old, checkpoint, log.hashes(checkpoint.size))


def seen_at(old: int) -> Checkpoint:
    return Checkpoint(KEY.name, old, fold(leaf_hashes([b"entry %d" % count for count in range(old)])))


@pytest.mark.parametrize("old", range(1, 21))
def test_growth_is_proven_since_any_size_and_since_no_other(log: LogFolder, old: int) -> None:
    growth = read_growth(growth_of(log, old).data)
    assert growth == growth_of(log, old)
    check_signature(growth.checkpoint, KEY)
    growth.check(seen_at(old))
    for wrong in (
        replace(seen_at(old), root=b"\x11" * 32),
        replace(seen_at(old), origin="example.com/log"),
        seen_at(old + 1),
    ):
        with pytest.raises(CheckFailedError):
            growth.check(wrong)


def test_what_a_log_never_had_is_not_proven(log: LogFolder) -> None:
    for old in (0, 21):
        with pytest.raises(CheckFailedError, match="never had"):
            growth_of(log, old)


@given(st.binary(max_size=300))
def test_other_bytes_are_no_growth(data: bytes) -> None:
    with pytest.raises(CheckFailedError):
        read_growth(data)


@given(st.data())
@settings(max_examples=60)
def test_growth_with_any_byte_changed_is_refused(log: LogFolder, data: st.DataObject) -> None:
    whole = growth_of(log, 7).data
    at, flip = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(1, 255))
    changed = whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :]
    with pytest.raises(EvalctlError) as caught:
        growth = read_growth(changed)
        check_signature(growth.checkpoint, KEY)
        growth.check(seen_at(7))
    assert caught.value.exit_status == 1


@given(st.integers(1, 90), st.data())
@settings(max_examples=60, deadline=None)
def test_another_library_has_the_same_roots_and_takes_the_same_proofs(size: int, data: st.DataObject) -> None:
    """pymerkle: the tree of RFC 6962 by somebody else, each way."""
    entries = [b"entry %d" % count for count in range(size)]
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in entries:
        tree.append_entry(entry)
    leaves = leaf_hashes(entries)
    hashes = Hashes(size, lambda tile: b"".join(leaves[: tile.width]))
    old, index = data.draw(st.integers(1, size)), data.draw(st.integers(0, size - 1))
    assert (hashes.root, hashes.range(0, old)) == (tree.get_root(), tree.get_root(old))
    theirs = tree.prove_inclusion(index + 1, size)
    path = inclusion_proof(index, size, hashes.range)
    assert path == theirs.path[1:]
    pymerkle.verify_inclusion(leaves[index], hashes.root, theirs)
    assert root_of(leaf_hash(entries[index]), index, size, theirs.path[1:]) == tree.get_root()
    ours = consistency_proof(old, size, hashes.range)
    check_consistency((old, tree.get_root(old)), (size, tree.get_root()), ours)
    pymerkle.verify_consistency(hashes.range(0, old), hashes.root, tree.prove_consistency(old, size))


def test_the_examples_of_the_specifications_are_read() -> None:
    """https://c2sp.org/signed-note and https://c2sp.org/tlog-cosignature, as they print them."""
    key = read_note_key("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k")
    signature = "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
    note = read_note(f"This is an example message.\n\n\N{EM DASH} example.com/foo {signature}\n".encode())
    assert signed_by(note, key)
    lines = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n",
        "\N{EM DASH} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
        "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n",
        "\N{EM DASH} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrD"
        "JsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n",
    )
    checkpoint = read_checkpoint("".join(lines).encode())
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.note is not None
    log, witness = checkpoint.note.signatures
    assert (len(log.blob), len(witness.blob)) == (64, 72)
    assert int.from_bytes(witness.blob[:8], "big") == 1679315147


@pytest.fixture
def shown_twice(
    world: SmallWorld, evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Path, Path]:
    """A home, that of somebody who verified two of its three bundles, and the second of those."""
    from launcher.cli.signing import read_verifying_policy

    first = world.launch().bundle
    read_verifying_policy(world.home, None, None)
    second = world.launch(rerun=True).bundle
    world.launch(rerun=True)
    elsewhere = world.root / "elsewhere"
    elsewhere.mkdir()
    keep(world.home.root / "keys", elsewhere / "keys")
    (elsewhere / "trust.toml").write_bytes(world.home.trust.read_bytes())
    monkeypatch.setenv("EVALCTL_HOME", str(elsewhere))
    assert evalctl("verify", first).code == 0
    done = evalctl("verify", second)
    assert done.code == 0
    assert "evalctl ledger since 2" in words(done.out)
    return world.home.root, elsewhere, second


def test_a_verifier_asks_for_the_proof_that_the_ledger_grew(
    world: SmallWorld,
    evalctl: Evalctl,
    shown_twice: tuple[Path, Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner, elsewhere, second = shown_twice
    monkeypatch.setenv("EVALCTL_HOME", str(owner))
    files = [world.root / f"since-{size}" for size in (2, 4)]
    for file, size in zip(files, (2, 4), strict=True):
        assert evalctl("ledger", "since", f"{size}", "--out", file).code == 0
    assert evalctl("ledger", "since", "2").out == files[0].read_text()
    assert json.loads(evalctl("ledger", "since", "2", "--json").out)["size"] == 6
    assert evalctl("ledger", "since", "7").code == 1
    monkeypatch.setenv("EVALCTL_HOME", str(elsewhere))
    told = [json.loads(evalctl("ledger", "verify", file, "--json").out) for file in files]
    assert [(each["verdict"], each["since"], each["size"], each["seen"]) for each in told] == [
        ("verified", 2, 6, 1),
        ("verified", 4, 6, 0),
    ]
    (folder,) = (path for path in (elsewhere / "seen-ledgers").iterdir() if path.is_dir())
    assert [path.name for path in folder.iterdir()] == ["6"], "the newest stands for all"
    again = evalctl("ledger", "verify", files[0])
    assert (again.code, "has not seen the ledger with 2 entries" in again.err) == (1, True)
    assert evalctl("verify", second).code == 0
    files[1].write_bytes(b"old 6\n\nodd")
    odd = evalctl("ledger", "verify", files[1])
    assert (odd.code, "is no proof that a ledger only grew" in odd.err) == (1, True)


def test_a_rewritten_ledger_has_no_proof_that_it_grew(
    world: SmallWorld,
    evalctl: Evalctl,
    forked: tuple[Path, Path, Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A verifier saw one past with 4 entries; the owner goes on with the other, and proves what it can."""
    one, *_ = forked
    world.launch(rerun=True)
    monkeypatch.setenv("EVALCTL_HOME", str(world.root / "elsewhere"))
    assert evalctl("ledger", "verify", one).code == 0
    monkeypatch.setenv("EVALCTL_HOME", str(world.home.root))
    file = world.root / "since-4"
    assert evalctl("ledger", "since", "4", "--out", file).code == 0
    monkeypatch.setenv("EVALCTL_HOME", str(world.root / "elsewhere"))
    done = evalctl("ledger", "verify", file)
    assert (done.code, "one log is not the beginning of the other" in done.err) == (1, True)
    assert evalctl("ledger", "verify", one).code == 0, "what was seen is kept"


def test_a_damaged_ledger_proves_no_growth(world: SmallWorld, evalctl: Evalctl) -> None:
    world.launch()
    (Book(world.home).path / "checkpoint").write_bytes(b"odd")
    done = evalctl("ledger", "since", "1")
    assert (done.code, "is damaged" in done.err) == (4, True)
