"""`sign` and `attach`, killed before each step on the disk: the bundle verifies, and again completes it."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.trust.key_files import new_key
from tests.conftest import Evalctl
from tests.fakes.forgery import copy_of
from tests.fakes.killing import child, ended, killed_before
from tests.fakes.world import SmallWorld

# What is written into a bundle goes through a descriptor of its folder.
HELD = "/proc/self/fd/"


@pytest.fixture
def original(world: SmallWorld, evalctl: Evalctl) -> Path:
    """Return a bundle of the home's own key, which trusts bob as well."""
    bundle = copy_of(world.launch().bundle, world.root / "published")
    new_key(world.root / "bob")
    assert evalctl("trust", "add", world.root / "bob.pub").code == 0
    return bundle


def signing(world: SmallWorld, original: Path, evalctl: Evalctl) -> list[str | Path]:
    return ["sign", original, "--key", world.root / "bob"]


def attaching(world: SmallWorld, original: Path, evalctl: Evalctl) -> list[str | Path]:
    assert evalctl(*signing(world, original, evalctl), "--out", world.root / "signed").code == 0
    return ["attach", original, *sorted((world.root / "signed").iterdir())]


def added(bundle: Path, before: Path) -> int:
    """Return how many attestations more there are than before, whatever they are called."""
    now, then = ({path.name for path in (each / "attestations").iterdir()} for each in (bundle, before))
    return len(now - then)


@pytest.mark.parametrize("start", [signing, attaching])
def test_a_bundle_verifies_whenever_a_command_that_adds_to_it_is_killed(
    world: SmallWorld, evalctl: Evalctl, original: Path, start: Callable[..., list[str | Path]]
) -> None:
    command = start(world, original, evalctl)
    before = shutil.copytree(original, world.root / "before")
    counts, step, status = set(), 0, -signal.SIGKILL
    while status == -signal.SIGKILL:
        step += 1
        shutil.rmtree(original)
        shutil.copytree(before, original)
        status = killed_before(step, lambda: evalctl(*command).code, HELD)
        assert evalctl("verify", original).code == 0, step
        counts.add(added(original, before))
        assert evalctl(*command).code == 0, step
        assert added(original, before) == 3
        assert evalctl("verify", original).out.count("signed by bob, me") == 3
    assert (status, counts) == (0, {0, 1, 2, 3})


def test_keys_that_co_sign_at_once_all_do(world: SmallWorld, evalctl: Evalctl, original: Path) -> None:
    names = ("bob", "carol", "dave", "erin")
    for name in names[1:]:
        new_key(world.root / name)
        assert evalctl("trust", "add", world.root / f"{name}.pub").code == 0
    commands = [("sign", original, "--key", world.root / name) for name in names]
    running = [child(lambda command=command: evalctl(*command).code) for command in commands]
    assert [ended(pid) for pid in running] == [0] * len(names)
    assert evalctl("verify", original).out.count("signed by bob, carol, dave, erin, me") == 3
