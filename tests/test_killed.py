"""Launchers killed, interrupted or doubled while a real engine works for them: nothing stays or is lost."""

import json
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.real_world import SCRIPT, RealWorld


@pytest.mark.engine
def test_a_killed_launcher_leaves_nothing_behind_after_the_next_command(real: RealWorld) -> None:
    process = real.launch()
    real.wait_for_container(process)
    process.kill()
    process.communicate()
    assert real.attempts() == [(1, "interrupted", None)]
    assert real.containers() == []
    assert not real.world.home.bundles.exists()

    done = real.launch()
    launched = json.loads(done.communicate(timeout=60)[0])
    assert (launched["status"], launched["attempt"]) == ("succeeded", 2)
    assert real.evalctl("verify", launched["bundle"]).code == 0


KILLS = 50
SHORT = SCRIPT.replace("sleep 2", "sleep 0.2")


@pytest.mark.engine
@pytest.mark.slow
def test_a_launcher_killed_at_fifty_moments_leaves_nothing_and_loses_nothing(real: RealWorld) -> None:
    """Moments are spread over a launch; each lock is launched until an attempt outlives its kill."""
    draw = random.Random(20261123)
    assert real.launched()["status"] == "succeeded"
    lock, attempts, length, verified = 0, 0, measured(real), set()
    ended: dict[str, int] = {"interrupted": 0, "succeeded": 0}
    write_lock(real, lock)
    for _ in range(KILLS):
        process = real.launch()
        time.sleep(draw.uniform(0.05, length))
        process.kill()
        process.communicate()
        # The second one is for a container that the engine went on creating.
        assert [real.evalctl("list").code for _ in range(2)] == [0, 0]
        assert left_over(real) == []
        states = journals(real, lock)
        assert [state["attempt"] for state in states] == list(range(1, len(states) + 1))
        assert {state["outcome"] for state in states} <= {"interrupted", "succeeded"}
        bundles = set(real.world.home.bundles.iterdir())
        assert all(real.evalctl("verify", str(bundle)).code == 0 for bundle in bundles - verified)
        verified = bundles
        if len(states) > attempts:
            attempts = len(states)
            ended[states[-1]["outcome"]] += 1
        if states and states[-1]["outcome"] == "succeeded":
            assert (real.world.home.bundles / states[-1]["bundle"].removeprefix("sha256:")) in bundles
            lock, attempts = lock + 1, 0
            write_lock(real, lock)
    launched = real.launched()
    assert (launched["status"], launched["attempt"]) == ("succeeded", attempts + 1)
    assert left_over(real) == []
    assert min(ended.values()) > 0, ended


def write_lock(real: RealWorld, number: int) -> None:
    real.write(SHORT, "seeds = [1, 2]", config=f"number = {number}")


def measured(real: RealWorld) -> float:
    """Return how many seconds a launch takes, from its start to its end."""
    write_lock(real, -1)
    began = time.monotonic()
    real.launched()
    return time.monotonic() - began


def journals(real: RealWorld, lock: int) -> list[Any]:
    """Return the journals of the attempts at the lock that is written, the oldest first."""
    digest = real.world.resolve_file().lock.digest.removeprefix("sha256:")
    folders = sorted((real.world.home.runs / digest).glob("[0-9]*"), key=lambda folder: int(folder.name))
    return [json.loads((folder / "state.json").read_text()) for folder in folders]


def left_over(real: RealWorld) -> list[str]:
    """Name what a dead launcher left that no later attempt goes on with."""
    home = real.world.home
    found = [
        path for place in ("live", "unborn", "reaped", "sessions") for path in (home.root / place).glob("*")
    ]
    for folder in home.runs.glob("*/[0-9]*"):
        kept = {folder / "state.json"}
        if json.loads((folder / "state.json").read_text())["outcome"] == "interrupted":
            whole = [record.parent for record in folder.glob("work/*/record.json")]
            # Empty where the next attempt took all of it, and died.
            kept |= {folder / "work"}
            found += [path for path in folder.glob("work/*") if path not in whole]
        found += [path for path in folder.iterdir() if path not in kept]
    found += [path for path in home.bundles.iterdir() if path.name.startswith(".")]
    return [*map(str, found), *real.containers()]


@pytest.mark.engine
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_mid_run_ends_in_a_signed_bundle_that_says_so(real: RealWorld, number: int) -> None:
    process = real.launch()
    real.wait_for_container(process)
    process.send_signal(number)
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    launched = json.loads(out)
    assert (process.returncode, launched["status"], launched["failure"]) == (4, "failed", "interrupted")
    assert real.containers() == []
    assert real.evalctl("verify", launched["bundle"]).code == 0
    assert real.attempts() == [(1, "failed", "interrupted")]


@pytest.mark.engine
def test_two_launchers_of_one_lock_share_one_run(real: RealWorld) -> None:
    first, second = real.launch(), real.launch()
    answers = [json.loads(process.communicate(timeout=60)[0]) for process in (first, second)]
    assert answers[0]["bundle"] == answers[1]["bundle"]
    assert real.attempts() == [(1, "succeeded", None)]


@pytest.mark.engine
def test_launchers_of_several_locks_do_not_disturb_each_other(real: RealWorld) -> None:
    processes = []
    for number in range(3):
        real.write(SHORT, config=f"number = {number}")
        file = real.world.file.with_name(f"{number}.toml")
        file.write_bytes(real.world.file.read_bytes())
        processes.append(real.start("launch", str(file), "--json"))
    launched = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
    assert [one["status"] for one in launched] == ["succeeded"] * 3
    assert len({one["bundle"] for one in launched}) == 3
    assert real.attempts() == [(1, "succeeded", None)] * 3
    assert left_over(real) == []


@pytest.mark.engine
def test_a_list_while_a_launch_runs_leaves_its_container_alone(real: RealWorld) -> None:
    process = real.launch()
    real.wait_for_container(process)
    assert real.attempts() == [(1, "unfinished", None)]
    assert len(real.containers()) == 1
    assert json.loads(process.communicate(timeout=60)[0])["status"] == "succeeded"


RESUMING = """
cd /eval/state || exit 3
if [ ! -e begun ]; then
  : > begun
  busybox mkdir -p shut/below 'odd
name' && : > shut/below/file
  i=0; while [ $i -lt 60 ]; do busybox mkdir d && cd d || exit 4; i=$((i + 1)); done
  busybox ln -s /etc /eval/state/link
  busybox chmod 0 /eval/state/shut
  sleep 20
fi
"""


@pytest.mark.engine
def test_a_killed_launcher_loses_no_state_and_a_hostile_one_is_removed(real: RealWorld) -> None:
    real.write(RESUMING + SCRIPT.replace("sleep 2\n", ""), "resumable = true")
    process = real.launch()
    real.wait_for_container(process)
    (begun,) = wait_for_paths(lambda: list(real.world.home.runs.glob("*/state/0/data/link")))
    process.kill()
    process.communicate()
    assert begun.parent.stat().st_mode & 0o777 == 0o777
    assert real.attempts() == [(1, "interrupted", None)]
    launched = json.loads(real.launch().communicate(timeout=60)[0])
    assert (launched["status"], launched["attempt"]) == ("succeeded", 2)
    result = json.loads((Path(launched["bundle"]) / "result.json").read_text())
    assert "replicate 0: resumed, attempts 1-2 fed `/eval/state`" in result["deviations"]
    assert list(real.world.home.runs.glob("*/state")) == []
    assert real.evalctl("verify", launched["bundle"]).code == 0


def wait_for_paths(look: Callable[[], list[Path]]) -> list[Path]:
    deadline = time.monotonic() + 30
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.mark.engine
def test_replicates_that_ended_before_the_kill_are_not_run_again(real: RealWorld) -> None:
    quick = SCRIPT.replace("sleep 2", "[ $EVALCTL_SEED = 3 ] && sleep 5")
    real.write(quick, "seeds = [1, 2, 3]")
    process = real.launch()
    wait_for_paths(lambda: list(real.world.home.runs.glob("*/1/work/1/record.json")))
    wait_for_paths(lambda: list(real.world.home.runs.glob("*/1/work/0/record.json")))
    process.kill()
    process.communicate()
    launched = json.loads(real.launch().communicate(timeout=60)[0])
    result = json.loads((Path(launched["bundle"]) / "result.json").read_text())
    assert [run.get("attempt") for run in result["replicates"]] == [1, 1, None]
    assert real.evalctl("verify", launched["bundle"]).code == 0
    assert real.containers() == []
