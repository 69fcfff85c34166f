"""What was changed and not pinned is said: a launch runs the pinned bytes, not those that lie there."""

import json
from pathlib import Path

import pytest

from tests.authoring.test_pin import git
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld


@pytest.fixture
def code(world: SmallWorld) -> Path:
    """Make the world's code a repository whose commit the blueprint pins."""
    folder = world.folder / "repository"
    folder.mkdir()
    (folder / "answer.py").write_text("print('answer')\n")
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message=One")
    world.write(code=f'git = "repository"\ncommit = "{git(folder, "rev-parse", "HEAD")}"')
    return folder


def test_nothing_is_said_where_everything_is_as_pinned(
    world: SmallWorld, code: Path, evalctl: Evalctl
) -> None:
    assert "note" not in evalctl("launch", world.file).err
    assert "--rerun" in evalctl("launch", world.file).err


def test_a_change_without_a_commit_is_said_instead_of_offering_the_old_run_again(
    world: SmallWorld, code: Path, evalctl: Evalctl
) -> None:
    evalctl("launch", world.file)
    (code / "answer.py").write_text("print('another')\n")
    again = evalctl("launch", world.file)
    assert "differs in `answer.py`: `evalctl pin" in again.err
    assert "--draft" in again.err
    assert "--rerun" not in again.err


def test_a_commit_after_the_pinned_one_is_said(world: SmallWorld, code: Path, evalctl: Evalctl) -> None:
    (code / "answer.py").write_text("print('another')\n")
    git(code, "commit", "--quiet", "--all", "--message=Two")
    (remark,) = json.loads(evalctl("launch", world.file, "--json").out)["remarks"]
    assert "differs in `answer.py`" in remark


def test_a_draft_runs_what_is_there_and_is_not_remarked_on(
    world: SmallWorld, code: Path, evalctl: Evalctl
) -> None:
    (code / "answer.py").write_text("print('another')\n")
    assert "note" not in evalctl("launch", world.file, "--draft").err


@pytest.mark.parametrize("data", [b"{}\n", None])
def test_a_changed_local_input_is_said_and_names_what_pins_it(
    world: SmallWorld, evalctl: Evalctl, data: bytes | None
) -> None:
    world.write()
    place = world.folder / "items.jsonl"
    # None: as many bytes as before, of another content.
    place.write_bytes(data if data is not None else place.read_bytes().replace(b"item", b"ITEM"))
    done = evalctl("launch", world.file)
    assert done.code == 0
    assert (
        f"`items.jsonl` is not what `data:items` pins, and does not run: `evalctl pin {world.file}"
        in done.err
    )


def test_an_input_that_is_gone_runs_from_the_cache_without_a_word(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    world.write()
    (world.folder / "items.jsonl").unlink()
    done = evalctl("launch", world.file)
    assert (done.code, "note" in done.err) == (0, False)


def test_a_slot_that_is_filled_is_not_held_against_what_is_pinned(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    model = '[[model]]\nname = "weights"\nslot = "candidate"\nuri = "weights"\nsha256 = "{items}"'
    world.write(tail=model.replace("{items}", json.loads((world.folder / "pins.json").read_text())["items"]))
    (world.folder / "weights").write_text("other")
    assert "`model:weights`" in evalctl("launch", world.file).err
    filled = evalctl("launch", world.file, "--model", f"candidate={world.folder / 'weights'}")
    assert (filled.code, "model:weights" in filled.err) == (0, False)


def test_pin_says_of_a_pinned_input_that_it_changed(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    (world.folder / "items.jsonl").write_text("{}\n")
    done = evalctl("pin", world.file, "--yes")
    assert "everything is pinned" in done.out
    assert "--update data:items" in done.err
