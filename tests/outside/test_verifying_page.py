"""What docs/verifying.md says to type works, and fails once a byte has changed."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes.world import SmallWorld
from tests.outside.judges import need

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "verifying.md").read_text()
BLOCKS = re.findall(r"(?s)```sh\n(.*?)```", PAGE)


def run(script: str, folder: Path) -> int:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode


@pytest.fixture
def folder(world: SmallWorld, tmp_path: Path) -> Path:
    """Return a folder with what a stranger was given."""
    need("openssl")
    place = tmp_path / "stranger"
    place.mkdir()
    shutil.copytree(world.launch().bundle, place / "bundle")
    (place / "alice.pub").write_text(world.signer.public.openssh + " alice\n")
    shutil.copy(CHECKOUT / "launcher" / "exports" / "evalctl_verify.py", place)
    return place


def test_every_command_of_the_page_accepts_a_bundle(folder: Path) -> None:
    assert len(BLOCKS) == 4
    for block in BLOCKS:
        assert run(block, folder) == 0, block


def test_every_check_of_the_page_refuses_a_changed_one(folder: Path) -> None:
    one_file, listing, unpack, openssl = BLOCKS
    assert run(unpack, folder) == 0
    (folder / "message").write_bytes((folder / "message").read_bytes() + b" ")
    assert run(openssl, folder) != 0
    (folder / "bundle" / "events.jsonl").write_bytes(b"{}\n")
    assert run(listing, folder) != 0
    assert run(one_file, folder) == 1
