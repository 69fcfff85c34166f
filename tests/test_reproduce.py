"""Reproductions: the same lock again, compared and attested."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from launcher.spec.bundle import MAX_ATTESTATIONS
from launcher.trust.key_files import new_key
from tests.conftest import Evalctl, Finished
from tests.fakes.engine import Program
from tests.fakes.engine import World as Inside
from tests.fakes.forgery import copy_of, relock, relocked, reseal
from tests.fakes.world import SmallWorld, answering

NOISY = 'name = "accuracy"\ndefinition = "accuracy@1"\nprimary = true\n'


def wrong_on(*ids: str) -> Program:
    """Return a program that answers as usual but for these items."""
    return answering(
        lambda _, sample: {**sample, "prediction": 9} if sample["id"] in ids else sample,
    )


def reproduced(done: Finished, verdict: str, code: int) -> Any:
    assert done.code == code, done.err
    answer = json.loads(done.out)
    assert answer["verdict"] == verdict
    return answer


@pytest.fixture
def mounted(world: SmallWorld) -> Path:
    """Return a bundle of the world's blueprint, copied out to a folder of its own."""
    return copy_of(world.launch().bundle, world.root / "published")


def again(evalctl: Evalctl, world: SmallWorld, bundle: Path, *more: str | Path) -> Finished:
    return evalctl("reproduce", bundle, "--blueprint-dir", world.folder, "--json", *more)


def test_the_same_answers_are_an_identical_reproduction(
    world: SmallWorld, evalctl: Evalctl, mounted: Path
) -> None:
    answer = reproduced(again(evalctl, world, mounted), "identical", 0)
    assert (answer["samples"]["n"], answer["samples"]["equal"]) == (40, 40)
    assert answer["metrics"][0]["original"] == answer["metrics"][0]["reproduced"] == 0.9
    assert answer["original"] == json.loads(evalctl("verify", mounted, "--json").out)["digest"]
    assert Path(answer["bundle"]).parent == world.home.bundles
    assert (Path(answer["bundle"]) / "samples.jsonl").read_bytes() == (mounted / "samples.jsonl").read_bytes()
    assert evalctl("verify", answer["bundle"]).code == 0


@pytest.mark.parametrize(
    ("run", "tolerance", "verdict", "code"),
    [
        ("", "reproduce = { abs = 0.05 }", "equivalent", 0),
        ("", "reproduce = { abs = 0.02 }", "diverged", 1),
        ("", "reproduce = { abs = 0.1, sample-agreement = 0.99 }", "diverged", 1),
        ("", "", "inconclusive", 5),
        ('determinism = "sample"', "", "diverged", 1),
        ('determinism = "bitwise"', "", "diverged", 1),
    ],
)
def test_other_answers_are_judged_by_what_was_declared(
    world: SmallWorld,
    evalctl: Evalctl,
    run: str,
    tolerance: str,
    verdict: str,
    code: int,
) -> None:
    world.write(run=f'command = ["answer"]\n{run}', metric=NOISY + tolerance)
    bundle = json.loads(evalctl("launch", world.file, "--json").out)["bundle"]
    world.plays(wrong_on("item-00"))
    answer = reproduced(again(evalctl, world, Path(bundle)), verdict, code)
    assert (answer["samples"]["n"], answer["samples"]["equal"]) == (40, 39)


def test_a_reproduction_that_fails_diverged(world: SmallWorld, evalctl: Evalctl, mounted: Path) -> None:
    world.plays(lambda _: 3)
    answer = reproduced(again(evalctl, world, mounted), "diverged", 1)
    assert "exited with code 3" in answer["reason"]


def test_an_engine_that_fails_makes_it_not_runnable(
    world: SmallWorld, evalctl: Evalctl, mounted: Path
) -> None:
    world.engine.reachable = False
    answer = reproduced(again(evalctl, world, mounted), "not-runnable", 4)
    assert answer["bundle"] is None


def test_an_original_without_a_score_is_inconclusive(world: SmallWorld, evalctl: Evalctl) -> None:
    world.plays(lambda _: 3)
    reproduced(again(evalctl, world, world.launch().bundle), "inconclusive", 5)


def test_the_statement_stands_beside_the_original_and_is_counted(
    world: SmallWorld, evalctl: Evalctl, mounted: Path
) -> None:
    answer = reproduced(again(evalctl, world, mounted), "identical", 0)
    assert Path(answer["statement"]).parent == mounted / "attestations"
    counted = json.loads(evalctl("verify", mounted, "--json").out)["reproductions"]
    assert [(item["independent"], item["verdict"]) for item in counted] == [(False, "identical")]
    assert counted[0]["bundle"] == f"sha256:{Path(answer['bundle']).name}"


def test_a_reproduction_by_another_key_is_independent(
    world: SmallWorld, evalctl: Evalctl, mounted: Path
) -> None:
    bob = world.root / "bob"
    new_key(bob)
    reproduced(again(evalctl, world, mounted, "--key", bob), "identical", 0)
    assert json.loads(evalctl("verify", mounted, "--json").out)["reproductions"] == []
    assert evalctl("trust", "add", f"{bob}.pub").code == 0
    (counted,) = json.loads(evalctl("verify", mounted, "--json").out)["reproductions"]
    assert (counted["independent"], counted["verdict"]) == (True, "identical")


def test_a_stranger_reproduces_with_the_blueprint_s_folder(
    world: SmallWorld, evalctl: Evalctl, mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALCTL_HOME", str(world.root / "stranger"))
    public = world.home.default_key.with_suffix(".pub")
    assert evalctl("reproduce", mounted, "--json").code == 3

    done = evalctl("reproduce", mounted, "--signer", public, "--json")
    answer = reproduced(done, "not-runnable", 4)
    assert "--blueprint-dir" in answer["hint"]

    reproduced(again(evalctl, world, mounted, "--signer", public), "identical", 0)


def test_a_tampered_or_untrusted_original_is_not_launched(
    world: SmallWorld, evalctl: Evalctl, mounted: Path
) -> None:
    world.engine.tasks.clear()
    bob = world.root / "bob"
    new_key(bob)
    assert again(evalctl, world, mounted, "--signer", f"{bob}.pub").code == 3
    (mounted / "events.jsonl").write_bytes(b"")
    done = again(evalctl, world, mounted)
    assert (done.code, "evalctl verify" in done.err) == (1, True)
    assert world.engine.tasks == []


def test_a_full_original_is_not_broken_by_one_statement_more(
    world: SmallWorld, evalctl: Evalctl, mounted: Path
) -> None:
    answer = reproduced(again(evalctl, world, mounted), "identical", 0)
    for number in range(MAX_ATTESTATIONS - 1 - len(list((mounted / "attestations").iterdir()))):
        shutil.copy(answer["statement"], mounted / "attestations" / f"reproduction-{number}.sigstore.json")
    assert len(list((mounted / "attestations").iterdir())) == MAX_ATTESTATIONS - 1
    assert evalctl("verify", mounted).code == 0
    answer = reproduced(again(evalctl, world, mounted), "identical", 0)
    assert Path(answer["statement"]).is_relative_to(world.home.root)
    assert evalctl("verify", mounted).code == 0


def test_an_original_that_cannot_be_written_keeps_its_statement_in_the_home(
    world: SmallWorld, evalctl: Evalctl, mounted: Path, read_only: Callable[[Path], None]
) -> None:
    read_only(mounted)
    answer = reproduced(again(evalctl, world, mounted), "identical", 0)
    assert Path(answer["statement"]).is_relative_to(world.home.root / "reproductions")


def test_what_this_version_cannot_do_is_never_left_out_in_silence(
    world: SmallWorld, evalctl: Evalctl, mounted: Path
) -> None:
    relock(mounted, b'\n[matrix]\naxes = { "run.seeds" = [[1], [2]] }\n')
    reseal(mounted, world.signer, **relocked(mounted))
    answer = reproduced(again(evalctl, world, mounted), "not-runnable", 4)
    assert "matrix" in answer["reason"]


def test_the_bundle_of_a_reproduction_can_be_had_elsewhere(
    world: SmallWorld, evalctl: Evalctl, mounted: Path
) -> None:
    answer = reproduced(again(evalctl, world, mounted, "--out", world.root / "again"), "identical", 0)
    assert answer["bundle"] == str(world.root / "again")
    assert evalctl("verify", world.root / "again").code == 0
    assert again(evalctl, world, mounted, "--out", world.root / "again").code == 2


def test_plain_output_ends_with_the_path_of_the_bundle(
    world: SmallWorld, evalctl: Evalctl, mounted: Path
) -> None:
    def noisy(inside: Inside) -> int:
        inside.stdout.extend(b"\x1b[31mhello\n")
        return answering(lambda _, sample: sample)(inside)

    world.plays(noisy)
    done = evalctl("reproduce", mounted, "--blueprint-dir", world.folder)
    *_, verdict, path = done.out.splitlines()
    assert (done.code, verdict) == (0, "identical")
    assert Path(path).is_dir()


def test_a_machine_that_cannot_give_what_the_lock_asks_for_says_so(
    world: SmallWorld, evalctl: Evalctl, mounted: Path
) -> None:
    world.engine.facts = replace(world.engine.facts, cpus=0)
    done = again(evalctl, world, mounted)
    assert (done.code, done.out) == (6, "")
    assert json.loads(done.err)["error"]["hint"]
    assert [name for name in (mounted / "attestations").iterdir() if "reproduction" in name.name] == []


def test_an_image_that_was_loaded_once_needs_no_layout_beside_the_blueprint(
    world: SmallWorld, evalctl: Evalctl, mounted: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("launcher.cli.image.connect", lambda: world.engine)
    layout = (world.folder / "image").rename(tmp_path / "elsewhere")
    shutil.rmtree(world.home.cache / "images")
    answer = reproduced(again(evalctl, world, mounted), "not-runnable", 4)
    assert "image" in answer["reason"]
    assert evalctl("image", "load", layout).code == 0
    reproduced(again(evalctl, world, mounted), "identical", 0)
