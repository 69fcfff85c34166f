"""Launching in a small world: what the container sees, what the bundle holds, what the command says."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.environment.facts import read_facts
from launcher.ledger.book import Book
from launcher.spec.bundle import REQUIRED
from launcher.spec.grammars import THREAD_VARIABLES
from tests.conftest import Evalctl
from tests.fakes.bundle_files import result_of
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
    write_samples,
)

PUBLISHED = 'published = { value = 0.91, decimals = 2, source = "doi:10.5281/zenodo.1" }'


def test_a_launch_ends_with_a_signed_bundle_that_verifies(world: SmallWorld) -> None:
    launched = world.launch()
    verification = world.verify(launched.bundle)
    assert (verification.verdict, verification.signers) == ("verified", (world.signer.public.fingerprint,))
    result = result_of(launched.bundle)
    assert (result["status"], result["failure"], result["attempt"]) == ("succeeded", None, 1)
    assert result["metrics"][0]["value"] == (ITEMS - WRONG) / ITEMS
    assert result["lock"] == launched.lock


def test_what_the_probe_saw_stands_in_the_environment_once_for_all_replicates(world: SmallWorld) -> None:
    launched = world.launch(sections={"run": 'command = ["answer"]\nseeds = [1, 2, 3]'})
    facts = read_facts((launched.bundle / "environment.json").read_bytes())
    (probed,) = (fact for fact in facts if fact.source == "probe")
    (report,) = probed.value
    assert (probed.name, report["replicates"]) == ("probe.run", [0, 1, 2])
    assert report["report"]["interfaces"] == ["lo"]


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
