"""`evalctl redact` and every view of what it makes say what is withheld."""

import json
from itertools import product
from pathlib import Path

import pytest

from launcher.store.home import Home
from launcher.verify.remembered import remembered
from tests.conftest import Evalctl
from tests.fakes.engine import World as Inside
from tests.fakes.finished import Finished
from tests.fakes.world import SmallWorld, copy_world, write_lines
from tests.redact.redactable import CANARY, SECTIONS, said_by, tell

EVERYTHING = ("--withhold", "inputs,predictions,targets")


def error_of(answer: Finished) -> str:
    return str(json.loads(answer.err.splitlines()[-1])["error"]["code"])


def test_show_counts_a_redacted_bundle_as_the_attempt_that_it_was_made_of(
    told: Evalctl, original: Path, redacted: Path
) -> None:
    of_original = said_by(told("show", original, "--json"))["ledger"]
    assert of_original["position"] == of_original["of"]
    assert said_by(told("show", redacted, "--json"))["ledger"] == of_original


def test_a_bundle_that_is_not_redactable_is_not_redacted(world: SmallWorld, evalctl: Evalctl) -> None:
    bundle = world.launch().bundle
    told = evalctl("redact", bundle, "--json")
    assert (told.code, error_of(told)) == (1, "not-redactable")


def test_a_home_that_launched_nothing_is_left_as_it_is(
    original: Path, evalctl: Evalctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALCTL_HOME", str(tmp_path / "other"))
    told = evalctl("redact", original, "--json")
    assert (told.code, error_of(told)) == (2, "no-key")
    assert not (tmp_path / "other").exists()


def test_without_its_key_a_bundle_is_not_redacted(
    shared: SmallWorld, original: Path, evalctl: Evalctl, world: SmallWorld
) -> None:
    told = evalctl("redact", original, "--signer", f"{shared.home.default_key}.pub", "--json")
    assert (told.code, error_of(told)) == (4, "no-redaction-key")


def test_a_sample_in_the_name_of_a_file_cannot_be_withheld(world: SmallWorld, evalctl: Evalctl) -> None:
    def name_it(inside: Inside) -> int:
        code = tell(inside)
        (inside.outputs / "artifacts" / f"{CANARY}.txt").write_text("picture")
        return code

    world.plays(name_it)
    bundle = world.launch(sections=SECTIONS).bundle
    before = sorted(world.home.bundles.iterdir())
    told = evalctl("redact", bundle, "--samples", f"the {CANARY}", f"failed {CANARY}", "--json")
    assert (told.code, error_of(told)) == (1, "still-there")
    assert "ORIGINAL-SHA256SUMS" in told.err
    assert sorted(world.home.bundles.iterdir()) == before


def test_every_view_says_what_is_withheld(told: Evalctl, redacted: Path, shared: SmallWorld) -> None:
    said = "withheld predictions, targets"
    for command in (["show"], ["verify"], ["report", "--format", "markdown"], ["report"]):
        page = told(*command[:1], redacted, *command[1:])
        assert page.code == 0, page.err
        assert said in " ".join(page.out.split()), command
        assert "4 samples whole" in " ".join(page.out.split()), command
        if command != ["show"]:
            assert "whether it was right (for" in " ".join(page.out.split()), command
    assert "redacted: withheld predictions, targets" in " ".join(told("list").out.split())
    for command in ("show", "verify"):
        answer = said_by(told(command, redacted, "--json"))
        assert answer["redaction"]["samples"] == 4
    (listed,) = [
        one
        for one in said_by(told("list", "--json"))["attempts"]
        if one["bundle"] == f"sha256:{redacted.name}"
    ]
    assert listed["redaction"]["withheld"][:2] == ["predictions", "targets"]


def test_a_report_of_a_redacted_bundle_calls_no_item_wrong(told: Evalctl, redacted: Path) -> None:
    page = told("report", redacted, "--format", "markdown").out
    assert "no item is shown" in page
    assert "item\\-" not in page


def test_the_command_withholds_and_the_next_one_verifies(
    told: Evalctl, original: Path, tmp_path: Path
) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text(f"the {CANARY}\n")
    out = tmp_path / "out"
    made = told(
        *("redact", original, *EVERYTHING, "--samples", "item-01", "item-02"),
        *("--samples-from", ids, "--keep", "logs,event-details", "--out", out, "--json"),
    )
    assert made.code == 1, "the log that is kept names the sample"
    made = told("redact", original, *EVERYTHING, "--samples", "item-01", "item-02", "--out", out, "--json")
    assert made.code == 0, made.err
    assert said_by(made)["redaction"]["samples"] == 4
    right, ranks, number = said_by(made)["left"]
    assert right == "whether it was right (for `accuracy`)"
    assert ranks.endswith("(for `macro`)")
    assert number.endswith("(for `loss`)")
    assert said_by(made)["exposure"]["guessable"] is True
    assert said_by(made)["exposure"]["withheld"]["scores"] == {"values": 26, "follow": 14}
    spoken = told("redact", original, *EVERYTHING, "--out", tmp_path / "again").err
    assert "14 of 26 withheld scores follow from what stays" in spoken
    assert "warning: what is withheld of samples can be guessed" in spoken
    checked = told("verify", out, "--json")
    assert (checked.code, said_by(checked)["verdict"]) == (0, "verified")


@pytest.mark.parametrize(
    "wrong",
    [
        ("--withhold", "labels"),
        ("--keep", "samples"),
        ("--samples", "nobody"),
        ("--samples-from", "gone"),
        ("extra",),
    ],
)
def test_what_cannot_be_withheld_is_usage(told: Evalctl, original: Path, wrong: tuple[str, ...]) -> None:
    assert told("redact", original, *wrong, "--json").code == 2


ODD_IDS = (
    "nl\nin id-22",
    "--samples",
    " lead and trail ",
    "e\u2028f\x85g-line",
    "7",
    "r\u202etl",
    "x/../../y",
)


def answer_oddly(inside: Inside) -> int:
    """Answer ids of any letters, each in two tasks and two epochs."""
    places = product(enumerate(ODD_IDS), ("one", "two"), (0, 1))
    samples = [
        {"id": name, "task": task, "epoch": epoch, "prediction": number % 2, "target": epoch, "seconds": 0.1}
        for (number, name), task, epoch in places
    ]
    write_lines(inside.outputs / "samples.jsonl", samples)
    (inside.outputs / "artifacts").mkdir()
    (inside.outputs / "artifacts" / "kept.json").write_text('["7", 7]')
    return 0


@pytest.fixture(scope="module")
def odd(world_template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[SmallWorld, Path]:
    world = copy_world(world_template, tmp_path_factory.mktemp("odd") / "world")
    world.plays(answer_oddly)
    sections = {**SECTIONS, "tail": "[bundle]\nredactable = true\n"}
    return world, world.launch(sections=sections).bundle


def test_ids_of_any_letters_are_withheld_in_every_task_epoch_and_replicate(
    odd: tuple[SmallWorld, Path], evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    world, bundle = odd
    monkeypatch.setenv("EVALCTL_HOME", str(world.home.root))
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_text("\r\n".join(ODD_IDS[1:4]) + "\r\n", newline="")
    second.write_text("\n".join(ODD_IDS[4:6]))
    files = ("--samples-from", first, "--samples-from", second)
    made = evalctl("redact", bundle, f"--samples={ODD_IDS[0]}", *files, "--json")
    assert made.code == 0, made.err
    assert said_by(made)["redaction"]["samples"] == 6 * 2 * 2 * 2
    place = Path(said_by(made)["bundle"])
    left = {json.loads(line)["id"] for line in (place / "samples.jsonl").read_bytes().splitlines()}
    assert left == {ODD_IDS[6]}
    assert world.verify(place).verdict == "verified"


@pytest.mark.parametrize("kept", ["event-details", "artifacts"])
def test_a_short_id_that_a_kept_file_quotes_cannot_be_withheld(
    odd: tuple[SmallWorld, Path], evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    world, bundle = odd
    monkeypatch.setenv("EVALCTL_HOME", str(world.home.root))
    assert evalctl("redact", bundle, "--samples", "7", "--json").code == 0
    told = evalctl("redact", bundle, "--samples", "7", "--keep", kept, "--json")
    assert (told.code, error_of(told)) == (1, "still-there")


def test_what_is_asked_for_twice_is_withheld_twice(told: Evalctl, original: Path) -> None:
    asked = ("--withhold", "targets", "--withhold", "inputs", "--keep", "logs", "--keep", "artifacts")
    made = said_by(told("redact", original, *asked, "--json"))
    assert made["redaction"]["withheld"] == ["inputs", "targets", "event-details"]


def test_a_list_of_ids_without_any_is_no_list(told: Evalctl, original: Path, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("\n\r\n")
    answer = told("redact", original, "--samples-from", tmp_path / "ids", "--json")
    assert (answer.code, error_of(answer)) == (2, "no-ids")


def test_nothing_is_left_in_the_home_of_a_redaction_that_fails(
    told: Evalctl, shared: SmallWorld, original: Path
) -> None:
    before = {path.name for path in shared.home.root.iterdir()}
    assert told("redact", original, "--samples", "nobody").code == 2
    ids = (f"the {CANARY}", f"failed {CANARY}")
    assert told("redact", original, "--samples", *ids, "--keep", "artifacts,logs").code == 1
    assert {path.name for path in shared.home.root.iterdir()} - {"trash"} == before - {"trash"}


def test_what_a_home_saw_of_a_ledger_holds_for_a_redacted_bundle_too(
    shared: SmallWorld, original: Path, redacted: Path, tmp_path: Path
) -> None:
    elsewhere = Home(tmp_path / "elsewhere")
    assert remembered(elsewhere, shared.verify(redacted)).verdict == "verified"
    (kept,) = elsewhere.seen_ledgers.glob("*/[0-9]*")
    answer = remembered(elsewhere, shared.verify(original))
    assert (answer.verdict, answer.checks[-1].name) == ("verified", "ledger-seen")
    text = kept.read_text().split("\n")
    kept.write_text("\n".join([*text[:2], "A" * 43 + "=", *text[3:]]))
    answer = remembered(elsewhere, shared.verify(redacted))
    assert (answer.verdict, "forked" in answer.checks[-1].detail) == ("failed", True)
