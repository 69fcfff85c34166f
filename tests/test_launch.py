"""Launching: what a run sees, what becomes of what it leaves, and how every failure is told."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from launcher.environment.facts import read_facts
from launcher.errors import InfrastructureError, RequirementError
from launcher.ledger.book import Book
from launcher.spec.bundle import REQUIRED
from launcher.spec.grammars import THREAD_VARIABLES
from launcher.spec.widenings import widened
from tests.conftest import Evalctl
from tests.fakes.engine import FACTS, KilledError, Program
from tests.fakes.engine import World as Inside
from tests.fakes.forgery import statement_of
from tests.fakes.world import (
    ITEMS,
    SECTIONS,
    WRONG,
    SmallWorld,
    answer,
    answering,
    items_of,
    leaving,
    read_lines,
    write_lines,
    write_samples,
)

PUBLISHED = 'published = { value = 0.91, decimals = 2, source = "doi:10.5281/zenodo.1" }'


def result_of(bundle: Path) -> dict:
    return json.loads((bundle / "result.json").read_text())


def test_a_launch_ends_with_a_signed_bundle_that_verifies(world: SmallWorld) -> None:
    launched = world.launch()
    verification = world.verify(launched.bundle)
    assert (verification.verdict, verification.signers) == ("verified", (world.signer.public.fingerprint,))
    result = result_of(launched.bundle)
    assert (result["status"], result["failure"], result["attempt"]) == ("succeeded", None, 1)
    assert result["metrics"][0]["value"] == (ITEMS - WRONG) / ITEMS
    assert result["lock"] == launched.lock


def failed_as(evalctl: Evalctl, world: SmallWorld, failure: str, code: int = 1) -> str:
    """Launch, expect this failure in a signed bundle that verifies, and return the reason it gives."""
    if not world.file.exists():
        world.write()
    done = evalctl("launch", world.file, "--json")
    assert done.code == code, done.err
    launched = json.loads(done.out)
    assert (launched["status"], launched["failure"], launched["verdict"]) == ("failed", failure, "none")
    assert launched["metrics"] == []
    assert evalctl("verify", launched["bundle"]).code == 0
    assert (Path(launched["bundle"]) / "samples.jsonl").read_bytes() == b""
    return launched["deviations"][0]


@pytest.mark.parametrize("definition", ['mean@1"\nof = "scores.speed', "mae@1"])
def test_samples_that_a_metric_cannot_measure_are_the_candidates_failure(
    world: SmallWorld, evalctl: Evalctl, definition: str
) -> None:
    world.write(metric=f'name = "it"\ndefinition = "{definition}"')
    world.plays(answering(lambda _, sample: {**sample, "prediction": "three"}))
    assert "item-00" in failed_as(evalctl, world, "candidate")


def test_labels_that_are_no_labels_are_not_the_candidates_fault(world: SmallWorld, evalctl: Evalctl) -> None:
    digest = write_lines(world.folder / "labels.jsonl", [{"id": "item-00"}])
    world.write(labels=f'name = "labels"\nuri = "labels.jsonl"\nsha256 = "{digest}"\nrole = "held-out"')
    assert "labels" in failed_as(evalctl, world, "input", 4)


def test_a_reason_that_quotes_the_container_at_length_is_cut(world: SmallWorld, evalctl: Evalctl) -> None:
    key = b'"' + b"k" * 5000 + b'":1'
    world.plays(leaving(b"{" + key + b"," + key + b"}\n"))
    assert len(failed_as(evalctl, world, "candidate")) == 1000


def test_a_failed_run_says_how_its_sandbox_was_widened(world: SmallWorld) -> None:
    world.plays(lambda _: 3)
    launched = world.launch(sections={"sandbox": 'allow = ["exec-tmp"]'})
    assert result_of(launched.bundle)["deviations"] == ["it exited with code 3", *widened(("exec-tmp",))]


def test_a_sandbox_weaker_than_its_profile_is_a_failure_of_its_own(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    played: list[int] = []
    world.plays(lambda _: played.append(1) or 0)
    world.engine.weaken = lambda report: replace(report, interfaces=("lo", "eth0"))
    reason = failed_as(evalctl, world, "sandbox")
    assert "weaker than its profile: interfaces" in reason
    assert played == []
    again = evalctl("launch", world.file, "--json")
    assert (again.code, json.loads(again.out)["attempt"]) == (1, 1)


def test_what_the_probe_saw_stands_in_the_environment_once_for_all_replicates(world: SmallWorld) -> None:
    launched = world.launch(sections={"run": 'command = ["answer"]\nseeds = [1, 2, 3]'})
    facts = read_facts((launched.bundle / "environment.json").read_bytes())
    (probed,) = (fact for fact in facts if fact.source == "probe")
    (report,) = probed.value
    assert (probed.name, report["replicates"]) == ("probe.run", [0, 1, 2])
    assert report["report"]["interfaces"] == ["lo"]


@pytest.mark.parametrize("name", ["con", "dot.", "a" * 201, "/".join(["a" * 190] * 3)])
def test_an_artifact_that_no_bundle_may_hold_is_refused(
    world: SmallWorld, evalctl: Evalctl, name: str
) -> None:
    world.plays(leaving(b"x", f"artifacts/{name}"))
    assert "may hold" in failed_as(evalctl, world, "candidate")


def test_a_replicate_that_needs_what_is_missing_stops_the_others(world: SmallWorld, evalctl: Evalctl) -> None:
    def program(inside: Inside) -> int:
        if inside.environment["EVALCTL_SEED"] == "1":
            raise RequirementError("no such runtime", code="requirement-unmet")
        return 0 if inside.stopped.wait(20) else 9

    world.plays(program)
    started = time.monotonic()
    done = evalctl("launch", world.write(run='command = ["answer"]\nseeds = [1, 2]'))
    assert (done.code, time.monotonic() - started < 10) == (6, True)
    assert not list(world.home.root.glob("bundles/*"))


def test_an_engine_that_dies_in_mid_run_is_told_from_the_candidate(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    def program(inside: Inside) -> int:
        world.engine.reachable = False
        raise InfrastructureError("the connection broke", code="engine-unreachable")

    world.plays(program)
    assert "the connection broke" in failed_as(evalctl, world, "engine", 4)

    world.engine.reachable = True
    world.plays(answer)
    again = json.loads(evalctl("launch", world.file, "--json").out)
    assert (again["status"], again["attempt"]) == ("succeeded", 2)


def test_a_note_is_signed_and_one_that_no_statement_holds_is_refused(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    world.write()
    done = evalctl("launch", world.file, "--note", "x" * 4001)
    assert (done.code, "too long" in done.err) == (2, True)
    launched = json.loads(evalctl("launch", world.file, "--note", "x" * 4000, "--json").out)
    assert evalctl("verify", launched["bundle"]).code == 0


def test_the_command_ends_with_the_path_and_json_has_its_shape(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write(metric=f"{SECTIONS['metric']}\nthreshold = {{ min = 0.5 }}\n{PUBLISHED}")
    plain = evalctl("launch", world.file)
    path = Path(plain.out.splitlines()[-1])
    assert (plain.code, path.parent) == (0, world.home.bundles)
    answer = json.loads(evalctl("launch", world.file, "--json").out)
    assert (answer["bundle"], answer["digest"]) == (str(path), f"sha256:{path.name}")
    assert (answer["status"], answer["failure"], answer["verdict"]) == ("succeeded", None, "pass")
    (metric,) = answer["metrics"]
    assert (metric["name"], metric["value"], metric["n"], metric["verdict"]) == ("accuracy", 0.9, 40, "pass")
    assert metric["ci"][0] < 0.9 < metric["ci"][1]
    assert (metric["threshold"]["min"], metric["published"]["value"]) == (0.5, 0.91)
    assert metric["published_met"] is False


@pytest.mark.parametrize(
    ("threshold", "verdict", "code"),
    [
        ("{ min = 0.9 }", "pass", 0),
        ("{ min = 0.91 }", "fail", 1),
        ('{ min = 0.8, on = "ci-lower" }', "fail", 1),
    ],
)
def test_a_threshold_decides_verdict_and_exit_code(
    world: SmallWorld, evalctl: Evalctl, threshold: str, verdict: str, code: int
) -> None:
    done = evalctl("launch", world.write(metric=f"{SECTIONS['metric']}\nthreshold = {threshold}"), "--json")
    assert (json.loads(done.out)["verdict"], done.code) == (verdict, code)
    assert evalctl("launch", world.file).code == code
    assert evalctl("verify", json.loads(done.out)["bundle"]).code == 0


def test_samples_are_ordered_canonical_and_stripped_of_times(world: SmallWorld) -> None:
    def program(inside: Inside) -> int:
        samples = [
            {"id": item["id"], "prediction": 1, "seconds": 0.5, "groups": {"b": 1.0, "a": "ä"}}
            for item in items_of(inside)
        ]
        write_samples(inside, samples[::-1])
        return 0

    world.plays(program)
    bundle = world.launch(sections={"run": 'command = ["answer"]\nseeds = [9, 8]'}).bundle
    lines = (bundle / "samples.jsonl").read_bytes().splitlines(keepends=True)
    samples = [json.loads(line) for line in lines]
    assert [(sample["replicate"], sample["id"]) for sample in samples] == [
        (replicate, f"item-{number:02}") for replicate in (0, 1) for number in range(ITEMS)
    ]
    assert [samples[0]["seed"], samples[-1]["seed"]] == [9, 8]
    assert lines[0] == (
        '{"groups":{"a":"ä","b":1},"id":"item-00","prediction":1,"replicate":0,"seed":9,"target":0}\n'.encode()
    )
    times = [event for event in read_lines(bundle / "events.jsonl") if event["step"] == "sample"]
    assert len(times) == 2 * ITEMS
    assert (times[0]["seconds"], times[0]["detail"]["id"]) == (0.5, "item-00")


def test_the_container_sees_what_was_promised_and_no_label(world: SmallWorld) -> None:
    seen: list[Inside] = []

    def program(inside: Inside) -> int:
        seen.append(inside)
        config = json.loads(inside.mounts["/eval/config.json"].read_bytes())
        assert config == {
            "config": {"temperature": 0.5, "deep": {"n": 3, "on": True}},
            "seed": 7,
            "replicate": 0,
        }
        assert (inside.mounts["/eval/code"] / "answer.py").is_file()
        return answer(inside)

    world.plays(program)
    world.launch(
        sections={
            "config": "temperature = 0.5\ndeep = { n = 3, on = true }",
            "run": 'command = ["answer", "--fast"]\nseeds = [7]\nenv = { MODE = "a=b c", CUDA = "" }',
            "code": 'git = "code.bundle"\ncommit = "{commit}"\npath = "evals"',
            "resources": 'cpus = 2\nmemory = "1GiB"\noutput = "16MiB"',
        }
    )
    (inside,), (task,) = seen, world.engine.tasks
    assert set(inside.mounts) == {"/eval/code", "/eval/inputs/items", "/eval/config.json"}
    assert inside.arguments == ("answer", "--fast")
    assert inside.environment == {
        "MODE": "a=b c",
        "CUDA": "",
        "EVALCTL_SEED": "7",
        "PYTHONHASHSEED": "7",
        "SOURCE_DATE_EPOCH": "1767225600",
        "TZ": "UTC",
        "LC_ALL": "C.UTF-8",
        "HOME": "/tmp",
        **dict.fromkeys(THREAD_VARIABLES, "2"),
    }
    assert task.working_directory == "/eval/code/evals"
    assert (task.profile.cpus, task.profile.memory) == (2, 1 << 30)
    assert set(task.labels) == {"evalctl.home", "evalctl.attempt", "evalctl.replicate"}
    assert str(world.root) not in "".join(task.labels.values())


def test_replicates_run_side_by_side_within_the_processors_and_come_out_in_order(world: SmallWorld) -> None:
    lock, running, most = threading.Lock(), 0, 0

    def program(inside: Inside) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.05 if inside.environment["EVALCTL_SEED"] in ("9", "3") else 0.01)
        with lock:
            running -= 1
        return answering(lambda seed, sample: {**sample, "prediction": seed % 3})(inside)

    world.plays(program)
    bundle = world.launch(
        sections={
            "run": 'command = ["answer"]\nseeds = [9, 1, 5, 3, 2, 4]',
            "resources": 'cpus = 2\nmemory = "1GiB"\noutput = "16MiB"',
        }
    ).bundle
    assert most == 2
    result = result_of(bundle)
    assert [(run["replicate"], run["seed"]) for run in result["replicates"]] == list(
        enumerate([9, 1, 5, 3, 2, 4])
    )
    assert len(result["metrics"][0]["per_replicate"]) == 6
    assert result["metrics"][0]["spread"] > 0
    assert result["metrics"][0]["n"] == ITEMS


def test_a_run_without_samples_still_shows_what_it_wrote(world: SmallWorld, evalctl: Evalctl) -> None:
    def talking(inside: Inside) -> int:
        inside.stderr.extend(b"nothing to do\n")
        return 0

    world.plays(talking)
    done = evalctl("launch", world.file)
    assert done.code == 1
    assert "The end of logs/run-0.stderr in the bundle:\n  | nothing to do\n" in done.out


def test_events_of_container_and_launcher_stand_in_one_file_and_say_whose_they_are(world: SmallWorld) -> None:
    event = b'{"step":"loading","phase":"run","seconds":0.25,"detail":{"rows":3}}\n'
    world.plays(leaving(event, "events.jsonl"))
    events = read_lines(world.launch().bundle / "events.jsonl")
    theirs = [event for event in events if event["source"] == "container"]
    assert theirs == [{**json.loads(event), "source": "container", "replicate": 0}]
    ours = [event["step"] for event in events if event["source"] == "launcher"]
    assert [step for step in ours if step in ("resolve", "engine", "image", "run", "metrics")] == [
        "resolve",
        "engine",
        "image",
        "run",
        "metrics",
    ]


def test_an_event_cannot_pose_as_the_launchers(world: SmallWorld, evalctl: Evalctl) -> None:
    world.plays(leaving(b'{"step":"run","source":"launcher"}\n', "events.jsonl"))
    assert "source" in failed_as(evalctl, world, "candidate")


def test_artifacts_and_logs_are_kept_and_other_outputs_are_named(world: SmallWorld) -> None:
    def program(inside: Inside) -> int:
        inside.stdout.extend(b"hello\n")
        inside.stderr.extend(b"x" * (5 << 20))
        (inside.outputs / "artifacts" / "deep").mkdir(parents=True)
        (inside.outputs / "artifacts" / "deep" / "plot.png").write_bytes(b"png")
        (inside.outputs / "cache.bin").write_bytes(b"cache")
        return answer(inside)

    world.plays(program)
    bundle = world.launch().bundle
    assert (bundle / "artifacts" / "0" / "deep" / "plot.png").read_bytes() == b"png"
    assert (bundle / "logs" / "run-0.stdout").read_bytes() == b"hello\n"
    assert (bundle / "logs" / "run-0.stderr").stat().st_size == 4 << 20
    assert not list(bundle.rglob("cache.bin"))
    assert result_of(bundle)["deviations"] == [
        "replicate 0: logs were cut",
        "replicate 0: 1 other output files were not kept",
    ]
    usage, phase = read_lines(bundle / "resources.jsonl")
    assert (usage["kind"], phase["kind"], phase["containers"]) == ("container", "phase", 1)
    assert usage["logs"]["stderr"] == {"bytes": 5 << 20, "kept": 4 << 20, "truncated": True}
    assert world.verify(bundle).verdict == "verified"


def test_no_folder_stands_empty_and_every_promised_file_exists(world: SmallWorld) -> None:
    bundle = world.launch().bundle
    assert sorted(path.name for path in bundle.iterdir()) == sorted(
        [*(name for name in REQUIRED), "attestations", "predictions"]
    )
    assert all(path.stat().st_nlink == 1 for path in bundle.iterdir() if path.is_file())
    assert (
        subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=bundle, check=False).returncode
        == 0
    )


def raising(error: BaseException) -> Program:
    def program(_: Inside) -> int:
        raise error

    return program


def linking(inside: Inside) -> int:
    (inside.outputs / "link").symlink_to("/etc/passwd")
    return answer(inside)


FAILURES: dict[str, tuple[Program, str, str]] = {
    "exit": (lambda _: 3, "candidate", "it exited with code 3"),
    "signal": (raising(KilledError(11)), "candidate", "it was ended by signal 11"),
    "memory": (raising(MemoryError()), "out-of-memory", "memory was used up"),
    "link": (linking, "candidate", "its output `link` is refused: link"),
    "nothing": (lambda _: 0, "candidate", "left no `/eval/out/samples.jsonl`"),
    "empty": (leaving(b""), "candidate", "holds no sample"),
    "blank": (leaving(b"\n"), "candidate", "line 1"),
    "not JSON": (leaving(b'{"id": "a"\n'), "candidate", "line 1"),
    "not UTF-8": (leaving(b'{"id": "\xff"}\n'), "candidate", "line 1"),
    "NaN": (leaving(b'{"id": "a", "prediction": NaN}\n'), "candidate", "NaN"),
    "deep": (leaving(b'{"id":"a","prediction":' + b"[" * 99 + b"]" * 99 + b"}\n"), "candidate", "deeper"),
    "a list": (leaving(b"[]\n"), "candidate", "not an object"),
    "a key of ours": (leaving(b'{"id":"a","replicate":0}\n'), "candidate", "unknown field `replicate`"),
    "twice": (leaving(b'{"id":"a","prediction":1}\n' * 2), "candidate", "`a` stands twice"),
    "a missing id": (
        answering(lambda _, sample: {**sample, "id": sample["id"].replace("07", "77")}),
        "candidate",
        "without a label",
    ),
    "its own target": (answering(lambda _, sample: {**sample, "target": 1}), "candidate", "its own `target`"),
    "bad events": (leaving(b"{}\n", "events.jsonl"), "candidate", "events.jsonl` line 1"),
    "an event of the wrong shape": (
        leaving(b'{"step":"a","seconds":-1}\n', "events.jsonl"),
        "candidate",
        "`seconds` a number",
    ),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_told_by_its_facts(world: SmallWorld, evalctl: Evalctl, case: str) -> None:
    program, failure, reason = FAILURES[case]
    world.plays(program)
    assert reason in failed_as(evalctl, world, failure)


def test_a_command_that_does_not_exist_is_the_candidates_failure(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write(run='command = ["nobody"]')
    assert "`nobody` could not be started" in failed_as(evalctl, world, "candidate")


def test_one_bad_replicate_stops_the_others_and_is_named(world: SmallWorld, evalctl: Evalctl) -> None:
    def program(inside: Inside) -> int:
        if inside.environment["EVALCTL_SEED"] == "2":
            return 5
        return 0 if inside.stopped.wait(30) else 9

    world.plays(program)
    world.write(run='command = ["answer"]\nseeds = [1, 2, 3]')
    assert failed_as(evalctl, world, "candidate") == "replicate 1: it exited with code 5"
    (bundle,) = world.home.bundles.iterdir()
    assert [run["failure"] for run in result_of(bundle)["replicates"]] == [
        "interrupted",
        "candidate",
        "interrupted",
    ]


def test_a_failed_run_keeps_what_it_logged(world: SmallWorld) -> None:
    def program(inside: Inside) -> int:
        inside.stderr.extend(b"Traceback\n")
        return 1

    world.plays(program)
    assert (world.launch().bundle / "logs" / "run-0.stderr").read_bytes() == b"Traceback\n"


@pytest.mark.parametrize(
    "facts",
    [
        {"cpus": 1},
        {"memory": 1 << 20},
        {"runtimes": ()},
        {"limits": ("memory",)},
        {"architecture": "aarch64"},
    ],
)
def test_what_this_machine_cannot_give_ends_before_the_attempt(
    world: SmallWorld, evalctl: Evalctl, facts: dict[str, Any]
) -> None:
    world.engine.facts = replace(FACTS, **facts)
    done = evalctl("launch", world.write(resources='cpus = 2\nmemory = "1GiB"\noutput = "16MiB"'))
    assert (done.code, "hint" in done.err) == (6, True)
    assert not world.home.bundles.exists()
    assert json.loads(evalctl("list", "--json").out)["attempts"] == []


def test_an_engine_that_does_not_answer_ends_before_the_attempt(world: SmallWorld, evalctl: Evalctl) -> None:
    world.engine.reachable = False
    assert evalctl("launch", world.write()).code == 4
    assert not world.home.bundles.exists()


def test_out_is_the_bundle_itself(world: SmallWorld, evalctl: Evalctl) -> None:
    (world.root / "empty").mkdir()
    world.write()
    for name in ("new", "empty", "deep/er", "trailing/"):
        done = evalctl("launch", world.file, "--out", f"{world.root}/{name}", "--json")
        bundle = Path(json.loads(done.out)["bundle"])
        assert (done.code, bundle) == (0, world.root / name)
        assert evalctl("verify", bundle).code == 0
    assert len(world.engine.tasks) == 1
    assert not [path for path in world.root.rglob(".*") if path.is_dir()]


@pytest.mark.parametrize("kind", ["file", "full", "link", "dangling"])
def test_out_never_overwrites(world: SmallWorld, evalctl: Evalctl, kind: str) -> None:
    out = world.root / "out"
    (world.root / "target").mkdir()
    if kind == "file":
        out.write_text("mine")
    elif kind == "full":
        out.mkdir()
        (out / "mine").write_text("mine")
    else:
        out.symlink_to("target" if kind == "link" else "nothing")
    done = evalctl("launch", world.write(), "--out", out)
    assert (done.code, world.engine.tasks) == (2, [])


def test_out_may_be_the_folder_one_stands_in(
    world: SmallWorld, evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.root / "here").mkdir()
    monkeypatch.chdir(world.root / "here")
    assert evalctl("launch", world.write(), "--out", ".").code == 0
    assert evalctl("verify", world.root / "here").code == 0


def test_out_on_a_disk_that_is_full_says_where_the_bundle_is(
    world: SmallWorld, evalctl: Evalctl, read_only: Callable[[Path], None]
) -> None:
    (world.root / "disk").mkdir()
    read_only(world.root / "disk")
    done = evalctl("launch", world.write(), "--out", world.root / "disk" / "out")
    (bundle,) = world.home.bundles.iterdir()
    assert (done.code, str(bundle) in done.err) == (4, True)


def test_the_note_is_signed(world: SmallWorld) -> None:
    bundle = world.launch(note="a nöte\nof two lines").bundle
    statement = statement_of(bundle, "attestations/provenance.sigstore.json")
    internal = statement["predicate"]["buildDefinition"]["internalParameters"]
    assert internal == {
        "note": "a nöte\nof two lines",
        "runtime": "runc",
        "ledger": Book(world.home).seal().origin,
        "ledgerEntry": "0",
    }


def test_widenings_are_said(world: SmallWorld, evalctl: Evalctl) -> None:
    done = evalctl("launch", world.write(sandbox='allow = ["exec-tmp"]'))
    assert "sandbox widened (1 of 1): exec-tmp" in done.out
    assert world.engine.tasks[0].profile.widenings == ("exec-tmp",)


def test_the_first_launch_makes_a_key_and_says_so(
    world: SmallWorld, evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVALCTL_HOME", str(world.root / "fresh"))
    done = evalctl("launch", world.write())
    assert (done.code, "made the key SHA256:" in done.err) == (0, True)
    assert (world.root / "fresh" / "keys" / "default").stat().st_mode & 0o777 == 0o600
    assert evalctl("verify", done.out.splitlines()[-1]).code == 0


def test_no_secret_path_or_host_is_in_a_bundle(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2-token")
    bundle = world.launch().bundle
    private = world.home.default_key.read_text().splitlines()[1]
    for path in (path for path in bundle.rglob("*") if path.is_file()):
        text = path.read_text()
        for odd in (str(world.root), "hunter2-token", private, f'"{os.uname().nodename}"'):
            assert odd not in text, path


def test_nothing_of_an_attempt_is_left_but_its_journal_and_bundle(world: SmallWorld) -> None:
    world.launch()
    (attempt,) = world.home.runs.glob("*/1")
    assert [path.name for path in attempt.iterdir()] == ["state.json"]
    assert list((world.home.root / "live").iterdir()) == []
    assert list((world.home.root / "unborn").iterdir()) == []
    assert world.engine.containers == {}
