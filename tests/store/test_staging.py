"""Folders in which bundles are made: nothing of them is left, even where the maker was killed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.store.home import Home
from launcher.store.staging import dead_staged, staged, sweep_staged
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld

MAKER = """
import sys, time
from pathlib import Path
from launcher.store.home import Home
from launcher.store.staging import staged
with staged(Home(Path(sys.argv[1]))) as folder:
    (folder / "half").write_bytes(bytes(5000))
    print("begun", flush=True)
    time.sleep(60)
"""


def half_made(home: Home) -> list[Path]:
    return list(home.root.glob("making/*"))


def test_nothing_is_left_of_what_was_made_or_given_up(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with staged(home) as folder:
        (folder / "file").touch()
        assert dead_staged(home) == []
        sweep_staged(home)
        assert (folder / "file").exists()
    assert list(home.root.iterdir()) == []
    with pytest.raises(ValueError, match="given up"), staged(home):
        raise ValueError("given up")
    assert list(home.root.iterdir()) == []


def test_what_a_killed_maker_left_is_removed_by_the_next_list(world: SmallWorld, evalctl: Evalctl) -> None:
    command = [sys.executable, "-c", MAKER, str(world.home.root)]
    maker = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert maker.stdout and maker.stdout.readline() == b"begun\n"
    assert evalctl("list").code == 0
    (folder,) = half_made(world.home)
    maker.kill()
    maker.communicate()
    told = json.loads(evalctl("gc", "--dry-run", "--json").out)
    assert [(item["what"], item["path"]) for item in told["items"]] == [("half-made", str(folder))]
    assert told["bytes"] >= 5000
    assert half_made(world.home) == [folder]
    assert evalctl("list").code == 0
    assert half_made(world.home) == []
