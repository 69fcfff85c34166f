"""How set-up gets a container engine: asked for over a real socket, decided from facts."""

import dataclasses
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts.console import SetupError
from scripts.engine import DEFAULT_ADDRESS, Answer, Facts, decide, drop_stale_pid_files, is_running, ping

SILENT = Facts(
    address=DEFAULT_ADDRESS,
    answer=Answer("silent"),
    chosen=False,
    root=True,
    apt=True,
    dockerd=False,
    systemd=False,
)
OK = b"HTTP/1.0 200 OK\r\nServer: Docker/20.10.24 (linux)\r\n\r\nOK"


@contextmanager
def serving(listener: socket.socket, reply: bytes) -> Iterator[None]:
    """Answer one request on `listener` with `reply`."""

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(reply)

    listener.listen(1)
    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    with listener:
        yield
        thread.join(5)


@pytest.fixture
def engine(tmp_path: Path) -> Callable[[bytes], Answer]:
    def ask(reply: bytes) -> Answer:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "engine.sock"))
        with serving(listener, reply):
            return ping(f"unix://{tmp_path}/engine.sock")

    return ask


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)


def test_an_engine_that_answers_on_a_unix_socket_names_itself(engine: Callable[[bytes], Answer]) -> None:
    assert engine(OK) == Answer("ready", "Docker/20.10.24 (linux)")


def test_an_engine_that_answers_over_tcp_is_found() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with serving(listener, OK):
        assert ping(f"tcp://127.0.0.1:{listener.getsockname()[1]}").state == "ready"


@pytest.mark.parametrize(
    "reply", [b"", b"hello\r\n", b"HTTP/1.0 500 Internal Server Error\r\n\r\n", b"\xff\0"]
)
def test_a_socket_that_answers_anything_else_is_no_engine(
    engine: Callable[[bytes], Answer], reply: bytes
) -> None:
    assert engine(reply) == Answer("silent")


def test_a_socket_nobody_listens_on_is_no_engine(tmp_path: Path) -> None:
    assert ping(f"unix://{tmp_path}/absent.sock") == Answer("silent")
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(tmp_path / "left-over.sock"))
    assert ping(f"unix://{tmp_path}/left-over.sock") == Answer("silent")


def test_an_engine_that_accepts_and_says_nothing_does_not_hold_set_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "mute.sock"))
        listener.listen(1)
        assert ping(f"unix://{tmp_path}/mute.sock", seconds=0.1) == Answer("silent")


def test_an_address_that_needs_a_client_is_left_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ping("ssh://somebody@example.org") == Answer("unchecked")
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    assert ping("tcp://127.0.0.1:2376") == Answer("unchecked")


def test_a_running_engine_is_used_as_it_is() -> None:
    assert decide(dataclasses.replace(SILENT, answer=Answer("ready", "Docker"), root=False)) == "none"
    assert decide(dataclasses.replace(SILENT, answer=Answer("unchecked"), chosen=True)) == "none"


def test_root_with_apt_gets_the_systems_engine_installed_or_started() -> None:
    assert decide(SILENT) == "install"
    assert decide(dataclasses.replace(SILENT, dockerd=True)) == "start"
    assert decide(dataclasses.replace(SILENT, dockerd=True, apt=False)) == "start"


@pytest.mark.parametrize(
    ("change", "advice"),
    [
        ({"root": False}, "sudo apt-get install -y docker.io"),
        ({"root": False, "dockerd": True, "systemd": True}, "sudo systemctl start docker"),
        ({"root": False, "dockerd": True}, "setsid dockerd"),
        ({"root": False, "answer": Answer("denied")}, 'sudo usermod -aG docker "$USER"'),
        ({"chosen": True, "address": "tcp://127.0.0.1:2375"}, "unset DOCKER_HOST"),
        ({"apt": False}, "dockerd"),
    ],
)
def test_where_only_a_person_can_go_on_set_up_says_what_to_type(
    change: dict[str, object], advice: str
) -> None:
    with pytest.raises(SetupError) as caught:
        decide(dataclasses.replace(SILENT, **change))  # type: ignore[arg-type]
    assert advice in str(caught.value)
    assert "Type:\n" in str(caught.value)


def test_a_process_that_only_waits_to_be_reaped_is_not_running(tmp_path: Path) -> None:
    program = tmp_path / "dockerd"
    shutil.copy(shutil.which("cat") or "", program)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        # A parent may go on before the kernel has given its child the program's name.
        os.write(process.stdin.fileno(), b"x")
        assert os.read(process.stdout.fileno(), 1) == b"x"
        assert is_running(str(process.pid), "dockerd")
        assert not is_running(str(process.pid), "containerd")
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not is_running(str(process.pid), "dockerd")
    assert not is_running("", "dockerd")


def test_a_pid_file_is_dropped_only_where_no_such_process_is_behind_it(tmp_path: Path) -> None:
    own, stranger, gone = (tmp_path / name for name in ("own", "stranger", "gone"))
    name = Path("/proc/self/comm").read_text().strip()
    own.write_text(f"{os.getpid()}\n")
    stranger.write_text(f"{os.getpid()}\n")
    gone.write_text("4194305\n")
    drop_stale_pid_files([(own, name), (stranger, "dockerd"), (gone, name), (tmp_path / "absent", name)])
    assert [path.exists() for path in (own, stranger, gone)] == [True, False, False]
