"""A real container that is weaker than its profile, in one way at a time, never sees its command."""

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from launcher.engines.docker_engine import DockerEngine
from launcher.engines.docker_request import container_request
from launcher.engines.engine import ContainerTask, Mount
from launcher.spec.seccomp import seccomp_text
from tests.engines.tasks import MakeTask, Shell, Watcher

pytestmark = pytest.mark.engine

Change = Callable[[dict[str, Any], dict[str, Any]], None]


def _security(*options: str) -> Change:
    return lambda body, host: host.update(SecurityOpt=list(options))


def _host(**changes: Any) -> Change:
    return lambda body, host: host.update(changes)


def _body(**changes: Any) -> Change:
    return lambda body, host: body.update(changes)


def _capability(body: dict[str, Any], host: dict[str, Any]) -> None:
    host["CapAdd"], host["CapDrop"] = ["NET_RAW", "SYS_ADMIN"], []


def _limit(body: dict[str, Any], host: dict[str, Any]) -> None:
    host["Ulimits"] = [limit for limit in host["Ulimits"] if limit["Name"] != "core"]


def _scratch(old: str, new: str) -> Change:
    def change(body: dict[str, Any], host: dict[str, Any]) -> None:
        host["Tmpfs"] = {path: options.replace(old, new) for path, options in host["Tmpfs"].items()}

    return change


def _writable_mount(body: dict[str, Any], host: dict[str, Any]) -> None:
    host["Mounts"] = [
        *host["Mounts"],
        {"Type": "tmpfs", "Target": "/eval/code", "ReadOnly": False},
    ]


def _engine_socket(body: dict[str, Any], host: dict[str, Any]) -> None:
    mount = {"Type": "bind", "Source": "/var/run/docker.sock", "Target": "/run/docker.sock", "ReadOnly": True}
    host["Mounts"] = [*host["Mounts"], mount]


WIDER = seccomp_text("cpu", ("ptrace", "io-uring"))
WEAKER: dict[str, tuple[Change, str]] = {
    "unconfined": (_security("no-new-privileges", "seccomp=unconfined"), "filter"),
    "wider-filter": (_security("no-new-privileges", f"seccomp={WIDER}"), "system-calls"),
    "new-privileges": (_security("seccomp=unconfined"), "privileges"),
    "capabilities": (_capability, "capabilities"),
    "root-user": (_body(User="0:0"), "user"),
    "groups": (_host(GroupAdd=["0"]), "user"),
    "writable-root": (_host(ReadonlyRootfs=False), "mounts"),
    "writable-mount": (_writable_mount, "mounts"),
    "engine-socket": (_engine_socket, "engine-socket"),
    "unmasked": (_host(MaskedPaths=[]), "masks"),
    "core-files": (_limit, "limits"),
    "executable": (_scratch("noexec", "exec"), "execution"),
    "large-scratch": (_scratch("size=8388608", "size=16777216"), "sizes"),
    "many-inodes": (_scratch("nr_inodes=4096", "nr_inodes=9000"), "inodes"),
    "large-shm": (_host(ShmSize=16 << 20), "sizes"),
    "hostname": (_body(Hostname="other"), "hostname"),
}


def weaker_engine(change: Change) -> DockerEngine:
    """Return an engine that asks for something other than the profile has."""

    def request(task: ContainerTask) -> dict[str, Any]:
        body = container_request(task)
        change(body, body["HostConfig"])
        return body

    return DockerEngine(request=request)


@pytest.mark.parametrize("name", WEAKER)
def test_a_weaker_container_never_sees_its_command(
    name: str, busybox_image: str, make_task: MakeTask
) -> None:
    change, expectation = WEAKER[name]
    engine = weaker_engine(change)
    task = make_task(busybox_image, "sh", "-c", "echo started; echo '{}' > /eval/out/samples.jsonl")
    outcome = engine.run(task, Watcher(), threading.Event())
    engine.close()
    assert outcome.differences, "nothing was found"
    assert any(said.startswith(f"{expectation}:") for said in outcome.differences), outcome.differences
    assert outcome.exit_code is None
    assert outcome.stdout.total == 0
    assert outcome.outputs.files == ()


def test_a_container_on_a_network_never_sees_its_command(busybox_image: str, make_task: MakeTask) -> None:
    from docker import APIClient

    client = APIClient(timeout=60)
    network = client.create_network(f"evalctl-test-{uuid4().hex}", internal=True)["Id"]

    def join(body: dict[str, Any], host: dict[str, Any]) -> None:
        body["NetworkDisabled"], host["NetworkMode"] = False, network

    engine = weaker_engine(join)
    try:
        task = make_task(busybox_image, "echo", "started")
        outcome = engine.run(task, Watcher(), threading.Event())
        engine.close()
        assert any(said.startswith("interfaces:") for said in outcome.differences), outcome.differences
        assert outcome.stdout.total == 0
    finally:
        client.remove_network(network)
        client.close()


def test_the_probe_leaves_nothing_behind(shell: Shell) -> None:
    outcome, task = shell("ls -A /tmp /eval/out")
    assert outcome.differences == ()
    assert outcome.probe is not None
    assert (task.logs / "stdout").read_text().splitlines() == ["/eval/out:", "", "/tmp:"]


def test_an_image_cannot_put_another_program_in_the_place_of_the_init(
    busybox_image: str, make_task: MakeTask, tmp_path: Path
) -> None:
    from docker import APIClient

    client = APIClient(timeout=60)
    recipe = f"FROM {busybox_image}\nRUN ln -s /eval/code /.evalctl\n".encode()
    messages = list(client.build(fileobj=io.BytesIO(recipe), rm=True, decode=True, network_mode="none"))
    image = next(message["aux"]["ID"] for message in messages if "aux" in message)
    for name in ("init", "attend", "pod"):
        (tmp_path / name).write_text("#!/bin/sh\necho another first process\n")
        (tmp_path / name).chmod(0o755)
    engine = DockerEngine()
    try:
        task = make_task(image, "echo", "the command", mounts=(Mount(tmp_path, "/eval/code"),))
        assert engine.run(task, Watcher(), threading.Event()).exit_code == 0
        assert (task.logs / "stdout").read_bytes() == b"the command\n"
    finally:
        engine.close()
        client.remove_image(image, force=True, noprune=True)
        client.close()
