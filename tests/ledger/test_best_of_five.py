"""Best of five shows for what it is: five reruns, five seeds, five homes, a truncated and a forked ledger.

And five keys. In each test an owner shows one attempt of five: what do the views say of it? The commands are
those of docs/ledger.md.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from launcher.ledger.book import Book
from launcher.spec.bundle import LEDGER_PROOF
from launcher.trust.keys import Signer
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld, copy_world
from tests.ledger.pasts import keep, pinned, shown, words
from tests.trust.sealed_bundle import ed25519_signer

LOCAL = "(local, not witnessed)"


def places(evalctl: Evalctl) -> list[tuple[int, int, int]]:
    return [(each["attempt"], each["position"], each["of"]) for each in shown(evalctl)["attempts"]]


def report_of(evalctl: Evalctl, bundle: str, how: str) -> str:
    return words(evalctl("report", bundle, "--format", how).out).replace("\\", "")


def check_of(evalctl: Evalctl, bundle: Path | str, name: str) -> Any:
    checks = json.loads(evalctl("verify", bundle, "--json").out)["checks"]
    return next(check for check in checks if check["name"] == name)


def test_five_reruns_of_one_lock_are_five_in_every_view(world: SmallWorld, evalctl: Evalctl) -> None:
    for count in range(1, 6):
        done = evalctl("launch", world.write(), "--rerun")
        assert (done.code, f"attempt {count} of {count}\n" in done.out) == (0, True)
        assert f"attempt {count} of {count} over all locks" in words(done.err)
    assert places(evalctl) == [(count, count, 5) for count in range(1, 6)]
    answer = shown(evalctl)
    assert (answer["size"], answer["witnessed"]) == (10, False)
    page = evalctl("ledger", "show").out
    assert ("3 of 5" in page, "local, not witnessed" in page) == (True, True)
    best = answer["attempts"][2]["bundle"]
    show = evalctl("show", best).out
    assert "attempt 3 of 5\n" in show.partition("\n\n")[0] + "\n"
    assert f"attempt 3 of 5 over all locks, in ledger {answer['origin'][-64:][:12]} {LOCAL}" in words(show)
    told = json.loads(evalctl("show", best, "--json").out)["ledger"]
    assert (told["position"], told["of"], told["others"], told["size"]) == (3, 5, 0, 10)
    assert "3 of 5" in evalctl("list").out
    listed = json.loads(evalctl("list", "--json").out)["attempts"]
    assert [(each["position"], each["of"]) for each in listed] == [(count, 5) for count in range(1, 6)]
    assert check_of(evalctl, best, "ledger-seen")["detail"].endswith("counts it as attempt 3 of 5")
    assert json.loads(evalctl("verify", best, "--json").out)["ledger"]["of"] == 5
    for how in ("html", "markdown"):
        report = report_of(evalctl, best, how)
        assert "1.0.0, attempt 3 of 5, began" in report.replace("`", ""), how
        assert "over all locks, in ledger" in report, how
        assert "5 attempts count together, of which this is number 3" in report, how


def test_from_the_bundle_alone_nobody_says_of_how_many(
    world: SmallWorld, evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        world.launch(rerun=True)
    best = keep(world.launch(rerun=True).bundle, world.root / "best")
    monkeypatch.setenv("EVALCTL_HOME", str(world.root / "stranger"))
    proof = check_of(evalctl, best, "ledger-proof")["detail"]
    assert (proof.startswith("attempt 3, recorded in ledger"), " of " in proof) == (True, False)
    show = words(evalctl("show", best).out)
    assert ("attempt 3" in show, "of how many, only that ledger can tell" in show) == (True, True)
    assert json.loads(evalctl("show", best, "--json").out)["ledger"]["of"] is None
    for how in ("html", "markdown"):
        report = report_of(evalctl, str(best), how)
        assert "Number 3" in report, how
        assert "of how many, nobody here can tell" in report, how


def test_five_seeds_are_five_locks_and_one_group_of_five(world: SmallWorld, evalctl: Evalctl) -> None:
    for seed in range(5):
        file = world.write(run=f'command = ["answer"]\nseeds = [{seed}]')
        done = evalctl("launch", file, "--json")
        assert json.loads(done.out)["ledger"]["of"] == seed + 1
    found = shown(evalctl)["attempts"]
    assert len({each["lock"] for each in found}) == 5
    assert places(evalctl) == [(1, count, 5) for count in range(1, 6)]
    best = found[4]["bundle"]
    page = evalctl("show", best).out
    assert "verdict none, attempt 5 of 5, 1 at this lock\n" in page
    assert "attempt 5 of 5 over all locks" in page
    for how in ("html", "markdown"):
        assert "attempt 5 of 5, 1 at this lock, began" in report_of(evalctl, best, how), how


def test_five_keys_are_five_counts_that_name_each_other(world: SmallWorld, evalctl: Evalctl) -> None:
    keys: list[Signer] = [ed25519_signer(number) for number in range(1, 5)]
    others = [world.launch(signer=key).bundle for key in keys]
    mine = world.launch().bundle.name
    assert places(evalctl) == [(1, 1, 1)] + [(count, 1, 1) for count in range(2, 6)]
    assert {each["others"] for each in shown(evalctl)["attempts"]} == {4}
    assert "and 4 by other keys" in evalctl("ledger", "show").out
    show = words(evalctl("show", mine).out)
    assert "attempt 1 of 1 (and 4 by other keys), 5 at this lock" in show
    listed = evalctl("list").out
    assert (listed.count("1 of 1 +4"), "by other keys" in listed) == (5, True)
    again = evalctl("launch", world.write(), "--rerun")
    assert "attempt 2 of 2 (and 4 by other keys)" in words(again.out)
    assert "attempt 1 of 2 (and 4 by other keys)" in check_of(evalctl, mine, "ledger-seen")["detail"]
    for how in ("html", "markdown"):
        report = report_of(evalctl, mine, how)
        assert "4 attempts more were made with other keys" in report, how
    assert len({bundle.name for bundle in others}) == 4


def test_five_homes_are_local_ledgers_and_refused_where_one_is_pinned(
    world: SmallWorld, world_template: Path, evalctl: Evalctl
) -> None:
    world.launch()
    policy = pinned(world, Book(world.home).seal().origin)
    origins = set()
    for count in range(5):
        other = copy_world(world_template, world.root / f"home-{count}")
        bundle = other.launch(signer=world.signer).bundle
        done = evalctl("verify", bundle, "--trust", policy)
        assert (done.code, "another ledger's" in words(done.out)) == (3, True)
        (bundle / LEDGER_PROOF).rename(other.root / "proof")
        assert evalctl("verify", bundle, "--trust", policy).code == 3
        (other.root / "proof").rename(bundle / LEDGER_PROOF)
        local = words(evalctl("verify", bundle).out)
        assert ("attempt 1, recorded in ledger" in local, LOCAL in local) == (True, True)
        origins.add(json.loads(evalctl("show", bundle, "--json").out)["ledger"]["origin"])
    assert len(origins) == 5, "each home shows another ledger"
    own = world.launch(rerun=True).bundle
    done = evalctl("verify", own, "--trust", policy)
    assert (done.code, "pinned as `ours`" in done.out) == (0, True)
    (own / LEDGER_PROOF).unlink()
    assert evalctl("verify", own, "--trust", policy).code == 3


def test_a_truncated_ledger_is_refused_by_all_who_saw_it(world: SmallWorld, evalctl: Evalctl) -> None:
    book = Book(world.home)
    world.launch()
    early = keep(book.path, world.root / "early")
    for _ in range(3):
        world.launch(rerun=True)
    bundle = world.launch(rerun=True).bundle
    late = keep(book.path, world.root / "late")
    assert evalctl("ledger", "witness", late).code == 0
    for command in ("verify", "witness"):
        done = evalctl("ledger", command, early)
        assert (done.code, "truncated" in done.err) == (1, True)
        assert "10 entries were signed before, and 2 are left" in words(done.err)
    shutil.rmtree(book.path)
    keep(early, book.path)
    assert evalctl("ledger", "verify").code == 1
    shown = evalctl("ledger", "show")
    assert (shown.code, shown.out) == (4, ""), "what is left counts for nothing"
    assert "10 entries were here, and 2 are left" in words(shown.err)
    done = evalctl("verify", bundle)
    assert (done.code, "truncated" in done.out) == (1, True)
    assert evalctl("report", bundle).code == 1
    again = evalctl("launch", world.write(), "--rerun")
    assert (again.code, "is damaged" in again.err) == (4, True), "this home remembers, too"


def test_a_forked_ledger_is_refused_by_all_who_saw_the_other(
    world: SmallWorld, evalctl: Evalctl, forked: tuple[Path, Path, Path, Path]
) -> None:
    one, first, two, second = forked
    assert evalctl("ledger", "witness", one).code == 0
    assert evalctl("ledger", "witness", two).code == 1
    assert evalctl("ledger", "verify", two).code == 1
    done = evalctl("verify", first)
    assert (done.code, "ledger-seen" in done.out, "forked" in done.out) == (1, True, True)
    report = evalctl("report", first)
    assert (report.code, "forked" in report.err, report.out) == (1, True, "")
    assert evalctl("verify", second).code == 0


def test_who_verified_one_past_does_not_co_sign_another(
    evalctl: Evalctl, forked: tuple[Path, Path, Path, Path]
) -> None:
    one, _, two, _ = forked
    assert evalctl("ledger", "verify", two).code == 0
    done = evalctl("ledger", "witness", one)
    assert (done.code, done.out, "forked" in done.err) == (1, "", True)
    assert evalctl("ledger", "witness", two).code == 0
