"""`evalctl doctor`, from the command line to its exit code."""

import json
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from launcher.sources.reach import unreachable
from tests.conftest import Evalctl, Finished
from tests.fakes.world import SmallWorld


class Answers(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_response(int(self.path.strip("/")))
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def server() -> Iterator[str]:
    with socketserver.TCPServer(("127.0.0.1", 0), Answers) as own:
        threading.Thread(target=own.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{own.server_address[1]}"
        own.shutdown()


def checks(finished: Finished) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in json.loads(finished.out)["checks"]}


def test_doctor_prints_the_shape_that_other_programs_read(world: SmallWorld, evalctl: Evalctl) -> None:
    found = checks(evalctl("doctor", "--json"))
    assert all(set(check) == {"name", "status", "detail", "fix"} for check in found.values())
    assert {check["status"] for check in found.values()} <= {"ok", "warn", "fail"}
    assert found["key"]["detail"] == world.signer.public.fingerprint
    assert found["trust"]["status"] == "ok"
    assert found["engine"]["detail"].startswith("fake 1.0")


def test_an_engine_that_does_not_answer_exits_six(world: SmallWorld, evalctl: Evalctl) -> None:
    world.engine.reachable = False
    finished = evalctl("doctor")
    assert finished.code == 6
    assert "fail  engine" in finished.out
    assert "fix:" in finished.out


def test_a_key_open_to_others_exits_six_with_the_command_that_shuts_it(
    world: SmallWorld, evalctl: Evalctl
) -> None:
    world.home.default_key.chmod(0o644)
    finished = evalctl("doctor", "--json")
    assert (finished.code, checks(finished)["key"]["fix"]) == (6, f"chmod 600 {world.home.default_key}")


def test_halves_of_different_keys_are_found(world: SmallWorld, evalctl: Evalctl) -> None:
    assert evalctl("key", "new", world.root / "other").code == 0
    public = world.home.default_key.with_name("default.pub")
    public.write_bytes((world.root / "other.pub").read_bytes())
    assert "another key" in checks(evalctl("doctor", "--json"))["key"]["detail"]


def test_a_policy_that_does_not_name_the_own_key_warns(world: SmallWorld, evalctl: Evalctl) -> None:
    assert evalctl("key", "new", world.root / "other").code == 0
    for name in ("default", "default.pub"):
        own = world.home.default_key.with_name(name)
        own.unlink()
        own.write_bytes((world.root / name.replace("default", "other")).read_bytes())
        own.chmod(0o600)
    trust = checks(evalctl("doctor", "--json"))["trust"]
    assert trust["status"] == "warn"
    assert "is not in the trust policy" in trust["detail"]


def test_a_malformed_policy_is_a_failed_check_and_no_crash(world: SmallWorld, evalctl: Evalctl) -> None:
    world.home.trust.write_text("version = ")
    finished = evalctl("doctor", "--json")
    assert (finished.code, checks(finished)["trust"]["status"]) == (6, "fail")


def test_what_a_dead_launch_left_is_removed(world: SmallWorld, evalctl: Evalctl) -> None:
    live = world.home.root / "live"
    live.mkdir()
    (live / "dead").write_text("runs/x/1")
    world.engine.containers["left"] = {"evalctl.home": world.home.label, "evalctl.attempt": "dead"}
    assert "of 1 dead" in checks(evalctl("doctor", "--json"))["left-overs"]["detail"]
    assert world.engine.containers == {}


def test_a_home_that_is_not_there_yet_is_not_made(world: SmallWorld, evalctl: Evalctl) -> None:
    import shutil

    shutil.rmtree(world.home.root)
    assert "it is made" in checks(evalctl("doctor", "--json"))["home"]["detail"]
    assert not world.home.root.exists()


def test_a_blueprint_is_judged_with_the_machine(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    assert checks(evalctl("doctor", world.file, "--json"))["data:items"]["status"] == "ok"
    world.write(resources="cpus = 4000")
    finished = evalctl("doctor", world.file)
    assert finished.code == 6
    assert "fail  requirements" in finished.out


def test_a_malformed_blueprint_is_a_malformed_blueprint(world: SmallWorld, evalctl: Evalctl) -> None:
    world.file.write_text("x")
    assert evalctl("doctor", world.file).code == 2


def test_a_lock_that_drifted_is_a_failed_check(world: SmallWorld, evalctl: Evalctl) -> None:
    world.write()
    assert evalctl("resolve", world.file).code == 0
    lock = world.file.with_name("blueprint.lock.json")
    tree = next((world.home.cache / "code").iterdir())
    facts = json.loads((tree / "facts.json").read_text())
    (tree / "facts.json").write_text(json.dumps({**facts, "tree": "0" * 40}))
    finished = evalctl("doctor", lock, "--json")
    assert (finished.code, checks(finished)["resolve"]["status"]) == (6, "fail")


def test_servers_are_asked_and_nothing_is_fetched(world: SmallWorld, evalctl: Evalctl, server: str) -> None:
    tail = '[[data]]\nname = "more"\nuri = "{0}/{1}"\nsha256 = "{2}"\n'
    for status, verdict in ((200, "ok"), (405, "ok"), (404, "fail"), (500, "fail")):
        world.write(tail=tail.format(server, status, "0" * 64))
        assert checks(evalctl("doctor", world.file, "--json"))["data:more"]["status"] == verdict
    world.write(tail=tail.format("http://127.0.0.1:9", 200, "0" * 64))
    assert checks(evalctl("doctor", world.file, "--json"))["data:more"]["status"] == "fail"


def test_only_servers_are_asked() -> None:
    assert "unknown url type" in unreachable("file:///etc/passwd")
    assert unreachable("http://[") != ""
