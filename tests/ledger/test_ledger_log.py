"""The log on the disk: appended, sealed, cut off anywhere, damaged, and written to by several at once."""

import multiprocessing
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

from launcher.errors import CheckFailedError, InfrastructureError
from launcher.ledger.checkpoint import check_signature
from launcher.ledger.entries import entry_bytes, read_entry
from launcher.ledger.folder import LogFolder
from launcher.ledger.proof import read_proof
from launcher.ledger.tiles import pack_entries
from launcher.ledger.tree import fold, leaf_hash
from tests.ledger.logs import ATTEMPT, KEY, SIGNER, Crashing, DeadError, book_at, ended, log_at, number


def filled(folder: Path, size: int, *, sealed_at: tuple[int, ...] = ()) -> None:
    log = log_at(folder)
    end = log.read_end()
    for count in range(end.size, size):
        end = log.append(end, b"entry %d" % count)
        if end.size in sealed_at:
            log.seal(end, SIGNER)
            end = log.read_end()
    log.seal(log.read_end(), SIGNER)


def roots(size: int) -> bytes:
    return fold([leaf_hash(b"entry %d" % count) for count in range(size)])


@pytest.mark.parametrize("sealed_at", [(), (1, 2, 255, 256, 257, 511)])
def test_the_log_has_the_root_of_its_entries(tmp_path: Path, sealed_at: tuple[int, ...]) -> None:
    for size in (1, 255, 256, 257, 513):
        filled(tmp_path / "log", size, sealed_at=sealed_at)
        folder = LogFolder(tmp_path / "log")
        checkpoint = folder.checkpoint()
        assert checkpoint is not None
        check_signature(checkpoint, KEY)
        assert (checkpoint.size, checkpoint.root) == (size, roots(size))
        assert folder.hashes(size).root == checkpoint.root
        assert list(folder.entries(0, size)) == [b"entry %d" % count for count in range(size)]


def test_only_full_tiles_and_the_last_partial_ones_stay(tmp_path: Path) -> None:
    filled(tmp_path / "log", 515, sealed_at=tuple(range(0, 515, 5)))
    entries = sorted(path.name for path in (tmp_path / "log/tile/entries").rglob("*") if path.is_file())
    assert entries == ["000", "001", "1", "2", "3"]
    assert sorted(path.name for path in (tmp_path / "log/tile/0").iterdir()) == ["000", "001", "002.p"]
    assert sorted(path.name for path in (tmp_path / "log/tile/1/000.p").iterdir()) == ["1", "2"]


@pytest.mark.parametrize(("before", "power"), [(0, True), (254, True), (254, False), (256, True)])
def test_cut_off_between_any_two_writes_it_opens_and_loses_nothing(
    tmp_path: Path, before: int, power: bool
) -> None:
    """Each append that returned is there; each checkpoint that was ever signed is a beginning of what is."""
    start = tmp_path / "start"
    filled(start, before)
    for step in range(60):
        folder = tmp_path / f"{step}"
        shutil.copytree(start, folder)
        disk = Crashing(step)
        log = log_at(folder, disk)
        acknowledged, signed = before, [log.folder.checkpoint()]
        try:
            end = log.read_end()
            for _ in range(3):
                end = log.append(end, b"entry %d" % end.size)
                acknowledged = end.size
                signed.append(log.seal(end, SIGNER))
                end = log.read_end()
            done = True
        except DeadError:
            done = False
        signed.append(log.folder.checkpoint())
        if power:
            disk.power_cut()
        again = log_at(folder)
        end = again.read_end()
        assert acknowledged <= end.size <= acknowledged + 1
        checkpoint = again.seal(end, SIGNER)
        assert (checkpoint.size, checkpoint.root) == (end.size, roots(end.size))
        assert all(each.root == roots(each.size) for each in signed if each)
        assert LogFolder(folder).hashes(end.size).root == checkpoint.root
        shutil.rmtree(folder)
        if done:
            return
    pytest.fail("an append has more steps than were looked at")


def test_a_bundle_of_entries_that_is_torn_was_never_in_the_log(tmp_path: Path) -> None:
    filled(tmp_path / "log", 5)
    whole = (tmp_path / "log/tile/entries/000.p/5").read_bytes()
    (tmp_path / "log/tile/entries/000.p/6").write_bytes(whole + b"\0\x10half")
    end = log_at(tmp_path / "log").read_end()
    assert end.size == 5


def test_tiles_that_were_lost_are_made_again(tmp_path: Path) -> None:
    filled(tmp_path / "log", 600)
    before = LogFolder(tmp_path / "log").checkpoint()
    shutil.rmtree(tmp_path / "log/tile/0")
    (tmp_path / "log/tile/1/000.p/2").write_bytes(b"")
    log = log_at(tmp_path / "log")
    assert log.seal(log.read_end(), SIGNER) == before
    assert LogFolder(tmp_path / "log").hashes(600).root == roots(600)


@pytest.mark.parametrize("how", ["truncated", "changed", "cut", "checkpoint", "foreign"])
def test_a_damaged_log_is_not_written_to(tmp_path: Path, how: str) -> None:
    filled(tmp_path / "log", 20)
    bundles = tmp_path / "log/tile/entries/000.p"
    if how == "truncated":
        for width in (17, 18, 19, 20):
            (bundles / str(width)).unlink()
        (bundles / "12").write_bytes(pack_entries([b"entry %d" % count for count in range(12)]))
    elif how == "changed":
        (bundles / "20").write_bytes(pack_entries([b"other %d" % count for count in range(20)]))
    elif how == "cut":
        (bundles / "20").write_bytes((bundles / "20").read_bytes()[:-1])
    elif how == "checkpoint":
        (tmp_path / "log/checkpoint").write_bytes(b"no note")
    else:
        text = (tmp_path / "log/checkpoint").read_text()
        (tmp_path / "log/checkpoint").write_text(text.replace(KEY.name, KEY.name[:-1] + "0"))
    log = log_at(tmp_path / "log")
    with pytest.raises(InfrastructureError) as caught:
        log.seal(log.read_end(), SIGNER)
    assert caught.value.code == "ledger-damaged"


def record(root: Path, worker: int) -> None:
    for count in range(10):
        book = book_at(root)
        book.record(number(worker * 100 + count + 1))
        book.seal()


def test_launchers_at_the_same_time_append_without_loss(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=record, args=(tmp_path, worker)) for worker in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    checkpoint = book_at(tmp_path).seal()
    entries = list(map(read_entry, book_at(tmp_path).folder.entries(0, checkpoint.size)))
    assert sorted(entry.attempt for entry in entries) == sorted(
        worker * 100 + count + 1 for worker in range(3) for count in range(10)
    )
    assert [entry.position for entry in entries] == list(range(1, 31))


def test_outcomes_are_recorded_once_and_proven(tmp_path: Path) -> None:
    book = book_at(tmp_path)
    for count in range(40):
        book.record(number(count + 1))
    proofs = book.close(ended)
    assert [proof.outcome.index for proof in proofs] == list(range(40))
    assert all(read_proof(proof.data) == proof for proof in proofs)
    assert book.close(ended) == []
    assert book.total(ATTEMPT) == 40


def test_a_ledger_that_became_shorter_than_the_home_remembers_is_refused(tmp_path: Path) -> None:
    book = book_at(tmp_path)
    for count in range(33):
        book.record(number(count + 1))
    shutil.rmtree(book.path)
    book.path.mkdir()
    with pytest.raises(InfrastructureError, match="damaged"):
        book.record(number(1))


def test_a_ledger_without_its_key_gets_no_other(tmp_path: Path) -> None:
    book = book_at(tmp_path)
    book.record(ATTEMPT)
    book.key_path.unlink()
    book.key_path.with_name("ledger.pub").unlink()
    with pytest.raises(InfrastructureError) as caught:
        book.record(ATTEMPT)
    assert "key" in str(caught.value.context)
    assert not book.key_path.exists()


def test_an_entry_that_is_too_large_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    many = {"accuracy@1": tuple(f"metric-{count}" for count in range(6000))}
    with pytest.raises(InfrastructureError) as caught:
        entry_bytes(replace(ATTEMPT, metrics=many))
    assert caught.value.code == "ledger-entry-too-large"
    with pytest.raises(CheckFailedError):
        read_entry(b"x" * 70_000)
