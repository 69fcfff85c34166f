"""Filled slots and drafts: one blueprint with another checkpoint, or with a working tree."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Evalctl
from tests.fakes.bundle_files import lock_of
from tests.fakes.engine import World as Inside
from tests.fakes.forgery import change_json, reseal
from tests.fakes.world import SmallWorld, answer

SLOT = '[[model]]\nname = "weights"\nslot = "candidate"\nuri = "model.bin"\nsha256 = "{digest}"\n'


def with_slot(world: SmallWorld) -> str:
    (world.folder / "model.bin").write_bytes(b"the usual one")
    digest = subprocess.run(
        ["sha256sum", world.folder / "model.bin"], check=True, capture_output=True, text=True
    ).stdout[:64]
    world.write(tail=SLOT.replace("{digest}", digest))
    return digest


def test_a_slot_is_filled_with_any_checkpoint_by_one_unchanged_blueprint(
    world: SmallWorld, evalctl: Evalctl, tmp_path: Path
) -> None:
    digest = with_slot(world)
    seen: list[Path] = []

    def reading(inside: Inside) -> int:
        seen.append(inside.mounts["/eval/inputs/weights"])
        return answer(inside)

    world.plays(reading)
    checkpoint = tmp_path / "checkpoint"
    (checkpoint / "shards").mkdir(parents=True)
    (checkpoint / "shards" / "1.bin").write_bytes(b"better")
    locks = set()
    for filling in ("", f"candidate={checkpoint}", f"candidate={checkpoint / 'shards' / '1.bin'}"):
        done = evalctl("launch", world.file, "--json", *(["--model", filling] if filling else []))
        assert done.code == 0, done.err
        bundle = Path(json.loads(done.out)["bundle"])
        assert evalctl("verify", bundle).code == 0
        locks.add(json.loads(done.out)["lock"])
    assert len(locks) == 3
    assert seen[0].read_bytes() == b"the usual one"
    assert (seen[1] / "shards" / "1.bin").read_bytes() == b"better"
    pinned = {item["name"]: item for item in lock_of(bundle)["inputs"]}
    assert pinned["weights"]["sha256"] != digest
    assert pinned["weights"]["size"] == 6
    # What fills a slot is reproduced from the cache by its digest, or from where it is said to be.
    again = ("reproduce", bundle, "--blueprint-dir", world.folder, "--json")
    assert json.loads(evalctl(*again).out)["verdict"] == "identical"
    (world.home.cache / "sha256").rename(world.root / "gone")
    done = evalctl(*again)
    assert (done.code, "--model candidate=PATH" in done.out) == (4, True)
    done = evalctl(*again, "--model", f"candidate={checkpoint / 'shards' / '1.bin'}")
    assert json.loads(done.out)["verdict"] == "identical", done.err


@pytest.mark.parametrize("filling", ["candidate", "=x", "candidate=", "other=x", "candidate=nowhere"])
def test_a_slot_that_is_not_there_or_cannot_be_filled_is_said(
    world: SmallWorld, evalctl: Evalctl, filling: str
) -> None:
    with_slot(world)
    done = evalctl("launch", world.file, "--model", filling)
    assert done.code == (4 if filling == "candidate=nowhere" else 2)
    assert "blueprint-dir" not in done.err
    assert "hint:" in done.err


def test_a_lock_cannot_pin_other_bytes_where_there_is_no_slot(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    evalctl("resolve", world.file)
    lock = world.file.with_name("blueprint.lock.json")
    change_json(lock, lambda value: value["identity"]["inputs"][0].update(sha256="0" * 64))
    done = evalctl("launch", lock)
    assert (done.code, "no slot" in done.err) == (2, True)


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(world: SmallWorld) -> Path:
    """Return a repository of code, which the world's blueprint names."""
    folder = world.folder / "code"
    folder.mkdir()
    (folder / "main.py").write_text("print('one')\n")
    (folder / "tool.sh").write_text("#!/bin/sh\n")
    (folder / "tool.sh").chmod(0o755)
    (folder / ".gitignore").write_text("*.log\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "First")
    world.write(code=f'git = "code"\ncommit = "{git(folder, "rev-parse", "HEAD")}"')
    return folder


def test_a_draft_runs_the_working_tree_and_keeps_its_changes(
    world: SmallWorld, evalctl: Evalctl, repository: Path
) -> None:
    (repository / "main.py").write_text("print('two')\n")
    (repository / "new").mkdir()
    (repository / "new" / "data.bin").write_bytes(bytes(range(256)))
    (repository / "noise.log").write_text("ignored")
    (repository / "tool.sh").unlink()
    status = git(repository, "status", "--porcelain")
    seen: dict[str, bytes] = {}

    def reading(inside: Inside) -> int:
        root = inside.mounts["/eval/code"]
        seen.update(
            {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        )
        return answer(inside)

    world.plays(reading)
    done = evalctl("launch", world.file, "--draft", "--json")
    answered = json.loads(done.out)
    assert (done.code, answered["marks"]) == (0, ["draft"]), done.err
    assert seen == {
        ".gitignore": b"*.log\n",
        "main.py": b"print('two')\n",
        "new/data.bin": bytes(range(256)),
    }
    assert git(repository, "status", "--porcelain") == status
    bundle = Path(answered["bundle"])
    patch = (bundle / "artifacts" / "draft.patch").read_text()
    assert "+print('two')" in patch
    for command in ("show", "verify"):
        assert "draft" in evalctl(command, bundle).out
    # The bundle holds what it takes to run it elsewhere.
    git(repository, "checkout", "--quiet", "--force", ".")
    for entry in (world.home.cache / "code").iterdir():
        entry.rename(world.root / f"gone-{entry.name}")
    seen.clear()
    done = evalctl("reproduce", bundle, "--blueprint-dir", world.folder, "--json")
    assert json.loads(done.out)["verdict"] == "identical", done.err
    assert seen["main.py"] == b"print('two')\n"


@pytest.mark.parametrize("place", ["of the clone", "named", "usual", "of the repository's configuration"])
def test_a_draft_leaves_out_what_only_the_users_own_git_ignores(
    world: SmallWorld, evalctl: Evalctl, repository: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A bundle is for others to read, and such a file is where secrets lie."""
    patterns, settings = world.root / "patterns", world.root / "gitconfig"
    match place:
        case "of the clone":
            patterns = repository / ".git" / "info" / "exclude"
        case "named":
            settings.write_text(f"[core]\nexcludesFile = {patterns}\n")
        case "usual":
            patterns = world.root / "config" / "git" / "ignore"
        case _:
            git(repository, "config", "core.excludesFile", str(patterns))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(world.root / "config"))
    patterns.parent.mkdir(parents=True, exist_ok=True)
    patterns.write_text("*.secret\n")
    (repository / "token.secret").write_text("secret")
    (repository / "main.py").write_text("print('two')\n")
    bundle = Path(json.loads(evalctl("launch", world.file, "--draft", "--json").out)["bundle"])
    patch = (bundle / "artifacts" / "draft.patch").read_text()
    assert ("+print('two')" in patch, "secret" in patch) == (True, False)


def test_a_draft_that_lies_about_its_changes_is_refused(
    world: SmallWorld, evalctl: Evalctl, repository: Path
) -> None:
    (repository / "main.py").write_text("print('two')\n")
    bundle = Path(json.loads(evalctl("launch", world.file, "--draft", "--json").out)["bundle"])
    (bundle / "artifacts" / "draft.patch").write_text("nothing to see\n")
    reseal(bundle, world.signer)
    done = evalctl("verify", bundle)
    assert (done.code, "is not the patch of the lock" in done.out) == (1, True)


def test_a_draft_without_changes_or_working_tree_is_said(
    world: SmallWorld, evalctl: Evalctl, repository: Path
) -> None:
    done = evalctl("launch", world.file, "--draft")
    assert (done.code, "nothing to draft" in done.err, "without --draft" in done.err) == (2, True, True)
    world.write()
    done = evalctl("launch", world.file, "--draft")
    assert (done.code, "working tree" in done.err) == (2, True)


def test_the_lock_of_a_draft_alone_says_what_is_missing(
    world: SmallWorld, evalctl: Evalctl, repository: Path
) -> None:
    (repository / "main.py").write_text("print('two')\n")
    bundle = Path(json.loads(evalctl("launch", world.file, "--draft", "--json").out)["bundle"])
    done = evalctl("launch", bundle / "lock.json", "--blueprint-dir", world.folder)
    assert (done.code, "reproduce its bundle" in done.err) == (4, True)


def test_hostile_settings_of_the_working_tree_run_nothing(
    world: SmallWorld, evalctl: Evalctl, repository: Path, tmp_path: Path
) -> None:
    proof = tmp_path / "proof"
    (repository / ".gitattributes").write_text("* filter=evil diff=evil\n")
    for name in ("filter.evil.clean", "filter.evil.smudge", "diff.evil.textconv", "core.fsmonitor"):
        git(repository, "config", name, f"touch {proof}")
    (repository / ".git" / "hooks" / "post-index-change").write_text(f"#!/bin/sh\ntouch {proof}\n")
    (repository / ".git" / "hooks" / "post-index-change").chmod(0o755)
    assert evalctl("launch", world.file, "--draft").code == 0
    assert not proof.exists()
