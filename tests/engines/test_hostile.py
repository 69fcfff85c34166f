"""What a hostile evaluation tries against the real engine, and what becomes of it."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from launcher.engines.docker_engine import DockerEngine
from launcher.engines.engine import ContainerOutcome, ContainerTask, Mount
from launcher.spec.sandbox import Scratch
from tests.engines.tasks import LABELS, MakeTask, Shell, Watcher

pytestmark = pytest.mark.engine

Attack = Callable[..., tuple[ContainerOutcome, Mapping[str, str]]]


@pytest.fixture(scope="session")
def attacker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to build the attacker: apt-get install gcc libc6-dev")
    program = tmp_path_factory.mktemp("attacker") / "attacker"
    source = Path(__file__).with_name("attacker.c")
    subprocess.run(["gcc", "-O1", "-static", "-o", program, source], check=True, timeout=60)
    program.chmod(0o755)
    return program


@pytest.fixture
def attack(shell: Shell, attacker: Path) -> Attack:
    """Return a function that makes one attempt and reads what the kernel answered."""

    def run(name: str, **changes: object) -> tuple[ContainerOutcome, Mapping[str, str]]:
        outcome, task = shell(f"exec /attacker {name}", mounts=(Mount(attacker, "/attacker"),), **changes)
        said = (task.logs / "stderr").read_text(errors="replace")
        return outcome, dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    return run


def refused(outcome: ContainerOutcome) -> dict[str, str]:
    return {refusal.path: refusal.reason for refusal in outcome.outputs.refused}


def test_pid_one_cannot_be_read_written_or_killed(attack: Attack) -> None:
    outcome, answers = attack("touch-init")
    assert set(answers.values()) <= {"EPERM", "EACCES", "EBADF"}
    assert len(answers) == 6
    assert outcome.exit_code == 0
    assert outcome.outputs.complete


def test_flags_of_the_shared_pipe_do_not_break_the_hand_over(attack: Attack) -> None:
    outcome, _ = attack("spoil-output")
    assert outcome.exit_code == 0
    assert outcome.outputs.complete


def test_a_hand_over_cannot_be_forged_by_reading_the_pipe(attack: Attack) -> None:
    outcome, answers = attack("forge")
    assert answers == {"reopen": "done"}
    assert outcome.outputs.complete
    assert outcome.outputs.files == ()
    assert outcome.exit_code == 0


def test_no_descendant_outlives_the_command(attack: Attack) -> None:
    outcome, answers = attack("leave-descendants")
    assert answers["sibling"] == "done"
    assert outcome.exit_code == 0
    assert outcome.outputs.complete


def test_a_fork_bomb_ends_with_its_timeout(attack: Attack) -> None:
    outcome, _ = attack("multiply", timeout=2)
    assert outcome.timed_out
    assert outcome.outputs.complete


def test_only_streams_and_datagrams_within_the_container_are_to_be_had(attack: Attack) -> None:
    _, answers = attack("reach-out")
    assert {name for name, answer in answers.items() if answer == "done"} == {"stream", "unix"}
    assert {answer for answer in answers.values() if answer != "done"} == {"EPERM"}


def test_every_system_call_that_widens_is_refused(attack: Attack) -> None:
    _, answers = attack("widen")
    assert answers.pop("clone3") == "ENOSYS"
    assert set(answers.values()) == {"EPERM"}
    assert len(answers) == 13


def test_the_network_is_a_loopback_of_its_own(shell: Shell) -> None:
    _, task = shell("cat /proc/net/dev; readlink /proc/self/ns/net; nc -w 2 192.0.2.1 80; true")
    said = (task.logs / "stdout").read_text()
    assert "lo:" in said
    assert said.count(":") == 2  # the loopback and the namespace
    assert str(Path("/proc/self/ns/net").readlink()) not in said
    assert "unreachable" in (task.logs / "stderr").read_text()


def test_localhost_and_the_hostname_resolve(shell: Shell) -> None:
    outcome, _ = shell("ping -c 1 localhost 2>&1 | grep -q 127.0.0.1 && grep -q $(hostname) /etc/hosts")
    assert outcome.exit_code == 0


def test_nothing_outside_the_scratch_folders_can_be_written(shell: Shell, tmp_path: Path) -> None:
    source = tmp_path / "input"
    source.write_bytes(b"as it was")
    source.chmod(0o666)
    places = "/ /bin /etc /eval /eval/inputs/x /.evalctl-*/init /etc/hosts /sys /proc/sys/kernel/hostname"
    script = f"for p in {places}; do"
    script += " if [ -d $p ]; then echo x > $p/new; else echo x > $p; fi && echo $p; done 2>/dev/null; true"
    _, task = shell(script, mounts=(Mount(source, "/eval/inputs/x"),))
    assert (task.logs / "stdout").read_bytes() == b""
    assert source.read_bytes() == b"as it was"


def test_the_host_is_not_to_be_seen(shell: Shell) -> None:
    _, task = shell(
        "cat /proc/cmdline; ls -A /proc/pressure /sys/fs/cgroup /sys/class /sys/firmware | grep -v :"
    )
    assert (task.logs / "stdout").read_text().strip() == ""


def test_nothing_can_be_executed_from_scratch_unless_widened(shell: Shell) -> None:
    script = "cp /bin/busybox {0}/sh && {0}/sh -c 'exit 0'"
    assert shell(script.format("/tmp"))[0].exit_code == 126
    assert shell(script.format("/eval/out"))[0].exit_code == 126
    assert shell(script.format("/tmp"), allow=("exec-tmp",))[0].exit_code == 0


def test_planted_outputs_are_refused_one_by_one(shell: Shell) -> None:
    outcome, task = shell(
        "cd /eval/out; ln -s /etc/passwd link; ln -s . loop; echo 1 > one; ln one two; touch .hidden ./-dash;"
        " touch \"$(printf 'a\\nb')\" 'é'; mkdir -p a/b/c/d/e/f/g; touch a/b/c/d/e/fine a/b/c/d/e/f/deep;"
        " touch setuid; chmod 4755 setuid; mkdir shut; touch shut/x; chmod 0 shut; touch shut-file;"
        " chmod 0 shut-file; truncate -s 8388608 sparse; truncate -s 1 straw; touch Case; chmod 0 ."
    )
    found = refused(outcome)
    size = [path for path, reason in found.items() if reason == "size"]
    assert size in ([], ["sparse"], ["straw"])
    assert {path: reason for path, reason in found.items() if reason != "size"} == {
        "link": "link",
        "loop": "link",
        "one": "hard-link",
        "two": "hard-link",
        ".hidden": "name",
        "-dash": "name",
        "a%0Ab": "name",
        "%C3%A9": "name",
        "a/b/c/d/e/f": "depth",
        "setuid": "setuid",
        "shut": "unreadable",
        "shut-file": "unreadable",
    }
    assert (task.outputs / "a" / "b" / "c" / "d" / "e" / "fine").is_file()


def test_progress_is_not_read_through_a_link(
    docker_engine: DockerEngine, busybox_image: str, make_task: MakeTask
) -> None:
    watcher = Watcher()
    script = "ln -s /etc/hosts /eval/out/samples.jsonl; sleep 1.5"
    docker_engine.run(make_task(busybox_image, "sh", "-c", script), watcher, threading.Event())
    assert watcher.counts == []


def test_too_many_files_are_refused_where_the_engine_does_not_stop_them(
    shell: Shell, docker_engine: DockerEngine
) -> None:
    script = "cd /eval/out; i=0; while [ $i -lt 2100 ]; do : > f$i; i=$((i+1)); done"
    assert shell(script)[0].exit_code not in (0, None)
    _, task = shell("true")
    scratch = tuple(replace(place, inodes=9000) for place in task.profile.scratch)
    outcome = _again(docker_engine, task, script, scratch)
    assert outcome.exit_code == 0
    assert refused(outcome) == {"": "count"}
    assert len(outcome.outputs.files) == 2000


def _again(
    engine: DockerEngine, task: ContainerTask, script: str, scratch: tuple[Scratch, ...]
) -> ContainerOutcome:
    for name in ("stdout", "stderr"):
        (task.logs / name).unlink()
    profile = replace(task.profile, scratch=scratch)
    changed = replace(task, name=task.name + "-again", command=("sh", "-c", script), profile=profile)
    return engine.run(changed, Watcher(), threading.Event())


def test_outputs_and_scratch_are_bounded_in_bytes(shell: Shell) -> None:
    outcome, task = shell(
        "for f in /eval/out/x /tmp/x /dev/shm/x; do dd if=/dev/zero of=$f bs=1M; done; true"
    )
    assert (task.logs / "stderr").read_text().count("No space left") == 3
    assert outcome.outputs.bytes <= task.profile.output_bytes


def test_memory_used_up_in_scratch_folders_is_out_of_memory(shell: Shell) -> None:
    outcome, _ = shell(
        "dd if=/dev/zero of=/tmp/x bs=1M; dd if=/dev/zero of=/eval/out/x bs=1M; true",
        memory=32 << 20,
        tmp=64 << 20,
        output=64 << 20,
    )
    assert outcome.oom_killed


def test_a_self_inflicted_kill_is_not_out_of_memory(shell: Shell) -> None:
    outcome, _ = shell("kill -9 $$")
    assert (outcome.signal, outcome.oom_killed, outcome.timed_out) == (9, False, False)


def test_a_flood_of_output_is_counted_and_cut(shell: Shell) -> None:
    outcome, task = shell("dd if=/dev/zero bs=64k count=512 2>/dev/null; echo end >&2", log_limit=4096)
    assert (outcome.stdout.captured, outcome.stdout.total) == (4096, 32 << 20)
    assert (task.logs / "stdout").stat().st_size == 4096
    assert outcome.exit_code == 0


def test_a_stopped_command_is_ended_by_its_timeout(shell: Shell) -> None:
    start = time.monotonic()
    outcome, _ = shell("kill -STOP $$", timeout=1)
    assert outcome.timed_out
    assert time.monotonic() - start < 10


def test_more_processes_than_allowed_cannot_be_started(shell: Shell) -> None:
    outcome, task = shell("i=0; while [ $i -lt 60 ]; do sleep 5 & i=$((i+1)); done; exit 0", pids=32)
    assert "fork" in (task.logs / "stderr").read_text()
    assert outcome.outputs.complete


def test_secrets_stand_in_no_record_of_the_engine(
    docker_engine: DockerEngine, busybox_image: str, make_task: MakeTask
) -> None:
    from docker import APIClient

    script = "echo ${#TOKEN}; echo $TOKEN; tr '\\0' '\\n' < /proc/1/environ; sleep 1"
    task = make_task(busybox_image, "sh", "-c", script, secrets={"TOKEN": "s3cret"})
    seen: list[str] = []

    def look() -> None:
        client = APIClient(timeout=60)
        while not seen and not done.is_set():
            seen.extend(json.dumps(client.inspect_container(c)) for c in docker_engine.find(LABELS))
        client.close()

    done = threading.Event()
    watcher = threading.Thread(target=look)
    watcher.start()
    docker_engine.run(task, Watcher(), threading.Event())
    done.set()
    watcher.join()
    assert seen
    assert not any("s3cret" in record for record in seen)
    assert (task.logs / "stdout").read_bytes() == b"6\n[secret TOKEN]\n"
    assert b"Permission denied" in (task.logs / "stderr").read_bytes()


def test_nothing_of_all_this_is_left_behind(docker_engine: DockerEngine) -> None:
    deadline = time.monotonic() + 60
    while docker_engine.find(LABELS) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert docker_engine.find(LABELS) == {}
