"""Scoring in a container of its own, scoring alone, partial runs: what is less than a whole run says so."""

import json
from pathlib import Path

import pytest

from tests.conftest import Evalctl
from tests.fakes.bundle_files import lock_of, result_of
from tests.fakes.engine import World as Inside
from tests.fakes.forgery import change_json, reseal, statement_of
from tests.fakes.world import ITEMS, SmallWorld, answer, items_of, read_lines, write_lines, write_samples

SCORED = {"score": 'command = ["score"]\nenv = { STRICT = "1" }\n[score.resources]\nmemory = "512MiB"'}


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
