"""Homes on disks that are full or read-only, while an attempt begins, ends, is put together or published."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.errors import InfrastructureError
from tests.conftest import Evalctl
from tests.fakes.engine import FakeEngine
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld, answer, copy_world

SEEDS = 'command = ["answer"]\nseeds = [1, 2, 3]'
LARGE = b"x" * 300_000


@pytest.fixture
def small(world_template: Path, tmp_path: Path) -> Iterator[SmallWorld]:
    """Return a world on a disk of its own that holds little."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "none", disk]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    yield copy_world(world_template, disk / "world", FakeEngine({"answer": answer}))
    subprocess.run(["umount", "--lazy", disk], check=True)


def fill(world: SmallWorld, room: int) -> None:
    """Leave `room` bytes on the world's disk."""
    with (world.root / "filler").open("ab") as stream:
        stream.write(bytes(max(0, shutil.disk_usage(world.root).free - room)))


def empty(world: SmallWorld) -> None:
    (world.root / "filler").unlink(missing_ok=True)


def filling(world: SmallWorld, seed: int, ran: list[int]) -> Callable[[Inside], int]:
    """Return a program that fills the world's disk while one replicate runs, and leaves much in each."""

    def program(inside: Inside) -> int:
        own = int(inside.environment["EVALCTL_SEED"])
        ran.append(own)
        (inside.outputs / "artifacts").mkdir()
        (inside.outputs / "artifacts" / "large").write_bytes(LARGE)
        if own == seed:
            fill(world, 100_000)
        return answer(inside)

    return program


def outcomes(evalctl: Evalctl) -> list[str]:
    done = evalctl("list", "--json")
    assert done.code == 0
    return [attempt["outcome"] for attempt in json.loads(done.out)["attempts"]]


@pytest.fixture
def on_disk(small: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> SmallWorld:
    """Return the world on a small disk, whose home the command line uses."""
    small.engine.facts = type(small.engine.facts)(
        **{
            name: getattr(small.engine.facts, name)
            for name in small.engine.facts.__struct_fields__
            if name != "cpus"
        },
        cpus=1,
    )
    return small


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_disk_that_fills_up_while_outputs_come_out_costs_only_what_had_not_ended(
    on_disk: SmallWorld, seed: int
) -> None:
    ran: list[int] = []
    on_disk.plays(filling(on_disk, seed, ran))
    with pytest.raises(InfrastructureError) as caught:
        on_disk.launch(sections={"run": SEEDS})
    assert caught.value.exit_status == 4
    assert not on_disk.home.bundles.exists() or not list(on_disk.home.bundles.iterdir())
    empty(on_disk)
    ran.clear()
    on_disk.plays(filling(on_disk, 0, ran))
    launched = on_disk.launch(sections={"run": SEEDS})
    assert on_disk.verify(launched.bundle).verdict == "verified"
    assert launched.attempt == 2
    assert ran == [1, 2, 3][seed - 1 :]
    assert not list(on_disk.home.runs.glob("*/*/work"))


def test_a_full_disk_begins_no_attempt_that_stays_open(small: SmallWorld) -> None:
    small.launch()
    fill(small, 0)
    with pytest.raises(InfrastructureError) as caught:
        small.launch(rerun=True)
    assert caught.value.exit_status == 4
    empty(small)
    assert small.launch(rerun=True).attempt in (2, 3)
    assert not list((small.home.root / "live").iterdir())
    assert not list(small.home.runs.glob("*/*/work"))


def test_a_full_disk_lists_and_verifies(
    small: SmallWorld, evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = small.launch().bundle
    monkeypatch.setenv("EVALCTL_HOME", str(small.home.root))
    fill(small, 0)
    assert outcomes(evalctl) == ["succeeded"]
    assert evalctl("verify", bundle).code == 0
    assert evalctl("show", bundle).code == 0


def test_a_read_only_home_shows_lists_and_verifies_and_launches_nothing(
    world: SmallWorld, evalctl: Evalctl, read_only: Callable[[Path], None]
) -> None:
    bundle = world.launch().bundle
    read_only(world.home.root)
    assert outcomes(evalctl) == ["succeeded"]
    assert [evalctl(verb, bundle).code for verb in ("verify", "show")] == [0, 0]
    done = evalctl("launch", world.file, "--json", "--rerun")
    error = json.loads(done.err)["error"]
    assert (done.code, done.out, error["code"]) == (4, "", "home-not-writable")
    assert "EVALCTL_HOME" in error["hint"]


def test_a_read_only_home_with_a_dead_attempt_says_that_it_stays(
    world: SmallWorld, evalctl: Evalctl, read_only: Callable[[Path], None]
) -> None:
    world.launch()
    (folder,) = world.home.runs.glob("*/1")
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "outcome": "unfinished", "bundle": None}))
    (world.home.root / "live" / state["invocation_id"]).write_text(str(folder.relative_to(world.home.root)))
    read_only(world.home.root)
    done = evalctl("list", "--json")
    assert done.code == 0
    assert "could not be removed" in done.err
