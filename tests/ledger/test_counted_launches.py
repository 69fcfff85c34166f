"""Launches are counted: each attempt stands in the ledger before it runs, and its outcome once it is over."""

import json
from typing import Any

import pytest

from launcher.errors import InfrastructureError
from launcher.ledger.book import Book
from launcher.ledger.count import Row, rows
from launcher.ledger.entries import read_entry
from launcher.ledger.proof import read_proof
from launcher.resolve import Choices
from launcher.runs.counted import settle
from launcher.spec.bundle import LEDGER_PROOF
from launcher.store.home import Home
from launcher.store.journal import write_state
from tests.conftest import Evalctl
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld, answer

ATTEMPT_FIELDS = {"type", "kind", "lock", "blueprint", "data", "metrics", "attempt", "position"}
ATTEMPT_FIELDS |= {"invocationId", "time", "signer", "purpose"}
OUTCOME_FIELDS = {"type", "kind", "attempt", "time", "status", "failure", "verdict", "bundle"}


def listed(home: Home) -> list[Row]:
    book = Book(home)
    return rows(map(read_entry, book.folder.entries(0, book.seal().size)))


def told(home: Home) -> list[tuple[int, str | None]]:
    return [(row.position, row.outcome.status if row.outcome else None) for row in listed(home)]


def ledger_checks(world: SmallWorld, bundle: Any) -> dict[str, tuple[str, str]]:
    checks = world.verify(bundle).checks
    return {check.name: (check.status, check.detail) for check in checks if "ledger" in check.name}


def test_an_attempt_is_recorded_before_its_container_runs(world: SmallWorld) -> None:
    seen: list[Any] = []

    def look(inside: Inside) -> int:
        book = Book(world.home)
        end = book.folder.checkpoint()
        folder = book.path / "tile/entries/000.p"
        seen.append((sorted(path.name for path in folder.iterdir()), end is None or end.size == 1))
        return answer(inside)

    world.plays(look)
    launched = world.launch()
    assert seen == [(["1"], True)]
    (row,) = listed(world.home)
    assert (row.attempt.lock, row.attempt.attempt) == (launched.lock, 1)
    assert row.attempt.signer == world.signer.public.fingerprint
    assert row.outcome is not None
    assert row.outcome.bundle == f"sha256:{launched.bundle.name}"
    assert ledger_checks(world, launched.bundle)["ledger-proof"][0] == "ok"


def test_nothing_in_an_entry_tells_of_person_or_machine(world: SmallWorld) -> None:
    world.launch(note="private")
    book = Book(world.home)
    for data in book.folder.entries(0, book.seal().size):
        text = data.decode()
        assert str(world.root) not in text
        assert "private" not in text
        assert set(json.loads(data)) in (ATTEMPT_FIELDS, OUTCOME_FIELDS)


def test_every_kind_of_end_is_an_entry(world: SmallWorld) -> None:
    world.launch()
    assert world.launch().reused
    world.launch(rerun=True)
    world.plays(lambda _: 3)
    world.launch(rerun=True)
    world.plays(answer)
    world.launch(choices=Choices(limit=10))
    found = listed(world.home)
    assert [(row.position, row.attempt.marks) for row in found] == [
        (1, ()),
        (2, ()),
        (3, ()),
        (4, ("partial",)),
    ]
    assert [row.outcome.status for row in found if row.outcome] == [
        "succeeded",
        "succeeded",
        "failed",
        "succeeded",
    ]
    assert [row.total for row in found] == [4, 4, 4, 4]
    for row in found:
        assert row.outcome is not None
        bundle = world.home.bundle(str(row.outcome.bundle))
        assert world.verify(bundle).verdict == "verified"
        assert read_proof((bundle / LEDGER_PROOF).read_bytes()).attempt == row.attempt


def test_a_launcher_that_died_leaves_unfinished_until_it_is_reaped(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    def die(inside: Inside) -> int:
        raise KeyboardInterrupt

    world.plays(die)
    with pytest.raises(KeyboardInterrupt):
        world.launch()
    assert told(world.home) == [(1, "interrupted")]
    Book(world.home).record(listed(world.home)[0].attempt)
    assert told(world.home)[1] == (2, None)
    assert evalctl("list").code == 0
    assert told(world.home)[1] == (2, "interrupted")
    world.plays(answer)
    world.launch()
    assert told(world.home)[2] == (3, "succeeded")


def test_a_bundle_that_was_published_gets_its_outcome_from_the_next_command(world: SmallWorld) -> None:
    bundle = world.launch().bundle
    launched = listed(world.home)[0]
    other = SmallWorld(world.root, world.engine)
    Book(other.home).record(launched.attempt)
    (folder,) = world.home.runs.glob("*/1")
    state = json.loads((folder / "state.json").read_text())
    write_state(folder, state)
    (bundle / LEDGER_PROOF).unlink()
    (proof,) = settle(world.home)
    assert (proof.outcome.status, proof.outcome.bundle) == ("succeeded", f"sha256:{bundle.name}")
    assert (bundle / LEDGER_PROOF).read_bytes() == proof.data
    assert settle(world.home) == []


def test_where_the_ledger_cannot_be_written_the_launch_does_not_begin(world: SmallWorld) -> None:
    world.launch()
    world.engine.tasks.clear()
    (Book(world.home).path / "checkpoint").write_bytes(b"no checkpoint")
    with pytest.raises(InfrastructureError) as caught:
        world.launch(rerun=True)
    assert (caught.value.code, caught.value.exit_status) == ("ledger-damaged", 4)
    assert world.engine.tasks == []
    assert [path.name for path in world.home.runs.glob("*/[0-9]*")] == ["1"]
    assert world.launch().reused


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data[:-2] + b"A\n",
        lambda data: data.replace(b"index 1", b"index 0"),
        lambda data: b"",
        lambda data: data + b"more\n",
        lambda data: data.replace(b"extra eyJ", b"extra fyJ"),
        lambda data: data.replace(b"\n\n", b"\n" + b"A" * 43 + b"=\n\n", 1),
    ],
)
def test_a_proof_that_does_not_hold_fails_the_bundle(world: SmallWorld, change: Any) -> None:
    bundle = world.launch().bundle
    path = bundle / LEDGER_PROOF
    path.write_bytes(change(path.read_bytes()))
    assert world.verify(bundle).verdict == "failed"
    assert ledger_checks(world, bundle)["ledger-proof"][0] == "failed"


def test_another_attempts_proof_fails_the_bundle(world: SmallWorld) -> None:
    first, second = world.launch().bundle, world.launch(rerun=True).bundle
    (second / LEDGER_PROOF).write_bytes((first / LEDGER_PROOF).read_bytes())
    status, detail = ledger_checks(world, second)["ledger-proof"]
    assert (status, "bundle" in detail) == ("failed", True)


def test_a_proof_that_is_gone_is_said(world: SmallWorld) -> None:
    bundle = world.launch().bundle
    (bundle / LEDGER_PROOF).unlink()
    assert world.verify(bundle).verdict == "verified"
    status, detail = ledger_checks(world, bundle)["ledger-proof"]
    assert (status, "there is no proof" in detail) == ("skipped", True)
