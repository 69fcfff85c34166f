"""Commands that change a policy, killed before each step on the disk, at once, and on a disk that is full."""

import resource
import shutil
import signal
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from launcher.cli.app import run
from launcher.trust.policy_file import read_policy
from tests.fakes.killing import child, ended, killed_before

FULL = [0, 1, 200, 600, 1200, 1800, 2400]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with two keys, whose `home` trusts the first of them, alice."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVALCTL_HOME", str(tmp_path / "home"))
    for name in ("alice", "bob"):
        assert run(["key", "new", name]) == 0
    return tmp_path / "home"


def plain(home: Path) -> list[str]:
    assert run(["trust", "init", "--key", "alice.pub"]) == 0
    return ["trust", "add", "bob.pub"]


def signed(home: Path) -> list[str]:
    assert run(["trust", "init", "--key", "alice", "--signed"]) == 0
    return ["trust", "add", "bob.pub", "--key", "alice"]


def installed(home: Path) -> list[str]:
    """Have version 1 in the home, and version 2 elsewhere."""
    assert run(["trust", "init", "--key", "alice", "--signed", "--trust", "site/trust.toml"]) == 0
    assert run(["trust", "init", "--from", "site/trust.toml"]) == 0
    assert run(["trust", "add", "bob.pub", "--key", "alice", "--trust", "site/trust.toml"]) == 0
    return ["trust", "init", "--from", "site/trust.toml"]


STARTS = pytest.mark.parametrize("start", [plain, signed, installed])


def version_in(home: Path) -> int:
    return read_policy((home / "trust.toml").read_bytes()).version


def names_in(home: Path) -> set[str]:
    return {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}


@STARTS
def test_an_edit_killed_at_any_step_leaves_the_old_policy_or_the_new(
    home: Path, start: Callable[[Path], list[str]]
) -> None:
    command = start(home)
    before = shutil.copytree(home, home.with_name("before"))
    versions, step, status = set(), 0, -signal.SIGKILL
    while status == -signal.SIGKILL:
        step += 1
        shutil.rmtree(home)
        shutil.copytree(before, home)
        status = killed_before(step, lambda: run(command), str(home))
        assert run(["trust", "show"]) == 0, f"killed at step {step}"
        versions.add(version := version_in(home))
        known = start is not installed and version == 2
        assert run(command) == (2 if known else 0), f"killed at step {step}"
        assert version_in(home) == 2
        assert run(["trust", "show"]) == 0
    assert (status, versions) == (0, {1, 2})
    assert step > 8
    whole = names_in(home)
    if start is not plain:
        assert "trust.toml.sigstore.json" in whole


@STARTS
def test_what_a_killed_edit_left_is_removed_by_the_next(
    home: Path, start: Callable[[Path], list[str]]
) -> None:
    command = start(home)
    before = names_in(home)
    for name in ("trust.toml", "trust.toml.sigstore.json", "policies/home.toml"):
        place = home / name
        (place.parent / f".{place.name}.4711.0123abcd").write_bytes(b"half")
    (home / ".trust.toml.mine").write_bytes(b"kept")
    assert run(command) == 0
    assert names_in(home) - before - {"policies/home.toml"} == {".trust.toml.mine"}


def test_edits_by_many_processes_at_once_lose_nothing(home: Path) -> None:
    signed(home)
    names = [f"k{number}" for number in range(8)]
    for name in names:
        assert run(["key", "new", name]) == 0
    running = [
        child(lambda name=name: run(["trust", "add", f"{name}.pub", "--key", "alice"])) for name in names
    ]
    assert [ended(pid) for pid in running] == [0] * len(names)
    policy = read_policy((home / "trust.toml").read_bytes())
    assert policy.version == 1 + len(names)
    assert policy.keys.keys() == {"alice", *names}
    assert run(["trust", "show"]) == 0


@STARTS
def test_a_full_disk_is_said_and_leaves_the_old_policy(
    home: Path, start: Callable[[Path], list[str]]
) -> None:
    command = start(home)
    old = (home / "trust.toml").read_bytes()
    codes = []
    for most in FULL:

        def work(most: int = most) -> int:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                return run(command)

        codes.append(ended(child(work)))
        if codes[-1] == 0:
            break
        assert (home / "trust.toml").read_bytes() == old, most
        assert run(["trust", "show"]) == 0
    assert codes == [4] * (len(codes) - 1) + [0]
    assert len(codes) > 3
    assert version_in(home) == 2
    assert not [name for name in names_in(home) if Path(name).name.startswith(".")]
