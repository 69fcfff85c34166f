"""`gc` removes what nobody but a cut-off attempt needs, shows it first, and never touches a bundle."""

import json
from pathlib import Path

import pytest

from launcher.errors import InfrastructureError
from launcher.store.journal import exclusive
from tests.conftest import Evalctl
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld, answer

RUN = 'command = ["answer"]\nseeds = [1, 2]\nresumable = true'


@pytest.fixture
def cut_off(world: SmallWorld) -> str:
    """Launch a lock whose second replicate's engine fails; return the lock."""

    def program(inside: Inside) -> int:
        (inside.mounts["/eval/state"] / "mine").write_bytes(bytes(5000))
        if inside.environment["EVALCTL_SEED"] == "2":
            raise InfrastructureError("the engine was restarted", code="engine-unreachable")
        return answer(inside)

    world.plays(program)
    world.engine.facts = type(world.engine.facts)(
        **{
            name: 1 if name == "cpus" else getattr(world.engine.facts, name)
            for name in world.engine.facts.__struct_fields__
        }
    )
    return world.launch(sections={"run": RUN}).lock


def progress(world: SmallWorld) -> set[str]:
    return {path.name for pattern in ("*/state", "*/*/work") for path in world.home.runs.glob(pattern)}


def everything_else(world: SmallWorld) -> set[Path]:
    return {
        path
        for path in world.home.root.rglob("*")
        if not {"work", "state"} & set(path.relative_to(world.home.root).parts) and path.is_file()
    }


def test_what_would_be_removed_is_shown_with_its_size_and_stays(
    world: SmallWorld, cut_off: str, evalctl: Evalctl
) -> None:
    done = evalctl("gc", "--dry-run", "--json")
    said = json.loads(done.out)
    assert {item["what"] for item in said["items"]} == {"replicates", "state"}
    assert (said["dry_run"], said["bytes"] > 10_000) == (True, True)
    assert progress(world) == {"work", "state"}
    assert "would be removed" in evalctl("gc", "--dry-run").err


def test_what_was_kept_is_removed_and_bundles_and_cache_stay(
    world: SmallWorld, cut_off: str, evalctl: Evalctl
) -> None:
    assert evalctl("trust", "show").code == 0
    before = everything_else(world)
    assert world.home.root / "policies" / "home.toml" in before
    done = evalctl("gc")
    assert (done.code, progress(world)) == (0, set())
    assert "removed" in done.err
    assert everything_else(world) == before
    assert evalctl("gc").err == "there is nothing to remove\n"
    world.plays(answer)
    launched = world.launch(sections={"run": RUN})
    assert "attempt" not in json.loads((launched.bundle / "result.json").read_text())["replicates"][0]


def test_what_a_launcher_holds_is_left_alone(world: SmallWorld, cut_off: str, evalctl: Evalctl) -> None:
    with exclusive(world.home, cut_off, lambda: None):
        assert evalctl("gc").code == 0
        assert progress(world) == {"work", "state"}


def test_things_in_the_engine_that_no_mark_tells_of_are_removed(world: SmallWorld, evalctl: Evalctl) -> None:
    world.launch()
    labels = {"evalctl.home": world.home.label, "evalctl.attempt": "long gone"}
    world.engine.containers["c"] = world.engine.networks["n"] = world.engine.volumes["v"] = labels
    assert evalctl("gc").code == 0
    assert (world.engine.containers, world.engine.networks, world.engine.volumes) == ({}, {}, {})


def test_a_silent_engine_is_said_and_the_rest_is_done(
    world: SmallWorld, cut_off: str, evalctl: Evalctl
) -> None:
    world.engine.reachable = False
    done = evalctl("gc")
    assert (done.code, "could not be removed" in done.err, progress(world)) == (0, True, set())


def test_an_empty_home_has_nothing_to_remove(evalctl: Evalctl, tmp_path: Path) -> None:
    assert evalctl("gc").code == 0
    assert evalctl("gc", "--dry-run").code == 0
