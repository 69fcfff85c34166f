"""A way out that is recorded and makes a run not re-runnable; secrets that are given and never kept."""

import base64
import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from launcher.errors import MalformedError, RequirementError
from launcher.runs.request import Launched, Secrets
from launcher.spec.site import SitePolicy
from tests.conftest import Evalctl
from tests.egress.test_proxy import Handler
from tests.fakes.engine import World as Inside
from tests.fakes.world import SmallWorld, answer, answering, leaving

CANARY = "sk-canary-7f3e9a1b"
KEY = 'secrets = ["API_KEY"]'


@pytest.fixture
def port() -> Iterator[int]:
    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.seen = []  # type: ignore[attr-defined]
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield int(found.server_address[1])
    found.shutdown()
    found.server_close()


def result_of(launched: Launched) -> Any:
    return json.loads((launched.bundle / "result.json").read_bytes())


def facts_of(bundle: Path) -> dict[str, Any]:
    facts = json.loads((bundle / "environment.json").read_bytes())["facts"]
    return {fact["name"]: fact["value"] for fact in facts}


def asking(world: SmallWorld, *requests: str) -> Any:
    """Return a program that sends requests through the pod's relay before it answers."""

    def program(inside: Inside) -> int:
        relays = [
            mount.source
            for task in world.engine.tasks
            for mount in task.mounts
            if mount.target == "/.evalctl/egress"
        ]
        for request in requests:
            with socket.socket(socket.AF_UNIX) as client:
                folder = os.open(relays[-1].parent, os.O_RDONLY)
                client.connect(f"/proc/self/fd/{folder}/egress")
                os.close(folder)
                client.sendall(f"{request}\r\n\r\n".encode())
                inside.stdout += b"".join(iter(lambda: client.recv(4096), b""))
        return answer(inside)

    return program


def egress(port: int) -> str:
    return f'network = "egress"\nallow-hosts = ["127.0.0.1:{port}"]'


def launch_out(world: SmallWorld, port: int) -> Launched:
    world.plays(asking(world, f"GET http://127.0.0.1:{port}/ HTTP/1.1", "CONNECT evil.example:443 HTTP/1.1"))
    world.site = SitePolicy(private_hosts="allow")
    return world.launch(sections={"sandbox": egress(port)})


def test_what_goes_out_is_recorded_and_the_run_is_marked(world: SmallWorld, port: int) -> None:
    launched = launch_out(world, port)
    found, traffic = result_of(launched), facts_of(launched.bundle)["egress.traffic"]
    assert found["status"] == "succeeded"
    assert found["marks"] == ["not-re-runnable"]
    assert found["deviations"][0].startswith("not re-runnable: it could ask hosts")
    assert traffic["reached"][0]["host"] == f"127.0.0.1:{port}"
    assert traffic["refused"] == [{"host": "evil.example:443", "times": 1}]
    assert '"step":"egress"' in (launched.bundle / "events.jsonl").read_text()
    assert b"hello" in (launched.bundle / "logs" / "run-0.stdout").read_bytes()


def test_programs_find_the_way_out_by_the_usual_variables(world: SmallWorld, port: int) -> None:
    launch_out(world, port)
    pod, run = world.engine.tasks
    assert pod.command == ("relay",)
    assert run.environment["HTTPS_PROXY"] == run.environment["https_proxy"] == "http://127.0.0.1:3128"
    assert run.environment["no_proxy"] == "localhost,127.0.0.1"
    assert all(mount.target != "/.evalctl/egress" for mount in run.mounts)


def test_every_view_says_that_it_is_not_re_runnable(world: SmallWorld, port: int, evalctl: Evalctl) -> None:
    bundle = launch_out(world, port).bundle
    assert "not-re-runnable" in evalctl("verify", bundle).out
    assert "not re-runnable" in evalctl("show", bundle).out
    assert json.loads(evalctl("show", bundle, "--json").out)["marks"] == ["not-re-runnable"]
    assert "not-re-runnable" in evalctl("list").out
    assert "Not re-runnable" in evalctl("report", bundle, "--format", "markdown").out


def test_it_is_not_reproduced_but_its_labels_can_be_joined_again(
    world: SmallWorld, port: int, evalctl: Evalctl, tmp_path: Path
) -> None:
    bundle = launch_out(world, port).bundle
    done = evalctl("reproduce", bundle)
    assert done.code == 4
    assert done.out.startswith("not-runnable")
    assert "not re-runnable" in done.err
    assert evalctl("reproduce", bundle, "--score-only").code == 6
    site = tmp_path / "site.toml"
    site.write_text('schema = "evalctl/site/v1"\nprivate-hosts = "allow"\n')
    assert evalctl("reproduce", bundle, "--score-only", "--site", site).code == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.0.1:8080", "100.64.0.1"])
def test_a_blueprint_that_lists_an_address_of_this_machines_networks_is_refused(
    world: SmallWorld, address: str
) -> None:
    with pytest.raises(RequirementError) as caught:
        world.launch(sections={"sandbox": f'network = "egress"\nallow-hosts = ["{address}"]'})
    assert (caught.value.code, address.partition(":")[0] in caught.value.message) == ("private-host", True)
    assert world.engine.tasks == []


def test_a_result_that_hides_its_mark_fails(world: SmallWorld, port: int) -> None:
    from tests.fakes.forgery import reseal

    bundle = launch_out(world, port).bundle
    path = bundle / "result.json"
    path.chmod(0o600)
    value = json.loads(path.read_bytes())
    value["marks"] = []
    path.write_text(json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n")
    reseal(bundle, world.signer)
    verification = world.verify(bundle)
    assert verification.verdict == "failed"


def test_a_site_can_refuse_every_way_out(world: SmallWorld, port: int) -> None:
    from launcher.launch import launch
    from launcher.runs.request import LaunchRequest
    from launcher.runs.site import admitted

    request = LaunchRequest(world.blueprint(sandbox=egress(port)), world.settings)
    with pytest.raises(RequirementError, match="site policy"):
        launch(admitted(request, SitePolicy(egress="refuse")), world.edges())


# --- secrets


def secret_launch(world: SmallWorld, program: Any = answer, **request: Any) -> Launched:
    world.plays(program)
    return world.launch(sections={"sandbox": KEY}, secrets=Secrets(API_KEY=CANARY), **request)


def places_with_the_canary(world: SmallWorld) -> list[str]:
    found = []
    for path in (world.root / "home").rglob("*"):
        if CANARY in path.name or (path.is_file() and CANARY.encode() in path.read_bytes()):
            found.append(str(path))
    return found


def test_a_secret_is_in_the_environment_and_nowhere_else(world: SmallWorld) -> None:
    seen: list[str] = []

    def program(inside: Inside) -> int:
        seen.append(inside.environment["API_KEY"])
        for text in (CANARY, CANARY.upper(), base64.b64encode(f"u:{CANARY}".encode()).decode()):
            inside.stdout += f"key {text}\n".encode()
            inside.stderr += f"key {text}\n".encode()
        return answer(inside)

    launched = secret_launch(world, program)
    assert seen == [CANARY]
    assert result_of(launched)["status"] == "succeeded"
    log = (launched.bundle / "logs" / "run-0.stdout").read_text()
    assert log.count("[secret API_KEY]") == 3
    assert places_with_the_canary(world) == []
    assert CANARY not in repr(world.engine.tasks[0].environment)


@pytest.mark.parametrize("name", ["samples.jsonl", "artifacts/a.bin", "events.jsonl", f"artifacts/{CANARY}"])
def test_a_secret_in_what_is_left_fails_the_run_and_keeps_nothing(world: SmallWorld, name: str) -> None:
    data = b"x" if CANARY in name else json.dumps({"id": CANARY, "step": CANARY}).encode() + b"\n"
    launched = secret_launch(world, leaving(data, name))
    found = result_of(launched)
    assert (found["status"], found["failure"]) == ("failed", "sandbox")
    assert "secret in output" in found["deviations"][0]
    assert places_with_the_canary(world) == []
    assert not (launched.bundle / "artifacts").exists()


def test_a_secret_that_an_escape_hides_is_found_when_it_is_read(world: SmallWorld) -> None:
    hidden = "".join(f"\\u{ord(letter):04x}" for letter in CANARY)
    program = answering(lambda _, sample: {**sample, "prediction": "ESCAPED"})

    def escaped(inside: Inside) -> int:
        program(inside)
        path = inside.outputs / "samples.jsonl"
        path.write_text(path.read_text().replace("ESCAPED", hidden))
        return 0

    launched = secret_launch(world, escaped)
    assert result_of(launched)["failure"] == "sandbox"
    assert (launched.bundle / "samples.jsonl").read_bytes() == b""
    assert not (launched.bundle / "predictions").exists()
    assert places_with_the_canary(world) == []


def test_a_secret_that_is_missing_stops_before_anything_runs(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write(sandbox=KEY)
    done = evalctl("launch", world.file)
    assert done.code == 6
    assert "--secret API_KEY=FILE" in done.err
    assert world.engine.tasks == []


def test_a_blueprint_cannot_help_itself_to_a_variable(
    world: SmallWorld, evalctl: Evalctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_KEY", CANARY)
    world.write(sandbox=KEY)
    done = evalctl("launch", world.file)
    assert done.code == 6
    assert "`--secret API_KEY`" in done.err
    assert world.engine.tasks == []


@pytest.mark.parametrize("value", ["", "short", "with\0null"])
def test_a_secret_that_cannot_be_masked_is_refused(world: SmallWorld, value: str) -> None:
    with pytest.raises(MalformedError, match="API_KEY") as caught:
        world.launch(sections={"sandbox": KEY}, secrets=Secrets(API_KEY=value))
    assert not value or value not in str(caught.value.context)


def test_a_secret_comes_from_a_file_or_the_variable_of_its_name(
    world: SmallWorld, evalctl: Evalctl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    world.plays(lambda inside: seen.append(inside.environment["API_KEY"]) or answer(inside))
    world.write(sandbox=KEY)
    (tmp_path / "key").write_text(CANARY + "\n")
    assert evalctl("launch", world.file, "--secret", f"API_KEY={tmp_path / 'key'}").code == 0
    monkeypatch.setenv("API_KEY", "from-the-variable")
    monkeypatch.setenv("OTHER_KEY", "not asked for")
    assert evalctl("launch", world.file, "--rerun", "--secret", "API_KEY").code == 0
    assert seen == [CANARY, "from-the-variable"]
    assert "OTHER_KEY" not in world.engine.tasks[-1].secrets


@pytest.mark.parametrize("given", ["API_KEY", "=x", "API_KEY=", "API_KEY=/nowhere", "OTHER=/etc/hostname"])
def test_a_secret_that_is_badly_given_is_a_usage_error(
    world: SmallWorld, evalctl: Evalctl, given: str
) -> None:
    world.write(sandbox=KEY)
    assert evalctl("launch", world.file, "--secret", given).code == 2


def test_a_service_gets_no_secret_and_its_log_shows_none(world: SmallWorld) -> None:
    pins = json.loads((world.folder / "pins.json").read_text())
    tail = f'[[service]]\nname = "s"\nimage = "oci:image@{pins["image"]}"\ncommand = ["serve"]\n'

    def serve(inside: Inside) -> int:
        inside.stdout += f"asked with the key {CANARY}\n".encode()
        inside.stopped.wait(10)
        return 0

    world.plays(serve, "serve")
    launched = world.launch(sections={"sandbox": KEY, "tail": tail}, secrets=Secrets(API_KEY=CANARY))
    log = next((launched.bundle / "logs").glob("*service*stdout*")).read_text()
    assert "[secret API_KEY]" in log
    assert CANARY not in log
    identity = json.loads((launched.bundle / "lock.json").read_bytes())["identity"]
    assert identity["sandbox"]["secrets"] == ["API_KEY"]
    assert "secrets" not in identity["services"][0]["sandbox"]
    given = {task.command[0]: dict(task.secrets) for task in world.engine.tasks}
    assert given == {"none": {}, "serve": {}, "answer": {"API_KEY": CANARY}}


def test_secrets_show_in_no_repr() -> None:
    assert CANARY not in repr(Secrets(API_KEY=CANARY))
