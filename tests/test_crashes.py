"""What is left when a launcher dies: half-made state is closed, and nothing verifies that should not."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from launcher.errors import InfrastructureError
from launcher.store.journal import exclusive, write_state
from tests.conftest import Evalctl
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld, answer


def die_after(world: SmallWorld, number: int, **changes: Any) -> None:
    """Make the journal of an attempt what it was when its launcher was killed."""
    (folder,) = world.home.runs.glob(f"*/{number}")
    state = json.loads((folder / "state.json").read_text())
    write_state(folder, {**state, "outcome": "unfinished", **changes})
    mark = world.home.root / "live" / state["invocation_id"]
    mark.write_text(str(folder.relative_to(world.home.root)))


def journal(world: SmallWorld, number: int) -> Any:
    (folder,) = world.home.runs.glob(f"*/{number}")
    return json.loads((folder / "state.json").read_text())


def test_a_bundle_that_was_published_counts_though_the_journal_was_cut_off(world: SmallWorld) -> None:
    first = world.launch()
    die_after(world, 1, step="publish")
    again = world.launch()
    assert (again.bundle, again.reused) == (first.bundle, True)
    assert journal(world, 1)["outcome"] == "succeeded"
    assert list((world.home.root / "live").iterdir()) == []


def test_an_attempt_whose_launcher_died_is_closed_and_tried_again(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    world.plays(lambda _: 3)
    world.launch()
    (bundle,) = world.home.bundles.iterdir()
    bundle.rename(world.root / "gone")
    die_after(world, 1, step="bundle", bundle=None, failure=None)
    (folder,) = world.home.runs.glob("*/1")
    (folder / "staging").mkdir()
    (folder / "staging" / "result.json").write_text("half")
    world.engine.containers["left-over"] = {
        "evalctl.home": world.home.label,
        "evalctl.attempt": journal(world, 1)["invocation_id"],
    }

    attempts = json.loads(evalctl("list", "--json").out)["attempts"]
    assert [(it["attempt"], it["outcome"], it["bundle"]) for it in attempts] == [(1, "interrupted", None)]
    assert world.engine.containers == {}
    assert [path.name for path in folder.iterdir()] == ["state.json"]
    assert list((world.home.root / "live").iterdir()) == []

    world.plays(answer)
    assert world.launch().attempt == 2


def test_left_overs_stay_known_until_the_engine_answers(world: SmallWorld, evalctl: Evalctl) -> None:
    world.launch()
    die_after(world, 1, step="run", bundle=None)
    world.engine.containers["left-over"] = {
        "evalctl.home": world.home.label,
        "evalctl.attempt": journal(world, 1)["invocation_id"],
    }
    world.engine.reachable = False
    done = evalctl("list")
    assert (done.code, "could not be removed" in done.err) == (0, True)
    world.engine.reachable = True
    assert evalctl("list").code == 0
    assert world.engine.containers == {}


def test_a_container_of_a_living_launcher_or_another_home_is_left_alone(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    world.launch()
    die_after(world, 1, step="run", bundle=None)
    others = {
        "another home's": {"evalctl.home": "0" * 16, "evalctl.attempt": "x"},
        "a stranger's": {"name": "database"},
    }
    world.engine.containers.update(others)

    def program(inside: Inside) -> int:
        (own,) = (name for name, labels in world.engine.containers.items() if name not in others)
        assert evalctl("list").code == 0
        assert own in world.engine.containers
        return answer(inside)

    world.plays(program)
    assert world.launch(rerun=True).attempt == 2
    assert world.engine.containers == others


def test_a_journal_that_cannot_be_read_counts_as_unfinished(world: SmallWorld, evalctl: Evalctl) -> None:
    first = world.launch()
    (state,) = world.home.runs.glob("*/1/state.json")
    for garbage in (b"", b"{", b"[]", b'{"bundle": 3, "outcome": []}', b"\xff"):
        state.write_bytes(garbage)
        assert evalctl("list", "--json").code == 0
    assert world.launch().bundle != first.bundle


def test_a_mark_that_leads_outside_the_home_harms_nothing(world: SmallWorld, evalctl: Evalctl) -> None:
    (world.root / "victim" / "work").mkdir(parents=True)
    (world.home.root / "live").mkdir(exist_ok=True)
    for number, text in enumerate(
        ("../victim", str(world.root / "victim"), "", ".", "runs", "\0", "runs/../..")
    ):
        (world.home.root / "live" / f"mark-{number}").write_text(text)
    assert evalctl("list").code == 0
    assert (world.root / "victim" / "work").is_dir()
    assert world.home.runs.parent.is_dir()
    assert list((world.home.root / "live").iterdir()) == []


def test_networks_and_volumes_of_the_dead_are_removed_with_their_containers(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    world.launch()
    die_after(world, 1, step="run", bundle=None)
    labels = {"evalctl.home": world.home.label, "evalctl.attempt": journal(world, 1)["invocation_id"]}
    others = {"another": {"evalctl.home": "0" * 16}}
    world.engine.networks.update({"private": labels, **others})
    world.engine.volumes.update({"kept": labels, **others})
    assert evalctl("list").code == 0
    assert (world.engine.networks, world.engine.volumes) == (others, others)


def test_an_engine_that_was_slow_to_create_is_asked_once_more(world: SmallWorld, evalctl: Evalctl) -> None:
    world.launch()
    die_after(world, 1, step="run", bundle=None)
    assert evalctl("list").code == 0
    world.engine.containers["created too late"] = {
        "evalctl.home": world.home.label,
        "evalctl.attempt": journal(world, 1)["invocation_id"],
    }
    assert evalctl("list").code == 0
    assert world.engine.containers == {}
    assert list((world.home.root / "reaped").iterdir()) == []


def test_what_another_engine_has_stays_known_until_that_one_is_asked(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    world.launch()
    die_after(world, 1, step="run", bundle=None, engine="podman 4.3.1")
    for _ in range(3):
        assert evalctl("list").code == 0
        assert len(list((world.home.root / "live").iterdir())) == 1
    world.engine.facts = replace(world.engine.facts, name="podman")
    assert evalctl("list").code == evalctl("list").code == 0
    assert not list((world.home.root / "live").iterdir())
    assert not list((world.home.root / "reaped").iterdir())


def test_an_attempt_without_a_mark_is_closed_by_list_and_by_its_own_lock(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    for close in (lambda: evalctl("list"), lambda: world.launch(rerun=True)):
        number = world.launch(rerun=True).attempt
        (folder,) = world.home.runs.glob(f"*/{number}")
        (folder / "state.json").write_bytes(b"")
        (folder / "staging").mkdir()
        close()
        assert journal(world, number)["outcome"] == "interrupted"
        assert [path.name for path in folder.iterdir()] == ["state.json"]


def test_a_launcher_killed_before_its_mark_was_whole_leaves_none(world: SmallWorld, evalctl: Evalctl) -> None:
    (world.home.root / "unborn").mkdir(parents=True)
    (world.home.root / "unborn" / "half").write_text("runs/x")
    assert evalctl("list").code == 0
    assert list((world.home.root / "unborn").iterdir()) == []


def test_a_dead_attempt_at_a_lock_that_is_held_is_left_to_its_holder(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    lock = world.launch().lock
    die_after(world, 1, step="run", bundle=None)
    (folder,) = world.home.runs.glob("*/1")
    (folder / "staging").mkdir()
    with exclusive(world.home, lock, lambda: None):
        assert evalctl("list").code == 0
        assert (folder / "staging").is_dir()
    assert evalctl("list").code == 0
    assert not (folder / "staging").exists()


def test_an_error_in_mid_attempt_closes_it(world: SmallWorld) -> None:
    world.write()
    home, signer = world.home, world.signer

    class Breaking:
        public = signer.public

        def sign(self, data: bytes) -> bytes:
            if b"evaluation-result" in data:
                raise InfrastructureError("the token was pulled out", code="signer-failed")
            return signer.sign(data)

    with pytest.raises(InfrastructureError, match="pulled out"):
        world.launch(signer=Breaking())
    assert journal(world, 1)["outcome"] == "interrupted"
    assert not home.bundles.exists() or list(home.bundles.iterdir()) == []
    assert list((home.root / "live").iterdir()) == []
    assert world.launch().attempt == 2
