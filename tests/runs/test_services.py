"""Services beside `[run]` and `[score]`: started, awaited, watched, stopped, recorded."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from launcher.errors import MalformedError, RequirementError
from launcher.runs.request import Launched
from launcher.spec.bundle import is_portable_name
from launcher.spec.lock import Lock, check_lock, make_lock, pins_from, read_lock
from launcher.spec.service_rules import address_of
from tests.conftest import Evalctl, GpusHere
from tests.fakes import nvml
from tests.fakes.engine import KilledError
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld, answer, read_lines, write_samples

SERVER = """
[[service]]
name = "server"
image = "oci:image@{image}"
command = ["serve"]
ready = {{ http = "http://server:8000/health", timeout = "2s" }}
resources = {{ cpus = 1, memory = "256MiB" }}
"""


@pytest.fixture(autouse=True)
def blueprint(world: SmallWorld) -> None:
    world.write(tail=tables(world))
    world.plays(serve, "serve")
    world.plays(ask)


def tables(world: SmallWorld, text: str = SERVER) -> str:
    pins = json.loads((world.folder / "pins.json").read_text())
    return text.format(**pins)


def launch(world: SmallWorld, tail: str = SERVER, **sections: Any) -> Launched:
    return world.launch(sections={"tail": tables(world, tail), **sections})


def serve(inside: Inside) -> int:
    """Answer at port 8000 until stopped."""
    inside.stdout += b"listening\n"
    (inside.outputs / "left.txt").write_text("not collected")
    inside.ports.add(8000)
    inside.stopped.wait(20)
    return 0


def ask(inside: Inside) -> int:
    """Answer every item, but only with a server beside."""
    return answer(inside) if 8000 in inside.ports else 7


def grade(inside: Inside) -> int:
    """Grade what was answered, but only with a server beside."""
    samples = read_lines(inside.mounts["/eval/predictions"] / "samples.jsonl")
    write_samples(inside, [{**sample, "target": sample["prediction"]} for sample in samples])
    return 0 if 8000 in inside.ports else 7


def result_of(launched: Launched) -> Any:
    return json.loads((launched.bundle / "result.json").read_bytes())


def test_a_service_is_ready_before_its_phase_and_stopped_after_it(world: SmallWorld) -> None:
    launched = launch(world)
    assert result_of(launched)["status"] == "succeeded"
    assert world.engine.containers == {}
    names = [task.name.rpartition("-")[2] for task in world.engine.tasks]
    assert names == ["pod", "server", "run"]
    assert world.verify(launched.bundle).verdict == "verified"


def test_a_service_sees_code_models_and_configuration_but_no_data(world: SmallWorld) -> None:
    launch(world)
    service = world.engine.tasks[1]
    assert [mount.target for mount in service.mounts] == ["/eval/code", "/eval/config.json"]
    assert service.profile.memory == 256 << 20
    assert service.pod and service.pod.hosts.parent == service.outputs.parents[2]
    assert not service.keeps_outputs


def test_names_lead_to_the_loopback(world: SmallWorld) -> None:
    seen: list[str] = []
    world.plays(lambda inside: seen.append("") or ask(inside))
    world.engine.run, run = (  # type: ignore[method-assign]
        lambda task, *rest: seen.append(task.pod.hosts.read_text()) or run(task, *rest),
        world.engine.run,
    )
    launch(world)
    assert set(filter(None, seen)) == {"127.0.0.1 localhost sandbox server\n"}


def test_logs_and_resources_of_a_service_are_kept_and_its_outputs_are_not(world: SmallWorld) -> None:
    bundle = launch(world).bundle
    assert (bundle / "logs" / "service-server-run-0.stdout").read_bytes() == b"listening\n"
    assert all(is_portable_name(path.name) for path in (bundle / "logs").iterdir())
    lines = read_lines(bundle / "resources.jsonl")
    containers = [line.get("service") for line in lines if line["kind"] == "container"]
    assert containers == [None, "server"]
    assert not list(bundle.rglob("left.txt"))
    events = [event for event in read_lines(bundle / "events.jsonl") if event["step"] == "service"]
    assert [event["detail"]["name"] for event in events] == ["server"]
    assert events[0]["seconds"] >= 0


def test_every_replicate_has_services_of_its_own(world: SmallWorld) -> None:
    launch(world, run='command = ["answer"]\nseeds = [1, 2, 3]')
    pods = {task.pod.container for task in world.engine.tasks if task.pod}
    assert len(pods) == 3
    assert len([task for task in world.engine.tasks if task.command[0] == "serve"]) == 3


def test_a_service_of_score_stands_beside_the_second_container(world: SmallWorld) -> None:
    world.plays(answer)
    world.plays(grade, "grade")
    tail = SERVER.replace("command", 'phase = "score"\ncommand', 1)
    launched = launch(world, tail, score='command = ["grade"]')
    assert result_of(launched)["status"] == "succeeded"
    assert [task.command[0] for task in world.engine.tasks] == ["answer", "none", "serve", "grade"]
    assert world.engine.tasks[0].pod is None
    assert (launched.bundle / "logs" / "service-server-score-0.stdout").is_file()


@pytest.mark.parametrize(
    ("end", "failure", "reason"),
    [
        (lambda _: 3, "candidate", "it exited with code 3 while it was needed"),
        (lambda _: 0, "candidate", "it exited with code 0 while it was needed"),
        ("memory", "out-of-memory", "memory was used up"),
        ("kill", "candidate", "it was ended by signal 9 while it was needed"),
        (None, "candidate", "`serve` could not be started"),
    ],
    ids=["exits", "exits-well", "out-of-memory", "killed", "not-there"],
)
@pytest.mark.parametrize("when", ["before", "while"])
def test_a_service_that_is_gone_is_the_true_reason(
    world: SmallWorld, end: Any, failure: str, reason: str, when: str
) -> None:
    def gone(inside: Inside) -> int:
        if when == "while":
            inside.ports.add(8000)
            asked.wait(10)
        if end == "memory":
            raise MemoryError
        if end == "kill":
            raise KilledError(9)
        return int(end(inside))

    def patient(inside: Inside) -> int:
        asked.set()
        inside.stopped.wait(10)
        return 1

    asked = threading.Event()
    world.plays(patient)
    if end is None:
        del world.engine.programs["serve"]
    else:
        world.plays(gone, "serve")
    found = result_of(launch(world))
    assert (found["status"], found["failure"]) == ("failed", failure)
    assert found["deviations"][0].startswith("service `server`: ")
    assert reason in found["deviations"][0]


def test_a_client_that_fails_because_its_server_died_is_not_blamed(world: SmallWorld) -> None:
    def dies(inside: Inside) -> int:
        inside.ports.add(8000)
        asked.wait(10)
        inside.ports.clear()
        return 9

    def client(inside: Inside) -> int:
        asked.set()
        while inside.ports and not inside.stopped.is_set():
            pass
        return 1

    asked = threading.Event()
    world.plays(dies, "serve")
    world.plays(client)
    assert "service `server`: it exited with code 9" in result_of(launch(world))["deviations"][0]


def test_a_service_that_is_never_ready_is_a_timeout(world: SmallWorld) -> None:
    world.plays(lambda inside: inside.stopped.wait(20) and 0, "serve")
    found = result_of(launch(world))
    assert found["failure"] == "timeout"
    assert "service `server` was not ready" in found["deviations"][0]
    assert not any(task.command[0] == "answer" for task in world.engine.tasks)
    assert world.engine.containers == {}


def test_an_engine_that_fails_under_a_service_gives_no_score(world: SmallWorld) -> None:
    def faint(inside: Inside) -> int:
        world.engine.reachable = False
        return 0

    world.plays(faint, "serve")
    run = world.engine.run

    def flaky(task: Any, *rest: Any) -> Any:
        outcome = run(task, *rest)
        if task.command[0] == "serve":
            world.engine._answer()
        return outcome

    world.engine.run = flaky  # type: ignore[method-assign]
    found = result_of(launch(world))
    assert found["failure"] == "engine"


def test_a_pod_that_ends_in_mid_run_gives_no_score(world: SmallWorld) -> None:
    def client(inside: Inside) -> int:
        for pod in world.engine.pods.values():
            pod.alive = False
        return ask(inside)

    world.plays(client)
    found = result_of(launch(world))
    assert (found["status"], found["failure"]) == ("failed", "engine")


def test_the_lock_pins_services_whole_and_none_where_there_are_none(world: SmallWorld) -> None:
    lock = world.resolve(tail=tables(world)).lock
    service = lock.identity["services"][0]
    assert service["image"] == lock.identity["image"]
    assert service["ready"] == {"http": "http://server:8000/health", "timeout": 2}
    assert service["sandbox"]["memory"] == 256 << 20
    assert read_lock(lock.data) == lock
    check_lock(lock, world.read())
    assert make_lock(world.read(), pins_from(lock.identity)) == lock
    assert "services" not in world.resolve().lock.identity


def test_a_lock_that_lost_a_service_is_refused(world: SmallWorld) -> None:
    resolution = world.resolve(tail=tables(world))
    rest = {name: value for name, value in resolution.lock.identity.items() if name != "services"}
    with pytest.raises(MalformedError, match="pins other inputs"):
        check_lock(Lock(rest, resolution.lock.blueprint), world.read())


@pytest.mark.parametrize("change", ["seeds = [4]", 'env = { A = "b" }'])
def test_whatever_a_service_says_is_in_the_identity(world: SmallWorld, change: str) -> None:
    plain = world.resolve(tail=tables(world)).lock.digest
    changed = SERVER.replace('"serve"]', '"serve", "--more"]')
    assert world.resolve(tail=tables(world, changed)).lock.digest != plain


def test_a_runtime_that_shares_no_loopback_is_refused_before_anything_runs(world: SmallWorld) -> None:
    with pytest.raises(RequirementError, match="under runsc no two containers share a loopback"):
        launch(world, sandbox='runtime = "runsc"')
    assert world.engine.tasks == []


def test_services_count_when_a_machine_is_asked_for_room(world: SmallWorld) -> None:
    with pytest.raises(RequirementError, match="cpus"):
        launch(world, SERVER.replace("cpus = 1", "cpus = 4"))


def test_plan_shows_services_before_their_phase(world: SmallWorld, evalctl: Evalctl) -> None:
    shown = evalctl("plan", world.file)
    assert "server, beside [run]: serve" in shown.out
    assert "http://server:8000/health" in shown.out
    found = json.loads(evalctl("plan", world.file, "--json").out)
    assert [container["service"] for container in found["containers"]] == ["server", ""]
    assert found["containers"][1]["request"]["HostConfig"]["NetworkMode"] == "container:POD"
    assert found["longest_seconds"] == 3600 + 2


def test_show_and_report_name_each_service(world: SmallWorld, evalctl: Evalctl, tmp_path: Path) -> None:
    bundle, page = launch(world).bundle, tmp_path / "report.html"
    assert "service  server, beside [run]: serve\n" in evalctl("show", bundle).out
    assert evalctl("report", bundle, "--out", page).code == 0
    assert "server, beside [run]: serve" in page.read_text()


def test_a_shell_has_the_services_of_run_beside_it(world: SmallWorld, evalctl: Evalctl) -> None:
    world.plays(lambda inside: 0 if 8000 in inside.ports else 1, "look")
    assert evalctl("shell", world.file, "--", "look").code == 0
    assert world.engine.containers == {}
    world.plays(lambda _: 1, "serve")
    done = evalctl("shell", world.file, "--", "look")
    assert done.code == 4
    assert "service `server`: it exited with code 1" in done.err


@pytest.mark.parametrize(
    "url",
    ["https://a/", "http://a:0/", "http://a:65536/", "http://u@a/", "ftp://a/", "http://a:x/", "http://ü/"],
)
def test_an_address_that_cannot_be_asked_is_none(url: str) -> None:
    assert address_of(url) is None


def test_an_address_is_read_with_its_defaults() -> None:
    found = [address_of(url) for url in ("http://a", "http://a:8000?x=1", "http://a:8/b/c?d")]
    assert [(each.host, each.port, each.path) for each in found if each] == [
        ("a", 80, "/"),
        ("a", 8000, "/?x=1"),
        ("a", 8, "/b/c?d"),
    ]


def test_a_bundle_with_services_is_reproduced(world: SmallWorld, evalctl: Evalctl, tmp_path: Path) -> None:
    bundle = launch(world).bundle
    done = evalctl("reproduce", bundle)
    assert done.code == 0, done.err
    assert "identical" in done.out


def test_a_service_has_a_gpu_of_its_own_beside_that_of_its_phase(
    world: SmallWorld, evalctl: Evalctl, gpus_here: GpusHere
) -> None:
    gpus_here(nvml.H100X8)
    gpu = "[service.resources.gpu]\ncount = 2\n[resources.gpu]\ncount = 1\n"
    service = SERVER.replace('resources = {{ cpus = 1, memory = "256MiB" }}\n', gpu)
    done = evalctl("launch", world.write(tail=tables(world, service)))
    assert done.code == 0, done.err
    pod, server, own = world.engine.tasks
    assert (len(pod.gpus), len(server.gpus), len(own.gpus)) == (0, 2, 1)
    assert len({*server.gpus, *own.gpus}) == 3
    assert (server.profile.variant, own.profile.variant) == ("gpu", "gpu")
    assert evalctl("verify", done.out.splitlines()[-1]).code == 0
