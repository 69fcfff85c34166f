"""What is left when a launcher dies: half-made state is closed, and nothing verifies that should not."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient

from launcher.engines.docker_engine import DockerEngine
from launcher.errors import EvalctlError, InfrastructureError
from launcher.store.journal import exclusive, write_state
from tests.conftest import Evalctl, Finished
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld, answer
from tests.image.makers import make_layout


def die_after(world: SmallWorld, number: int, **changes: Any) -> None:
    """Make the journal of an attempt what it was when its launcher was killed."""
    (folder,) = world.home.runs.glob(f"*/{number}")
    state = json.loads((folder / "state.json").read_text())
    write_state(folder, {**state, "outcome": "unfinished", **changes})
    mark = world.home.root / "live" / state["invocation_id"]
    mark.write_text(str(folder.relative_to(world.home.root)))


def journal(world: SmallWorld, number: int) -> Any:
    (folder,) = world.home.runs.glob(f"*/{number}")
    return json.loads((folder / "state.json").read_text())


def test_a_bundle_that_was_published_counts_though_the_journal_was_cut_off(world: SmallWorld) -> None:
    first = world.launch()
    die_after(world, 1, step="publish")
    again = world.launch()
    assert (again.bundle, again.reused) == (first.bundle, True)
    assert journal(world, 1)["outcome"] == "succeeded"
    assert list((world.home.root / "live").iterdir()) == []


def test_an_attempt_whose_launcher_died_is_closed_and_tried_again(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    world.plays(lambda _: 3)
    world.launch()
    (bundle,) = world.home.bundles.iterdir()
    bundle.rename(world.root / "gone")
    die_after(world, 1, step="bundle", bundle=None, failure=None)
    (folder,) = world.home.runs.glob("*/1")
    (folder / "staging").mkdir()
    (folder / "staging" / "result.json").write_text("half")
    world.engine.containers["left-over"] = {
        "evalctl.home": world.home.label,
        "evalctl.attempt": journal(world, 1)["invocation_id"],
    }

    attempts = json.loads(evalctl("list", "--json").out)["attempts"]
    assert [(it["attempt"], it["outcome"], it["bundle"]) for it in attempts] == [(1, "interrupted", None)]
    assert world.engine.containers == {}
    assert [path.name for path in folder.iterdir()] == ["state.json"]
    assert list((world.home.root / "live").iterdir()) == []

    world.plays(answer)
    assert world.launch().attempt == 2


def test_left_overs_stay_known_until_the_engine_answers(world: SmallWorld, evalctl: Evalctl) -> None:
    world.launch()
    die_after(world, 1, step="run", bundle=None)
    world.engine.containers["left-over"] = {
        "evalctl.home": world.home.label,
        "evalctl.attempt": journal(world, 1)["invocation_id"],
    }
    world.engine.reachable = False
    done = evalctl("list")
    assert (done.code, "could not be removed" in done.err) == (0, True)
    world.engine.reachable = True
    assert evalctl("list").code == 0
    assert world.engine.containers == {}


def test_a_container_of_a_living_launcher_or_another_home_is_left_alone(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    world.launch()
    die_after(world, 1, step="run", bundle=None)
    others = {
        "another home's": {"evalctl.home": "0" * 16, "evalctl.attempt": "x"},
        "a stranger's": {"name": "database"},
    }
    world.engine.containers.update(others)

    def program(inside: Inside) -> int:
        (own,) = (name for name, labels in world.engine.containers.items() if name not in others)
        assert evalctl("list").code == 0
        assert own in world.engine.containers
        return answer(inside)

    world.plays(program)
    assert world.launch(rerun=True).attempt == 2
    assert world.engine.containers == others


def test_a_journal_that_cannot_be_read_counts_as_unfinished(world: SmallWorld, evalctl: Evalctl) -> None:
    first = world.launch()
    (state,) = world.home.runs.glob("*/1/state.json")
    for garbage in (b"", b"{", b"[]", b'{"bundle": 3, "outcome": []}', b"\xff"):
        state.write_bytes(garbage)
        assert evalctl("list", "--json").code == 0
    assert world.launch().bundle != first.bundle


def test_a_mark_that_leads_outside_the_home_harms_nothing(world: SmallWorld, evalctl: Evalctl) -> None:
    (world.root / "victim" / "work").mkdir(parents=True)
    (world.home.root / "live").mkdir(exist_ok=True)
    for number, text in enumerate(
        ("../victim", str(world.root / "victim"), "", ".", "runs", "\0", "runs/../..")
    ):
        (world.home.root / "live" / f"mark-{number}").write_text(text)
    assert evalctl("list").code == 0
    assert (world.root / "victim" / "work").is_dir()
    assert world.home.runs.parent.is_dir()
    assert list((world.home.root / "live").iterdir()) == []


def test_networks_and_volumes_of_the_dead_are_removed_with_their_containers(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    world.launch()
    die_after(world, 1, step="run", bundle=None)
    labels = {"evalctl.home": world.home.label, "evalctl.attempt": journal(world, 1)["invocation_id"]}
    others = {"another": {"evalctl.home": "0" * 16}}
    world.engine.networks.update({"private": labels, **others})
    world.engine.volumes.update({"kept": labels, **others})
    assert evalctl("list").code == 0
    assert (world.engine.networks, world.engine.volumes) == (others, others)


def test_an_engine_that_was_slow_to_create_is_asked_once_more(world: SmallWorld, evalctl: Evalctl) -> None:
    world.launch()
    die_after(world, 1, step="run", bundle=None)
    assert evalctl("list").code == 0
    world.engine.containers["created too late"] = {
        "evalctl.home": world.home.label,
        "evalctl.attempt": journal(world, 1)["invocation_id"],
    }
    assert evalctl("list").code == 0
    assert world.engine.containers == {}
    assert list((world.home.root / "reaped").iterdir()) == []


def test_an_attempt_without_a_mark_is_closed_by_list_and_by_its_own_lock(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    for close in (lambda: evalctl("list"), lambda: world.launch(rerun=True)):
        number = world.launch(rerun=True).attempt
        (folder,) = world.home.runs.glob(f"*/{number}")
        (folder / "state.json").write_bytes(b"")
        (folder / "staging").mkdir()
        close()
        assert journal(world, number)["outcome"] == "interrupted"
        assert [path.name for path in folder.iterdir()] == ["state.json"]


def test_a_launcher_killed_before_its_mark_was_whole_leaves_none(world: SmallWorld, evalctl: Evalctl) -> None:
    (world.home.root / "unborn").mkdir(parents=True)
    (world.home.root / "unborn" / "half").write_text("runs/x")
    assert evalctl("list").code == 0
    assert list((world.home.root / "unborn").iterdir()) == []


def test_a_dead_attempt_at_a_lock_that_is_held_is_left_to_its_holder(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    lock = world.launch().lock
    die_after(world, 1, step="run", bundle=None)
    (folder,) = world.home.runs.glob("*/1")
    (folder / "staging").mkdir()
    with exclusive(world.home, lock, lambda: None):
        assert evalctl("list").code == 0
        assert (folder / "staging").is_dir()
    assert evalctl("list").code == 0
    assert not (folder / "staging").exists()


def test_an_error_in_mid_attempt_closes_it(world: SmallWorld) -> None:
    world.write()
    home, signer = world.home, world.signer

    class Breaking:
        public = signer.public

        def sign(self, data: bytes) -> bytes:
            if b"evaluation-result" in data:
                raise InfrastructureError("the token was pulled out", code="signer-failed")
            return signer.sign(data)

    with pytest.raises(InfrastructureError, match="pulled out"):
        world.launch(signer=Breaking())
    assert journal(world, 1)["outcome"] == "interrupted"
    assert not home.bundles.exists() or list(home.bundles.iterdir()) == []
    assert list((home.root / "live").iterdir()) == []
    assert world.launch().attempt == 2


MAIN = "import sys; from launcher.cli.app import main; main()"
SCRIPT = """sleep 2
i=0
while [ $i -lt 40 ]; do
  printf '{"id":"item-%02d","prediction":0}\\n' $i >> /eval/out/samples.jsonl
  i=$((i + 1))
done
"""


@dataclass
class RealWorld:
    """A world whose launches are processes of their own that talk to a real engine."""

    world: SmallWorld
    engine: DockerEngine

    def write(self, script: str, more: str = "") -> None:
        """Write the blueprint of a shell script; `more` is more of `[run]`."""
        command = json.dumps(["/bin/sh", "-c", script])
        self.world.write(
            run=f'command = {command}\ntimeout = "30s"\n{more}',
            resources='cpus = 1\nmemory = "256MiB"\noutput = "16MiB"\nshm = "16MiB"\ntmp = "16MiB"',
        )

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", MAIN, *arguments],
            env=os.environ | {"EVALCTL_HOME": str(self.world.home.root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def evalctl(self, *arguments: str) -> Finished:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=60)
        return Finished(process.returncode, out, err)

    def launch(self) -> "subprocess.Popen[str]":
        return self.start("launch", str(self.world.file), "--json")

    def containers(self) -> list[str]:
        return list(self.engine.find({"evalctl.home": self.world.home.label}))

    def wait_for_container(self, process: "subprocess.Popen[str]") -> None:
        deadline = time.monotonic() + 30
        while not self.containers():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def attempts(self) -> list[tuple[int, str, str | None]]:
        found = json.loads(self.evalctl("list", "--json").out)["attempts"]
        return [(it["attempt"], it["outcome"], it["failure"]) for it in found]


@pytest.fixture
def real(world: SmallWorld) -> Iterator[RealWorld]:
    """Return a world whose image is busybox, for the engine of this machine; removed at the end."""
    busybox = Path("/bin/busybox")
    if not busybox.is_file() or b"ld-linux" in busybox.read_bytes()[:4096]:
        pytest.skip("no static /bin/busybox: apt-get install busybox-static")
    engine = DockerEngine()
    try:
        engine.describe()
    except EvalctlError as error:
        pytest.skip(f"no Docker Engine to test with: {error.context}")
    shutil.rmtree(world.folder / "image")
    digest = make_layout(world.folder / "image", layers=[busybox_layer(busybox)])
    pins = json.loads((world.folder / "pins.json").read_text())
    (world.folder / "pins.json").write_text(json.dumps({**pins, "image": digest}))
    real = RealWorld(world, engine)
    real.write(SCRIPT)
    yield real
    engine.remove(engine.find({"evalctl.home": world.home.label}))
    image = engine.find_image(world.resolve_file().image.pins)
    engine.close()
    if image:
        client = APIClient(timeout=30)
        client.remove_image(image, force=True)
        client.close()


def busybox_layer(busybox: Path) -> bytes:
    """Return a layer that holds busybox as `/bin/sh` and what the script calls."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("bin", "tmp", "eval", "etc", "proc", "sys", "dev"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        program = tarfile.TarInfo("bin/busybox")
        program.size, program.mode = busybox.stat().st_size, 0o755
        archive.addfile(program, io.BytesIO(busybox.read_bytes()))
        for name in ("sh", "sleep", "printf"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return buffer.getvalue()


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


@pytest.mark.engine
@pytest.mark.slow
def test_a_launcher_killed_at_any_moment_never_leaves_half_a_bundle(real: RealWorld) -> None:
    for moment in (0.15, 0.3, 0.45, 0.6, 0.8, 2.2, 2.5, 2.7, 2.9):
        process = real.launch()
        time.sleep(moment)
        process.kill()
        process.communicate()
        for attempt in real.attempts():
            assert attempt[1] in ("interrupted", "succeeded"), attempt
        assert real.containers() == []
        bundles = list(real.world.home.bundles.iterdir()) if real.world.home.bundles.exists() else []
        assert all(real.evalctl("verify", str(bundle)).code == 0 for bundle in bundles)
        assert [path.name for path in real.world.home.runs.glob("*/*/*")] == ["state.json"] * len(
            list(real.world.home.runs.glob("*/[0-9]*"))
        )
    done = real.launch()
    launched = json.loads(done.communicate(timeout=60)[0])
    assert launched["status"] == "succeeded"


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
