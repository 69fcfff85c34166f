"""The recording proxy, asked over its socket as a pod asks it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from launcher.egress.proxy import EgressProxy, Limits
from launcher.spec.hosts import AllowList, Target

Ask = Callable[[bytes], bytes]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(b"hello")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.server.seen.append((self.path, dict(self.headers)))  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.seen = []  # type: ignore[attr-defined]
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def port(server: ThreadingHTTPServer) -> int:
    return int(server.server_address[1])


def ask(path: Path, data: bytes, *, end: bool = False) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        with suppress(BrokenPipeError):
            client.sendall(data)
        if end:
            client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


def proxy_for(tmp_path: Path, *hosts: str, **changes: Any) -> EgressProxy:
    return EgressProxy(tmp_path / "egress", AllowList(hosts), **changes)


@pytest.mark.parametrize(
    "never", ["169.254.169.254", "100.100.100.200", "168.63.129.16", "0.0.0.0", "224.0.0.1"]
)
def test_where_clouds_hand_out_credentials_is_not_reached_though_listed(tmp_path: Path, never: str) -> None:
    with proxy_for(tmp_path, f"{never}:80", limits=Limits(connect=0.2)) as proxy:
        answer = ask(tmp_path / "egress", f"GET http://{never}/latest/ HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 403")
    assert proxy.record.as_json()["refused"] == [{"host": f"{never}:80", "times": 1}]


def test_a_listed_literal_is_reached_and_recorded(tmp_path: Path, port: int) -> None:
    with proxy_for(tmp_path, f"127.0.0.1:{port}") as proxy:
        answer = ask(tmp_path / "egress", f"GET http://127.0.0.1:{port}/x HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.0 200") and answer.endswith(b"hello")
    (reached,) = proxy.record.as_json()["reached"]
    assert reached["host"] == f"127.0.0.1:{port}"
    assert (reached["connections"], reached["failures"]) == (1, 0)
    assert reached["bytes_received"] == len(answer)
    assert reached["bytes_sent"] > 0
    assert not (tmp_path / "egress").exists()


def test_a_tunnel_carries_bytes_both_ways(tmp_path: Path, port: int) -> None:
    with proxy_for(tmp_path, f"127.0.0.1:{port}") as proxy:
        inner = b"GET / HTTP/1.0\r\n\r\n"
        answer = ask(tmp_path / "egress", f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode() + inner)
    assert answer.startswith(b"HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.0 200")
    assert proxy.record.as_json()["reached"][0]["bytes_sent"] == len(inner)


def test_who_is_not_listed_is_refused_by_name_and_never_resolved(tmp_path: Path) -> None:
    asked: list[Target] = []

    async def resolve(target: Target) -> list[str]:
        asked.append(target)
        return ["93.184.215.14"]

    with proxy_for(tmp_path, "a.example", resolve=resolve) as proxy:
        for _ in range(2):
            assert b"403" in ask(tmp_path / "egress", b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n")
    assert asked == []
    assert proxy.record.as_json()["refused"] == [{"host": "evil.example:443", "times": 2}]


@pytest.mark.parametrize("inside", ["127.0.0.1", "169.254.169.254", "10.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_a_listed_name_that_leads_inside_is_refused(tmp_path: Path, port: int, inside: str) -> None:
    async def resolve(_: Target) -> list[str]:
        return [inside]

    with proxy_for(tmp_path, f"a.example:{port}", resolve=resolve) as proxy:
        answer = ask(tmp_path / "egress", f"CONNECT a.example:{port} HTTP/1.1\r\n\r\n".encode())
    assert b"leads to no public address" in answer
    assert proxy.record.as_json()["reached"] == []


def test_a_name_is_resolved_once_and_connected_to_as_it_was_checked(tmp_path: Path, port: int) -> None:
    answers = iter([["198.51.100.1", "127.0.0.1"], ["127.0.0.1"]])

    async def resolve(_: Target) -> list[str]:
        return next(answers)

    limits = Limits(connect=0.5)
    with proxy_for(tmp_path, f"a.example:{port}", resolve=resolve, limits=limits) as proxy:
        answer = ask(tmp_path / "egress", f"CONNECT a.example:{port} HTTP/1.1\r\n\r\n".encode())
    assert b"200" not in answer
    assert next(answers) == ["127.0.0.1"]
    assert all(host["connections"] == 0 for host in proxy.record.as_json()["reached"])


def test_a_second_request_behind_a_body_is_not_passed_on(tmp_path: Path, server: Any, port: int) -> None:
    first = f"POST http://127.0.0.1:{port}/a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi"
    second = "GET /b HTTP/1.1\r\nHost: other.example\r\n\r\n"
    with proxy_for(tmp_path, f"127.0.0.1:{port}"):
        answer = ask(tmp_path / "egress", (first + second).encode())
    assert answer.endswith(b"hi")
    assert [path for path, _ in server.seen] == ["/a"]


def test_a_head_that_never_ends_is_given_up(tmp_path: Path) -> None:
    with proxy_for(tmp_path, "a.example", limits=Limits(head=0.3)) as proxy:
        assert b"431" in ask(tmp_path / "egress", b"CONNECT a.example:443 HTTP/1.1\r\nX: ")
        assert b"431" in ask(tmp_path / "egress", b"X" * 40_000)
    assert proxy.record.malformed == 2


def test_a_connection_on_which_nothing_is_said_ends(tmp_path: Path, port: int) -> None:
    with proxy_for(tmp_path, f"127.0.0.1:{port}", limits=Limits(idle=0.3)):
        answer = ask(tmp_path / "egress", f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n"


def test_too_many_at_once_are_sent_away_and_the_others_go_on(tmp_path: Path, port: int) -> None:
    with proxy_for(tmp_path, f"127.0.0.1:{port}", limits=Limits(connections=2)):
        idle = [socket.socket(socket.AF_UNIX) for _ in range(2)]
        for each in idle:
            each.connect(str(tmp_path / "egress"))
            each.sendall(b"C")
        answers = [ask(tmp_path / "egress", b"") for _ in range(3)]
        for each in idle:
            each.close()
    assert any(b"503" in answer for answer in answers)


def test_clients_that_vanish_leave_the_proxy_whole(tmp_path: Path, port: int) -> None:
    request = f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n".encode()
    with proxy_for(tmp_path, f"127.0.0.1:{port}"):
        for length in range(0, len(request), 5):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(tmp_path / "egress"))
                client.sendall(request[:length])
        assert ask(tmp_path / "egress", request).endswith(b"hello")


def test_a_host_that_does_not_answer_is_a_bad_gateway(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with proxy_for(tmp_path, f"127.0.0.1:{port}") as proxy:
            assert b"502" in ask(
                tmp_path / "egress", f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\n\r\n".encode()
            )
    assert proxy.record.as_json()["reached"][0]["failures"] == 1


def test_the_record_is_bounded_whatever_is_asked_for(tmp_path: Path) -> None:
    with proxy_for(tmp_path, "a.example") as proxy:
        for number in range(230):
            ask(tmp_path / "egress", f"CONNECT h{number}.example:443 HTTP/1.1\r\n\r\n".encode())
    refused = proxy.record.as_json()["refused"]
    assert len(refused) == 201
    assert sum(host["times"] for host in refused) == 230


def test_a_home_with_a_long_path_has_a_way_out(tmp_path: Path, port: int) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    with EgressProxy(folder / "egress", AllowList([f"127.0.0.1:{port}"])):
        assert (folder / "egress").is_socket()
