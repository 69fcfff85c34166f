"""Two containers, filled slots, partial runs and drafts: what is less than a whole run says so."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Evalctl
from tests.fakes.engine import World as Inside
from tests.fakes.forgery import change_json, reseal, statement_of
from tests.fakes.world import ITEMS, SmallWorld, answer, items_of, read_lines, write_lines, write_samples

SCORED = {"score": 'command = ["score"]\nenv = { STRICT = "1" }\n[score.resources]\nmemory = "512MiB"'}
SLOT = '[[model]]\nname = "weights"\nslot = "candidate"\nuri = "model.bin"\nsha256 = "{digest}"\n'


def result_of(bundle: Path) -> Any:
    return json.loads((bundle / "result.json").read_text())


def lock_of(bundle: Path) -> Any:
    return json.loads((bundle / "lock.json").read_text())["identity"]


def predict(inside: Inside) -> int:
    """Leave predictions that are no samples."""
    assert "/eval/inputs/labels" not in inside.mounts
    assert "/eval/predictions" not in inside.mounts
    (inside.outputs / "deep").mkdir()
    write_lines(inside.outputs / "deep" / "answers.jsonl", [item["x"] % 3 for item in items_of(inside)])
    return 0


def score(inside: Inside) -> int:
    """Hold the predictions against the labels."""
    answers = read_lines(inside.mounts["/eval/predictions"] / "deep" / "answers.jsonl")
    labels = read_lines(inside.mounts["/eval/inputs/labels"])
    write_samples(
        inside,
        [
            {"id": label["id"], "prediction": answer, "target": label["target"]}
            for answer, label in zip(answers, labels, strict=True)
        ],
    )
    assert inside.environment["STRICT"] == "1"
    return 0


@pytest.fixture
def scored(world: SmallWorld) -> SmallWorld:
    world.plays(predict)
    world.plays(score, "score")
    world.write(**SCORED)
    return world


def test_a_second_container_scores_what_the_first_left(scored: SmallWorld, evalctl: Evalctl) -> None:
    done = evalctl("launch", scored.file, "--json")
    assert done.code == 0, done.err
    bundle = Path(json.loads(done.out)["bundle"])
    assert json.loads(done.out)["metrics"][0]["value"] == 0.9
    assert (bundle / "predictions" / "0" / "deep" / "answers.jsonl").is_file()
    assert evalctl("verify", bundle).code == 0
    run, second = scored.engine.tasks
    assert (run.profile.memory, second.profile.memory) == (1 << 30, 512 << 20)
    assert lock_of(bundle)["score"]["sandbox"]["memory"] == 512 << 20
    phases = [json.loads(line)["phase"] for line in (bundle / "resources.jsonl").read_text().splitlines()[:2]]
    assert phases == ["run", "score"]


def test_what_the_first_left_is_read_only_to_nobody_but_readable_to_all(scored: SmallWorld) -> None:
    modes = []

    def looking(inside: Inside) -> int:
        folder = inside.mounts["/eval/predictions"]
        modes.extend(path.stat().st_mode & 0o777 for path in (folder, *sorted(folder.rglob("*"))))
        return score(inside)

    scored.plays(looking, "score")
    scored.launch(sections=SCORED)
    assert modes == [0o755, 0o755, 0o444]


@pytest.mark.parametrize(("program", "said"), [("exits", "exited with code 3"), ("silent", "left no")])
def test_scoring_that_fails_is_told_apart(
    scored: SmallWorld, evalctl: Evalctl, program: str, said: str
) -> None:
    scored.plays(lambda _: 3 if program == "exits" else 0, "score")
    done = evalctl("launch", scored.file, "--json")
    answer = json.loads(done.out)
    assert (done.code, answer["failure"]) == (1, "candidate")
    assert said in answer["deviations"][0]
    assert ("scoring" in answer["deviations"][0]) == (program == "exits")
    assert evalctl("verify", answer["bundle"]).code == 0
    assert (Path(answer["bundle"]) / "predictions" / "0" / "deep" / "answers.jsonl").is_file()


def test_the_last_words_are_those_of_the_container_that_failed(scored: SmallWorld, evalctl: Evalctl) -> None:
    def talking(inside: Inside) -> int:
        inside.stderr.extend(b"predicting\n")
        return predict(inside)

    def stumbling(inside: Inside) -> int:
        inside.stderr.extend(b"no labels for me\n")
        return 3

    scored.plays(talking)
    scored.plays(stumbling, "score")
    done = evalctl("launch", scored.file)
    assert done.code == 1
    assert "The end of logs/score-0.stderr in the bundle:\n  | no labels for me\n" in done.out
    assert "predicting" not in done.out


def test_no_two_steps_of_the_launcher_have_one_name(scored: SmallWorld) -> None:
    events = read_lines(scored.launch(sections=SCORED).bundle / "events.jsonl")
    ours = [event["step"] for event in events if event["source"] == "launcher"]
    assert "score" in ours
    assert len(ours) == len(set(ours))


def test_a_run_that_fails_is_not_scored(scored: SmallWorld) -> None:
    scored.plays(lambda _: 1)
    scored.launch(sections=SCORED)
    assert [task.command[0] for task in scored.engine.tasks] == ["answer"]


@pytest.mark.parametrize("sections", [SCORED, {}], ids=["a second container", "labels"])
def test_scoring_alone_gives_the_same_score_without_predicting(
    scored: SmallWorld, evalctl: Evalctl, sections: dict[str, str | None]
) -> None:
    if not sections:
        scored.plays(answer)
    original = scored.launch(sections=sections).bundle
    before = len(scored.engine.tasks)
    done = evalctl("reproduce", original, "--blueprint-dir", scored.folder, "--score-only", "--json")
    answered = json.loads(done.out)
    assert (done.code, answered["verdict"], answered["scope"]) == (0, "identical", "score-only"), done.err
    assert [task.command[0] for task in scored.engine.tasks[before:]] == (["score"] if sections else [])
    again = Path(answered["bundle"])
    assert result_of(again)["marks"] == ["score-only"]
    assert len(lock_of(again)["predictions"]) == 1
    assert evalctl("verify", again).code == 0
    checked = evalctl("verify", original, "--json")
    assert (checked.code, json.loads(checked.out)["reproductions"]) == (0, [])
    assert "score-only, identical" in checked.out
    assert "not counted as a reproduction" in checked.out


def test_a_run_without_score_has_nothing_to_be_scored_alone(world: SmallWorld, evalctl: Evalctl) -> None:
    def both(inside: Inside) -> int:
        write_samples(inside, [{"id": "a", "prediction": 1, "target": 1}])
        return 0

    world.plays(both)
    original = world.launch(sections={"score": None}).bundle
    done = evalctl("reproduce", original, "--blueprint-dir", world.folder, "--score-only")
    assert (done.code, "no `[score]`" in done.err) == (4, True)


def test_scoring_alone_that_fails_before_all_is_scored_still_makes_a_bundle_that_verifies(
    scored: SmallWorld, evalctl: Evalctl
) -> None:
    run = {**SCORED, "run": 'command = ["answer"]\nseeds = [1, 2, 3]', "resources": "cpus = 4"}
    original = scored.launch(sections=run).bundle
    scored.plays(lambda _: 3, "score")
    evalctl("reproduce", original, "--blueprint-dir", scored.folder, "--score-only")
    again = next(path for path in scored.home.bundles.iterdir() if path != original)
    assert result_of(again)["failure"] == "candidate"
    assert evalctl("verify", again).code == 0
    forged = again / "predictions" / "0" / "deep" / "answers.jsonl"
    forged.write_bytes(b"0\n")
    reseal(again, scored.signer)
    assert evalctl("verify", again).code == 1


def test_a_run_that_left_nothing_can_be_scored_alone(scored: SmallWorld, evalctl: Evalctl) -> None:
    def right(inside: Inside) -> int:
        assert not list(inside.mounts["/eval/predictions"].iterdir())
        write_samples(inside, [{"id": "a", "prediction": 1, "target": 1}])
        return 0

    scored.plays(lambda _: 0)
    scored.plays(right, "score")
    original = scored.launch(sections=SCORED).bundle
    assert not (original / "predictions").exists()
    done = evalctl("reproduce", original, "--blueprint-dir", scored.folder, "--score-only", "--json")
    answered = json.loads(done.out)
    assert (done.code, answered["verdict"]) == (0, "identical"), done.err
    assert evalctl("verify", answered["bundle"]).code == 0


def test_predictions_that_were_changed_are_refused(scored: SmallWorld, evalctl: Evalctl) -> None:
    original = scored.launch(sections=SCORED).bundle
    answered = json.loads(
        evalctl("reproduce", original, "--blueprint-dir", scored.folder, "--score-only", "--json").out
    )
    bundle = Path(answered["bundle"])
    (bundle / "predictions" / "0" / "deep" / "answers.jsonl").write_bytes(b"0\n")
    reseal(bundle, scored.signer)
    done = evalctl("verify", bundle)
    assert (done.code, "not those that the lock names" in done.out) == (1, True)


def test_a_part_of_the_items_is_run_and_compared(world: SmallWorld, evalctl: Evalctl) -> None:
    original = world.launch().bundle
    done = evalctl("reproduce", original, "--blueprint-dir", world.folder, "--samples", "7", "--json")
    answered = json.loads(done.out)
    assert (done.code, answered["verdict"], answered["scope"]) == (0, "identical", "samples"), done.err
    assert (answered["samples"]["n"], answered["samples"]["equal"]) == (7, 7)
    assert world.engine.tasks[-1].environment["EVALCTL_LIMIT"] == "7"
    assert json.loads(evalctl("verify", original, "--json").out)["reproductions"] == []
    assert result_of(Path(answered["bundle"]))["marks"] == ["partial"]


def test_a_part_that_was_only_scored_again_claims_no_more(scored: SmallWorld, evalctl: Evalctl) -> None:
    original = scored.launch(sections=SCORED).bundle
    parts = ("--score-only", "--samples", "3")
    done = evalctl("reproduce", original, "--blueprint-dir", scored.folder, *parts, "--json")
    answered = json.loads(done.out)
    assert (done.code, answered["scope"], answered["samples"]["n"]) == (0, "score-only", 3), done.err
    assert result_of(Path(answered["bundle"]))["marks"] == ["partial", "score-only"]
    checked = evalctl("verify", original)
    assert (checked.code, "score-only, identical" in checked.out) == (0, True)


def test_items_that_did_not_come_again_are_a_difference(world: SmallWorld, evalctl: Evalctl) -> None:
    original = world.launch().bundle

    def lazy(inside: Inside) -> int:
        write_samples(
            inside, [{"id": item["id"], "prediction": item["x"] % 3} for item in items_of(inside)[:2]]
        )
        return 0

    world.plays(lazy)
    done = evalctl("reproduce", original, "--blueprint-dir", world.folder, "--samples", "7", "--json")
    assert (done.code, json.loads(done.out)["verdict"]) == (1, "diverged"), done.err


def test_a_limit_keeps_the_first_items_and_marks_the_result(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    done = evalctl("launch", world.file, "--limit", "5", "--json")
    answered = json.loads(done.out)
    bundle = Path(answered["bundle"])
    assert (done.code, answered["marks"], answered["metrics"][0]["n"]) == (0, ["partial"], 5)
    assert lock_of(bundle)["limit"] == 5
    assert statement_of(bundle, "attestations/result.sigstore.json")["predicate"]["marks"] == ["partial"]
    for command in ("show", "verify"):
        assert "partial" in evalctl(command, bundle).out
    whole = json.loads(evalctl("launch", world.file, "--json").out)
    assert (whole["marks"], whole["metrics"][0]["n"], whole["reused"]) == ([], ITEMS, False)
    assert whole["lock"] != answered["lock"]
    assert json.loads(evalctl("launch", world.file, "--limit", "5", "--json").out)["reused"]


def test_a_partial_result_cannot_pose_as_a_whole_one(world: SmallWorld, evalctl: Evalctl) -> None:
    from launcher.resolve import Choices

    bundle = world.launch(choices=Choices(limit=5)).bundle
    change_json(bundle / "result.json", lambda result: result.update(marks=[]))
    reseal(bundle, world.signer)
    done = evalctl("verify", bundle)
    assert (done.code, "not marked as its lock demands" in done.out) == (1, True)


def test_a_lock_is_launched_as_it_is(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    assert evalctl("resolve", world.file).code == 0
    done = evalctl("launch", world.file.with_name("blueprint.lock.json"), "--limit", "2")
    assert (done.code, "launch the blueprint" in done.err) == (2, True)


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
