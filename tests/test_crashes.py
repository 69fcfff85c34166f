"""What is left when a launcher dies: half-made state is closed, and nothing verifies that should not."""

import json
from typing import Any

from launcher.store.attempts import write_state
from tests.fakes.world import SmallWorld


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
