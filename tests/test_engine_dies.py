"""An engine that dies, or is restarted, while it works for a launch: a signed failure, and nothing stays."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.test_engines import OwnEngine
from tests.fakes.dying_engine import DyingEngine
from tests.fakes.real_world import SCRIPT, RealWorld, make_real_world
from tests.fakes.world import SmallWorld

pytestmark = pytest.mark.engine

SOCKET = "unix:///var/run/docker.sock"


def verified(real: RealWorld, bundle: str) -> bool:
    return real.evalctl("verify", bundle).code == 0


@pytest.fixture
def restarted(world: SmallWorld, restartable_engine: OwnEngine) -> Iterator[tuple[RealWorld, OwnEngine]]:
    """Return a world on an engine that the test may kill and start."""
    for real in make_real_world(world, restartable_engine.address):
        yield real, restartable_engine


@pytest.mark.slow
@pytest.mark.parametrize("gently", [False, True], ids=["killed", "stopped"])
def test_an_engine_restarted_in_mid_run_gives_a_signed_infrastructure_failure(
    restarted: tuple[RealWorld, OwnEngine], gently: bool
) -> None:
    real, engine = restarted
    real.write(SCRIPT.replace("sleep 2", "sleep 8"))
    process = real.launch()
    real.wait_for_container(process)
    time.sleep(1)
    if gently:
        engine.stop()
        engine.start()
    else:
        engine.kill()
        engine.start_daemon()
    out, err = process.communicate(timeout=60)
    launched = json.loads(out)
    assert (process.returncode, launched["status"], launched["failure"]) == (4, "failed", "engine"), err
    assert verified(real, launched["bundle"])
    assert real.attempts() == [(1, "failed", "engine")]

    real.evalctl("list")
    again = real.launched()
    assert (again["status"], again["attempt"]) == ("succeeded", 2)
    assert real.containers() == []


@pytest.mark.parametrize("answered", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("word", [b"/containers/create", b"/attach", b"/start", b'"item-20"', b"DELETE "])
def test_an_engine_that_dies_at_any_request_or_in_the_hand_over_costs_at_most_the_attempt(
    real: RealWorld, tmp_path: Path, word: bytes, answered: bool
) -> None:
    if word == b"DELETE ":
        # The proof of a loaded image deletes too: here it is there already.
        real.write("exit 1", config="number = 1")
        real.launched()
    real.write(SCRIPT.replace("sleep 2", "sleep 0.2"))
    dying = DyingEngine(tmp_path / "engine.sock", SOCKET, word, answered=answered)
    real.address = dying.address
    process = real.launch()
    out, err = process.communicate(timeout=60)
    assert dying.dead.is_set()
    assert "bug in evalctl" not in err
    launched = json.loads(out)
    assert verified(real, launched["bundle"])
    if word == b"DELETE ":
        assert (process.returncode, launched["status"]) == (0, "succeeded")
    elif not (word == b'"item-20"' and answered and launched["status"] == "succeeded"):
        # Behind the last sample all may have come out before the engine died: then nothing is asked of it.
        assert (process.returncode, launched["failure"]) == (4, "engine"), err

    real.address = None
    assert real.launched()["status"] == "succeeded"
    assert [real.evalctl(verb).code in (0, 6) for verb in ("doctor", "list")] == [True, True]
    assert real.containers() == []


def test_an_engine_that_is_silent_when_it_is_asked_begins_no_attempt(real: RealWorld, tmp_path: Path) -> None:
    real.address = f"unix://{tmp_path}/nothing.sock"
    out, err = real.launch().communicate(timeout=60)
    assert (out, json.loads(err.splitlines()[-1])["error"]["code"]) == ("", "engine-unreachable")
    assert real.attempts() == []


def test_an_engine_that_stands_still_does_not_hold_the_launcher_for_ever(
    restarted: tuple[RealWorld, OwnEngine],
) -> None:
    real, engine = restarted
    process = real.launch()
    real.wait_for_container(process)
    process.send_signal(signal.SIGTERM)
    engine.kill()
    out, _ = process.communicate(timeout=120)
    assert (process.returncode, json.loads(out)["status"]) == (4, "failed")
    engine.start_daemon()
    assert real.evalctl("list").code == 0
    assert real.evalctl("doctor").code in (0, 6)
    assert real.containers() == []
