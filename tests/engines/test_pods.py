"""Containers that share a loopback of their own: the pod program, readiness, and what stays apart."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from launcher.egress.proxy import EgressProxy
from launcher.engines.docker_request import POD_SOURCE, container_request, pod_request
from launcher.engines.engine import ContainerOutcome, ContainerTask, Engine, Mount
from launcher.engines.pods import PodLines, PodLink
from launcher.errors import EvalctlError, InfrastructureError
from launcher.spec.hosts import AllowList
from tests.egress.test_proxy import Handler
from tests.engines.tasks import LABELS, MakeTask, Watcher

FOLDER = POD_SOURCE.parent
SERVE = (
    "printf 'HTTP/1.0 {status} x\\r\\n\\r\\nhello' > /tmp/answer;"
    "while :; do nc -l -p {port} < /tmp/answer; done"
)


def serving(port: int, status: int = 200) -> str:
    """Return a shell script that answers each connection to `port` with `status`."""
    return SERVE.format(port=port, status=status)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc")
def test_the_committed_program_is_what_its_source_gives(tmp_path: Path) -> None:
    version = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True, check=True)
    if version.stdout.strip() != (FOLDER.parent / "init" / "toolchain").read_text().split()[1]:
        pytest.skip("another compiler gives other bytes")
    built = tmp_path / "pod"
    subprocess.run(["sh", FOLDER / "build.sh", built], check=True, timeout=60)
    assert built.read_bytes() == POD_SOURCE.read_bytes()


@pytest.mark.parametrize(
    "arguments", [[], ["none", "80"], ["none", "0", "a", "/"], ["none", "65536", "a", "/"]]
)
def test_the_program_refuses_what_it_is_not_called_with(arguments: list[str]) -> None:
    done = subprocess.run([POD_SOURCE, *arguments], stdin=subprocess.DEVNULL, timeout=10, check=False)
    assert done.returncode == 64


def test_the_program_ends_with_its_standard_input() -> None:
    done = subprocess.run([POD_SOURCE, "none"], stdin=subprocess.DEVNULL, timeout=10, check=False)
    assert done.returncode == 0


def test_what_the_program_never_says_is_refused() -> None:
    for said in (b"2\n", b"-1\n", b"ready\n", b"0" * 40, b"\n"):
        with pytest.raises(InfrastructureError):
            PodLines(2).feed(said)


def test_lines_come_in_any_pieces() -> None:
    lines = PodLines(12)
    for piece in (b"1", b"1\n0", b"\n", b"0\n"):
        lines.feed(piece)
    assert lines.places == {0, 11}


def test_who_joins_a_pod_asks_for_no_name_and_no_network_of_its_own(make_task: MakeTask) -> None:
    alone = make_task("image", "true")
    joined = container_request(replace(alone, pod=PodLink("POD", Path("/hosts"))))
    assert container_request(alone)["NetworkDisabled"] is True
    assert "Hostname" not in joined and joined["NetworkDisabled"] is False
    assert joined["HostConfig"]["NetworkMode"] == "container:POD"
    assert {"/hosts"} == {m["Source"] for m in joined["HostConfig"]["Mounts"] if m["Target"] == "/etc/hosts"}


def test_a_pod_has_the_sandbox_of_everybody_else(make_task: MakeTask) -> None:
    task = make_task("image", "none")
    pod, alone = pod_request(task), container_request(task)
    different = {key for key in alone if pod[key] != alone[key]}
    assert different == {"Entrypoint", "HostConfig"}
    assert {key for key in alone["HostConfig"] if pod["HostConfig"][key] != alone["HostConfig"][key]} == {
        "Mounts"
    }


Hold = Callable[..., "Namespace"]


class Namespace:
    """A pod on a real engine, and who joined it."""

    def __init__(
        self, engine: Engine, make_task: MakeTask, image: str, *wanted: str, relay: Path | None = None
    ) -> None:
        self.engine, self.make_task, self.image = engine, make_task, image
        mounts = (Mount(relay, "/.evalctl/egress"),) if relay else ()
        self.pod = engine.hold(self.make_task(image, "relay" if relay else "none", *wanted, mounts=mounts))
        self.hosts = self.make_task(image, "x").outputs / "hosts"
        self.hosts.write_text("127.0.0.1 localhost sandbox server\n")
        self.stop = threading.Event()
        self.pool = ThreadPoolExecutor(4)

    def run(self, script: str, **changes: Any) -> tuple[ContainerOutcome, ContainerTask]:
        task = self.make_task(self.image, "sh", "-c", script, **changes)
        joined = replace(task, pod=PodLink(self.pod.container, self.hosts))
        return self.engine.run(joined, Watcher(), self.stop), joined

    def wait(self, count: int) -> frozenset[int]:
        deadline = time.monotonic() + 30
        while len(answered := self.pod.answered(0.1)) < count:
            assert time.monotonic() < deadline, answered
        return answered

    def close(self) -> None:
        self.stop.set()
        self.pool.shutdown()
        self.pod.close()


@pytest.fixture(params=["docker_engine", "podman_engine"])
def hold(
    request: pytest.FixtureRequest, image_on: Callable[[Engine], str], make_task: MakeTask
) -> Iterator[Hold]:
    engine: Engine = request.getfixturevalue(request.param)
    held: list[Namespace] = []

    def begin(*wanted: str) -> Namespace:
        held.append(Namespace(engine, make_task, image_on(engine), *wanted))
        return held[-1]

    yield begin
    for each in held:
        each.close()


@pytest.mark.engine
def test_two_containers_meet_on_one_loopback_and_reach_nothing_else(hold: Hold) -> None:
    space = hold("8000", "server", "/health")
    server = space.pool.submit(space.run, serving(8000))
    assert space.wait(1) == {0}
    script = (
        "wget -q -O - http://server:8000/; echo; hostname; cat /etc/hosts; cat /proc/net/route | wc -l;"
        "ls /sys/class/net 2>&1; nc -w 1 192.0.2.1 80 || echo unreachable; nc -w 1 172.17.0.1 80 || echo shut"
    )
    outcome, task = space.run(script, timeout=20)
    said = (task.logs / "stdout").read_text()
    assert outcome.exit_code == 0
    assert said.startswith("hello\nsandbox\n127.0.0.1 localhost sandbox server\n1\n")
    assert "unreachable" in said and "shut" in said
    space.stop.set()
    assert server.result()[0].cancelled


@pytest.mark.engine
def test_only_a_status_of_success_is_an_answer(hold: Hold) -> None:
    space = hold("8000", "server", "/", "8001", "server", "/")
    space.pool.submit(space.run, serving(8000, 503))
    space.pool.submit(space.run, serving(8001, 204))
    assert space.wait(1) == {1}
    time.sleep(0.5)
    assert space.pod.answered(0) == {1}


@pytest.mark.engine
def test_processes_and_files_of_neighbours_stay_apart(hold: Hold) -> None:
    space = hold("8000", "server", "/")
    space.pool.submit(space.run, "touch /tmp/secret; " + serving(8000))
    space.wait(1)
    _, task = space.run("ls /tmp; ps -o pid,args; kill -9 -1; ls /proc | grep -c '^[0-9]'", timeout=20)
    said = (task.logs / "stdout").read_text()
    assert "secret" not in said and "nc -l" not in said and "evalctl/pod" not in said
    assert space.pod.answered(0) == {0}


@pytest.mark.engine
def test_nothing_of_a_pod_is_left(docker_engine: Engine, busybox_image: str, make_task: MakeTask) -> None:
    with docker_engine.hold(make_task(busybox_image, "none")) as pod:
        assert pod.answered(0) == frozenset()
        assert pod.container in docker_engine.find({"evalctl.home": LABELS["evalctl.home"]})
    assert pod.container not in docker_engine.find({"evalctl.home": LABELS["evalctl.home"]})
    with pytest.raises(EvalctlError):
        pod.answered(0)


@pytest.mark.engine
def test_a_pod_that_was_killed_is_noticed(
    docker_engine: Engine, busybox_image: str, make_task: MakeTask
) -> None:
    with docker_engine.hold(make_task(busybox_image, "none")) as pod:
        docker_engine.remove([pod.container])
        with pytest.raises(InfrastructureError, match="network namespace"):
            for _ in range(50):
                pod.answered(0.1)


@pytest.fixture
def relayed(
    docker_engine: Engine, busybox_image: str, make_task: MakeTask, tmp_path: Path
) -> Iterator[tuple["Namespace", int]]:
    """Return a pod with a way out to one server on this machine, and the server's port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = int(server.server_address[1])
    with EgressProxy(tmp_path / "egress", AllowList([f"127.0.0.1:{port}"])):
        space = Namespace(docker_engine, make_task, busybox_image, relay=tmp_path / "egress")
        yield space, port
        space.close()
    server.shutdown()
    server.server_close()


OUT = "export http_proxy=http://127.0.0.1:3128; "


@pytest.mark.engine
def test_the_relay_leads_to_the_proxy_and_nowhere_else(relayed: tuple[Namespace, int]) -> None:
    space, port = relayed
    script = (
        f"wget -q -O - http://127.0.0.1:{port}/; echo; wget -q -O - http://evil.example/ || echo refused;"
        f"unset http_proxy; nc -w 1 127.0.0.1 {port} || echo not-here;"
        "ls /.evalctl 2> /dev/null; wc -l < /proc/net/route"
    )
    _, task = space.run(OUT + script, timeout=20)
    said = (task.logs / "stdout").read_text()
    assert said == "hello\nrefused\nnot-here\n1\n"


@pytest.mark.engine
def test_floods_and_half_open_connections_do_not_stop_the_relay(relayed: tuple[Namespace, int]) -> None:
    space, port = relayed
    flood = (
        "for i in $(seq 150); do (sleep 3 | nc 127.0.0.1 3128 > /dev/null 2>&1) & done; sleep 1;"
        "(dd if=/dev/zero bs=64k count=64 2>/dev/null | nc -w 2 127.0.0.1 3128 > /dev/null) ; "
        "nc -l -p 3128 -w 1 || echo taken; wait; "
    )
    _, task = space.run(OUT + flood + f"wget -q -O - http://127.0.0.1:{port}/", timeout=60, pids=1024)
    assert (task.logs / "stdout").read_text().endswith("hello")
    assert space.pod.answered(0) == frozenset()


@pytest.mark.engine
def test_the_engine_is_never_told_a_secret(
    docker_engine: Engine, busybox_image: str, make_task: MakeTask
) -> None:
    from docker import APIClient

    canary = "sk-canary-7f3e9a1b"
    task = make_task(busybox_image, "sh", "-c", "echo $KEY; sleep 3", secrets={"KEY": canary})
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(docker_engine.run, task, Watcher(), threading.Event())
        client = APIClient(timeout=60)
        deadline, seen = time.monotonic() + 20, ""
        while not seen and time.monotonic() < deadline:
            found = client.containers(filters={"name": task.name})
            seen = json.dumps([client.inspect_container(item["Id"]) for item in found])[2:]
        client.close()
        run.result()
    assert task.name in seen and canary not in seen
    assert (task.logs / "stdout").read_bytes() == b"[secret KEY]\n"
