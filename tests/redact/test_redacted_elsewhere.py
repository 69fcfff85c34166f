"""Every command that takes a bundle takes a redacted one: it says what is withheld, and tells none of it."""

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chain.people import key_of
from tests.conftest import Evalctl
from tests.fakes.finished import Finished
from tests.fakes.world import SmallWorld, copy_world
from tests.redact.redactable import CANARY, SECTIONS, redact, said_by, tell

IDS = (f"the {CANARY}", f"failed {CANARY}")
CODES = {
    ("show",): 0,
    ("verify",): 0,
    ("report",): 0,
    ("report", "--format", "markdown"): 0,
    ("export", "in-toto"): 0,
    ("export", "sshsig"): 0,
    ("plan",): 0,
    ("list",): 0,
    ("logs",): 1,
    ("ledger", "prove"): 1,
    ("ledger", "show"): 0,
    ("reproduce", "--samples", "2"): 4,
    ("reproduce", "--score-only"): 4,
    ("redact",): 0,
    ("import",): 2,
    ("launch",): 2,
    ("shell",): 2,
}
SILENT = {("plan",), ("ledger", "show"), ("import",), ("launch",), ("shell",)}


@pytest.fixture(scope="module", params=["in part", "whole"])
def made(
    request: pytest.FixtureRequest, world_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SmallWorld, Path, Path]:
    """Return a world, a bundle in it, and a redaction of that: of two samples, or of all."""
    world = copy_world(world_template, tmp_path_factory.mktemp("elsewhere") / "world")
    world.plays(tell)
    original = world.launch(sections=SECTIONS).bundle
    others = [f"item-{number:02}" for number in range(12) if number != 7]
    ids = (*IDS, *others) if request.param == "whole" else IDS
    return world, original, redact(world, original, "inputs", "predictions", "targets", ids=ids)


@pytest.fixture
def run(made: tuple[SmallWorld, Path, Path], evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch) -> Evalctl:
    """Return the command line in the world of the redaction."""
    monkeypatch.setenv("EVALCTL_HOME", str(made[0].home.root))
    for command in ("plan", "list", "logs", "reproduce", "ledger"):
        monkeypatch.setattr(f"launcher.cli.{command}.connect", lambda *_: made[0].engine)
    return evalctl


def told(answer: Finished) -> str:
    return " ".join((answer.out + answer.err).split())


def refuse_canary(text: bytes) -> None:
    for form in (CANARY.encode(), CANARY.encode().hex().encode(), base64.b64encode(CANARY.encode())[:-4]):
        assert form not in text


def arguments(command: tuple[str, ...], bundle: Path) -> Iterator[str | Path]:
    names = 2 if command[0] in ("export", "ledger") else 1
    yield from command[:names]
    if command not in {("list",), ("ledger", "show")}:
        yield bundle
    yield from command[names:]


@pytest.mark.parametrize("command", CODES, ids=" ".join)
def test_each_command_says_that_something_is_withheld_and_not_what(
    made: tuple[SmallWorld, Path, Path], run: Evalctl, command: tuple[str, ...]
) -> None:
    for more in ((), ("--json",)):
        answer = run(*arguments(command, made[2]), *more)
        assert answer.code == CODES[command], told(answer)
        refuse_canary((answer.out + answer.err).encode())
        if command not in SILENT:
            assert "withheld" in told(answer) or "redacted" in told(answer), more


def test_a_redacted_bundle_is_listed_in_the_place_of_its_original(
    made: tuple[SmallWorld, Path, Path], run: Evalctl
) -> None:
    attempts = said_by(run("list", "--json"))["attempts"]
    places = {each["bundle"].removeprefix("sha256:"): (each["position"], each["of"]) for each in attempts}
    assert places[made[2].name] == places[made[1].name] == (1, 1)


def test_a_redaction_is_reproduced_signed_and_attached_to_without_a_word_of_what_is_withheld(
    made: tuple[SmallWorld, Path, Path], run: Evalctl, tmp_path: Path
) -> None:
    world, _, redacted = made
    place = tmp_path / "published"
    shutil.copytree(redacted, place)
    world.write(**SECTIONS)
    answers = [run("reproduce", place, "--key", world.home.default_key)]
    # Where every sample is withheld, nothing is left to be equal.
    assert answers[0].code == (0 if (place / "samples.jsonl").stat().st_size else 5), told(answers[0])
    assert "note: redacted: withheld" in told(answers[0])
    answers.append(run("sign", place, "--key", key_of(world, "erin"), "--out", tmp_path / "signed"))
    assert "note: redacted: withheld inputs" in told(answers[1])
    answers.append(run("attach", place, *sorted((tmp_path / "signed").iterdir())))
    answers.append(run("verify", place))
    assert [answer.code for answer in answers[1:]] == [0, 0, 0], told(answers[-1])
    for answer in answers:
        refuse_canary((answer.out + answer.err).encode())
    for path in [path for path in place.rglob("*") if path.is_file()]:
        refuse_canary(path.read_bytes())


def test_what_comes_to_an_original_later_comes_to_its_redaction_when_it_is_redacted_again(
    made: tuple[SmallWorld, Path, Path], run: Evalctl
) -> None:
    world, original, redacted = made
    ids = ("--samples-from", world.root / "ids")
    everything = ("--withhold", "inputs,predictions,targets")
    world.plays(tell)
    assert world.launch(sections=SECTIONS, rerun=True)
    assert run("ledger", "prove", original).code == 0
    redaction = said_by(run("show", redacted, "--json"))["redaction"]
    others = [f"item-{number:02}" for number in range(12) if number != 7]
    names = [*IDS, *others] if redaction["samples"] > 4 else [*IDS]
    ids[1].write_text("\n".join(names))
    again = run("redact", original, *everything, *ids, "--json")
    assert Path(said_by(again)["bundle"]) == redacted, told(again)
    brought = redacted / "attestations" / "original-ledger.tlog-proof"
    assert brought.read_bytes() == (original / "attestations" / "ledger.tlog-proof").read_bytes()
    assert world.verify(redacted).verdict == "verified"
