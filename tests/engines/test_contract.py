"""What every engine must do, asked of the fake and of every real one."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from launcher.engines.engine import ContainerOutcome, ContainerTask, Engine, Mount
from launcher.engines.reaper import reap
from launcher.errors import InfrastructureError, RequirementError
from tests.engines.real_engines import ENGINES
from tests.engines.tasks import LABELS, MakeTask, Watcher
from tests.fakes.engine import FakeEngine, KilledError, Program, World


def _leave_files(world: World) -> int:
    (world.outputs / "samples.jsonl").write_bytes(b"{}\n{}\n")
    (world.outputs / "artifacts" / "deep").mkdir(parents=True)
    (world.outputs / "artifacts" / "deep" / "plot.txt").write_bytes(b"plot")
    time.sleep(0.1)
    return 0


def _leave_links(world: World) -> int:
    (world.outputs / "link").symlink_to("/etc/passwd")
    (world.outputs / "one").write_bytes(b"1")
    (world.outputs / "other").hardlink_to(world.outputs / "one")
    (world.outputs / "odd name").write_bytes(b"")
    return 0


def _talk(world: World) -> int:
    world.stdout += b"o" * 3000
    world.stderr += b"e" * 10
    return 0


def _read_inputs(world: World) -> int:
    world.stdout += world.environment["GREETING"].encode() + world.mounts["/eval/inputs/x"].read_bytes()
    return 0


def _tell_secrets(world: World) -> int:
    world.stdout += world.environment["TOKEN"].encode() + b" " + world.environment["GREETING"].encode()
    return 0


def _exhaust_memory(world: World) -> int:
    raise MemoryError


def _end_by_signal(world: World) -> int:
    raise KilledError(signal.SIGSEGV)


def _leave_much(world: World) -> int:
    (world.outputs / "big").write_bytes(bytes(6 << 20))
    return 0


def _fill_scratch(world: World) -> int:
    (world.outputs / "full").write_bytes(b"")
    return 28


def _read_nothing(world: World) -> int:
    world.stdout += b"0"
    return 0


def _never_end(world: World) -> int:
    (world.outputs / "partial").write_bytes(b"so far")
    world.stopped.wait()
    return 0


SCRIPTS: Mapping[str, tuple[str, Program]] = {
    "succeeds": ("exit 0", lambda world: 0),
    "exits-three": ("exit 3", lambda world: 3),
    "leaves-files": (
        "cd /eval/out; printf '{}\\n{}\\n' > samples.jsonl; mkdir -p artifacts/deep;"
        " printf plot > artifacts/deep/plot.txt; sleep 1.5",
        _leave_files,
    ),
    "leaves-links": (
        "cd /eval/out; ln -s /etc/passwd link; printf 1 > one; ln one other; touch 'odd name'",
        _leave_links,
    ),
    "talks": ("printf %3000s '' | tr ' ' o; printf eeeeeeeeee >&2", _talk),
    "reads-inputs": ('printf %s "$GREETING"; cat /eval/inputs/x', _read_inputs),
    "tells-secrets": ('printf "%s %s" "$TOKEN" "$GREETING"', _tell_secrets),
    "exhausts-memory": ("x=a; while :; do x=$x$x$x$x; done", _exhaust_memory),
    "ends-by-signal": ("kill -SEGV $$", _end_by_signal),
    "leaves-much": ("head -c 6291456 /dev/zero > /eval/out/big", _leave_much),
    "fills-scratch": (
        "head -c 9000000 /dev/zero > /eval/out/full 2>/dev/null || { : > /eval/out/full; exit 28; }",
        _fill_scratch,
    ),
    "reads-stdin": ("cat | wc -c | tr -d '\\n '", _read_nothing),
    "never-ends": (
        "trap '' TERM; printf 'so far' > /eval/out/partial; while :; do sleep 1; done",
        _never_end,
    ),
}


@dataclass(frozen=True)
class Rig:
    """An engine with the means to run one of the scripts on it."""

    name: str
    engine: Engine
    make: Callable[..., ContainerTask]

    def run(
        self, script: str, cancel: threading.Event | None = None, **changes: Any
    ) -> tuple[ContainerOutcome, ContainerTask]:
        task = self.make(script, **changes)
        return self.engine.run(task, Watcher(), cancel or threading.Event()), task


@pytest.fixture(params=["fake", *(pytest.param(name, marks=pytest.mark.engine) for name in ENGINES)])
def rig(request: pytest.FixtureRequest, make_task: MakeTask) -> Iterator[Rig]:
    if request.param == "fake":
        engine = FakeEngine({name: program for name, (_, program) in SCRIPTS.items()})
        yield Rig("fake", engine, lambda script, **changes: make_task("sha256:0", script, **changes))
        return
    real: Engine = request.getfixturevalue(f"{request.param}_engine")
    image = request.getfixturevalue("image_on")(real)

    def make(script: str, **changes: Any) -> ContainerTask:
        command = ("sh", "-c", SCRIPTS[script][0]) if script in SCRIPTS else (script,)
        return make_task(image, *command, **{"runtime": ENGINES[request.param], **changes})

    yield Rig(request.param, real, make)
    real.remove(real.find(LABELS))


def test_success_is_exit_code_zero_and_nothing_else(rig: Rig) -> None:
    outcome, _ = rig.run("succeeds")
    assert (outcome.exit_code, outcome.signal, outcome.exec_error) == (0, None, None)
    assert not (outcome.timed_out or outcome.cancelled or outcome.oom_killed)
    assert outcome.outputs.complete
    assert outcome.outputs.files == ()


def test_the_commands_own_exit_code_is_reported(rig: Rig) -> None:
    assert rig.run("exits-three")[0].exit_code == 3


def test_a_command_that_does_not_exist_is_told_apart_from_one_that_fails(rig: Rig) -> None:
    outcome, _ = rig.run("no-such-command")
    assert outcome.exec_error is not None
    assert "ENOENT" in outcome.exec_error
    assert outcome.exit_code is None


def test_a_signal_is_reported_as_one(rig: Rig) -> None:
    outcome, _ = rig.run("ends-by-signal")
    assert (outcome.exit_code, outcome.signal) == (None, signal.SIGSEGV)
    assert not outcome.oom_killed


def test_files_come_out_with_their_bytes_in_order_and_private(rig: Rig) -> None:
    outcome, task = rig.run("leaves-files")
    assert [(file.path, file.size) for file in outcome.outputs.files] == [
        ("artifacts/deep/plot.txt", 4),
        ("samples.jsonl", 6),
    ]
    assert outcome.outputs.bytes == 10
    copied = task.outputs / "artifacts" / "deep" / "plot.txt"
    assert copied.read_bytes() == b"plot"
    assert copied.stat().st_mode & 0o777 == 0o600


def test_links_and_odd_names_are_refused_by_name(rig: Rig) -> None:
    outcome, task = rig.run("leaves-links")
    refused = {refusal.path.replace(" ", "%20"): refusal.reason for refusal in outcome.outputs.refused}
    assert refused == {"link": "link", "one": "hard-link", "other": "hard-link", "odd%20name": "name"}
    assert list(task.outputs.iterdir()) == []


def test_the_observer_hears_how_many_samples_there_are(rig: Rig) -> None:
    watcher = Watcher()
    rig.engine.run(rig.make("leaves-files"), watcher, threading.Event())
    assert watcher.counts[-1:] == [2]


def test_logs_are_kept_to_their_limit_and_counted_beyond_it(rig: Rig) -> None:
    outcome, task = rig.run("talks", log_limit=1000)
    assert (outcome.stdout.captured, outcome.stdout.total, outcome.stdout.truncated) == (1000, 3000, True)
    assert (outcome.stderr.captured, outcome.stderr.total, outcome.stderr.truncated) == (10, 10, False)
    assert (task.logs / "stdout").read_bytes() == b"o" * 1000
    assert (task.logs / "stderr").read_bytes() == b"e" * 10


def test_environment_and_mounts_are_seen_inside(rig: Rig, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b" world")
    mounts = (Mount(source, "/eval/inputs/x"),)
    _, task = rig.run("reads-inputs", environment={"GREETING": "hello"}, mounts=mounts)
    assert (task.logs / "stdout").read_bytes() == b"hello world"


def test_secrets_join_the_commands_environment_and_win_and_logs_show_only_their_names(rig: Rig) -> None:
    _, task = rig.run(
        "tells-secrets", environment={"GREETING": "hello", "TOKEN": "x"}, secrets={"TOKEN": "s3cret"}
    )
    assert (task.logs / "stdout").read_bytes() == b"[secret TOKEN] hello"


def test_a_log_shows_no_secret_of_another_container(rig: Rig) -> None:
    _, task = rig.run(
        "tells-secrets", environment={"GREETING": "hello", "TOKEN": "s3cret"}, masked={"KEY": "s3cret"}
    )
    assert (task.logs / "stdout").read_bytes() == b"[secret KEY] hello"


def test_memory_used_up_is_the_engines_word(rig: Rig) -> None:
    outcome, _ = rig.run("exhausts-memory", memory=64 << 20)
    assert outcome.oom_killed
    assert not outcome.timed_out


def test_a_timeout_is_the_launchers_own_and_keeps_what_was_written(rig: Rig) -> None:
    outcome, task = rig.run("never-ends", timeout=1)
    assert (outcome.timed_out, outcome.cancelled, outcome.oom_killed) == (True, False, False)
    assert (outcome.exit_code, outcome.signal) == (None, None)
    assert (task.outputs / "partial").read_bytes() == b"so far"


def test_cancelling_stops_a_run_and_says_so(rig: Rig) -> None:
    cancel = threading.Event()
    timer = threading.Timer(0.7, cancel.set)
    timer.start()
    outcome, _ = rig.run("never-ends", cancel=cancel)
    assert (outcome.timed_out, outcome.cancelled) == (False, True)


def test_nothing_of_a_finished_run_is_found(rig: Rig) -> None:
    rig.run("succeeds")
    assert rig.engine.find(LABELS) == {}
    assert reap(rig.engine, LABELS["evalctl.home"], lambda attempt: False) == ()


def test_what_the_host_cannot_give_is_refused_before_anything_runs(rig: Rig) -> None:
    profile = rig.make("succeeds").profile
    rig.engine.require(profile)
    for beyond in (
        replace(profile, cpus=10_000),
        replace(profile, memory=1 << 60),
        replace(profile, runtime="no-such-runtime"),  # type: ignore[arg-type]
    ):
        with pytest.raises(RequirementError):
            rig.engine.require(beyond)


def test_an_engine_describes_itself(rig: Rig) -> None:
    facts = rig.engine.describe()
    assert facts.cpus > 0
    assert facts.memory > 0
    assert facts.default_runtime in facts.runtimes


def test_many_bytes_come_out_whole(rig: Rig) -> None:
    outcome, task = rig.run("leaves-much")
    assert [(file.path, file.size) for file in outcome.outputs.files] == [("big", 6 << 20)]
    assert (task.outputs / "big").read_bytes() == bytes(6 << 20)


def test_full_outputs_are_the_commands_own_error_and_the_rest_comes_out(rig: Rig) -> None:
    outcome, _ = rig.run("fills-scratch")
    assert (outcome.exit_code, outcome.oom_killed) == (28, False)
    assert [(file.path, file.size) for file in outcome.outputs.files] == [("full", 0)]


def test_a_command_finds_its_standard_input_at_its_end(rig: Rig) -> None:
    _, task = rig.run("reads-stdin")
    assert (task.logs / "stdout").read_bytes() == b"0"


def test_containers_are_found_by_their_labels_while_they_run_and_removed(rig: Rig) -> None:
    task = rig.make("never-ends", timeout=60)
    cancel = threading.Event()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(_to_any_end, rig, task, cancel)
        try:
            deadline = time.monotonic() + 30
            while not (found := rig.engine.find(LABELS)):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert [labels["evalctl.attempt"] for labels in found.values()] == ["test"]
            assert rig.engine.find({**LABELS, "evalctl.attempt": "another"}) == {}
            rig.engine.remove(found)
            rig.engine.remove(found)
        finally:
            cancel.set()
        running.result(timeout=60)
    assert rig.engine.find(LABELS) == {}


def _to_any_end(rig: Rig, task: ContainerTask, cancel: threading.Event) -> None:
    with suppress(InfrastructureError):
        rig.engine.run(task, Watcher(), cancel)


def test_several_threads_share_an_engine(rig: Rig) -> None:
    with ThreadPoolExecutor(3) as pool:
        codes = list(pool.map(lambda _: rig.run("exits-three")[0].exit_code, range(6)))
    assert codes == [3] * 6
    assert rig.engine.find(LABELS) == {}
