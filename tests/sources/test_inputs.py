"""Inputs by checksum, from files and from a server that misbehaves."""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from launcher.errors import InfrastructureError
from launcher.sources.inputs import FetchSettings, fetch_input
from launcher.spec.blueprint import Input
from launcher.store.cache import Cache

DATA = bytes(range(256)) * 512
HEX = sha256(DATA).hexdigest()

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers request number i with the i-th of the server's answers, and then always with the last."""

    server: "Server"

    def do_GET(self) -> None:
        number = len(self.server.requests)
        self.server.requests.append((self.path, self.headers.get("Range")))
        self.server.answers[min(number, len(self.server.answers) - 1)](self)

    def log_message(self, format: str, *arguments: object) -> None:
        return

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", headers.pop("length", str(len(body))))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = answers
        self.requests: list[tuple[str, str | None]] = []

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/data.bin"


@contextmanager
def serving(*answers: Answer) -> Iterator[Server]:
    server = Server(*answers)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def status(code: int, **headers: str) -> Answer:
    return lambda handler: handler.send(code, **headers)


def whole(handler: Handler) -> None:
    handler.send(200, DATA)


def broken(handler: Handler) -> None:
    """Promise everything and hang up half-way."""
    handler.send(200, DATA[: len(DATA) // 2], length=str(len(DATA)))
    handler.connection.shutdown(socket.SHUT_RDWR)


def rest(handler: Handler) -> None:
    """Serve what `Range: bytes=N-` asks for."""
    start = int(str(handler.headers["Range"]).removeprefix("bytes=").rstrip("-"))
    handler.send(206, DATA[start:], Content_Range=f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")


def nonsense(handler: Handler) -> None:
    handler.wfile.write(b"this is not HTTP\r\n\r\n")


def item(uri: str, *, digest: str = HEX, size: int | None = None) -> Input:
    return Input("data", "items", uri, digest, size)


def fetch(wanted: Input, cache: Path, **settings: object) -> Path:
    return fetch_input(wanted, Cache(cache), FetchSettings(cache.parent, **settings)).path  # type: ignore[arg-type]


def failure(wanted: Input, cache: Path, **settings: object) -> InfrastructureError:
    with pytest.raises(InfrastructureError) as caught:
        fetch(wanted, cache, **settings)
    assert blobs(cache) == []
    return caught.value


def blobs(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    "uri",
    ["data.bin", "./data.bin", "sub/../data.bin", "file:data.bin", "{path}", "file://{path}", "file:{path}"],
)
def test_a_file_is_found_by_every_way_to_write_it(tmp_path: Path, uri: str) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "data.bin").write_bytes(DATA)
    path = fetch(item(uri.format(path=tmp_path / "data.bin")), tmp_path / "cache")
    assert path.read_bytes() == DATA


def test_percent_signs_are_decoded_in_a_file_uri_alone(tmp_path: Path) -> None:
    for name in ("a b.bin", "a%20b.bin"):
        (tmp_path / name).write_bytes(name.encode())
    for uri, name in (("file:a%20b.bin", "a b.bin"), ("a%20b.bin", "a%20b.bin"), ("a b.bin", "a b.bin")):
        digest = sha256(name.encode()).hexdigest()
        assert fetch(item(uri, digest=digest), tmp_path / "cache").read_bytes() == name.encode()


@pytest.mark.parametrize("uri", ["nothing", "file:%00", "pipe", "/dev/zero", "loop"])
def test_what_is_no_regular_file_is_not_had(tmp_path: Path, uri: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    error = failure(item(uri), tmp_path / "cache")
    assert (error.code, "--blueprint-dir" in str(error.hint)) == ("input-not-found", True)


def test_other_bytes_than_the_checksum_says_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(DATA + b"x")
    error = failure(item("data.bin"), tmp_path / "cache")
    assert (error.code, error.exit_status) == ("input-digest-mismatch", 4)
    assert HEX in str(error.context)


def test_another_size_than_the_blueprint_says_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(DATA)
    assert failure(item("data.bin", size=len(DATA) - 1), tmp_path / "cache").code == "input-too-large"
    with pytest.raises(InfrastructureError) as caught:
        fetch(item("data.bin", size=len(DATA) + 1), tmp_path / "cache")
    assert caught.value.code == "input-size-mismatch"


def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    with serving(status(503), whole) as server:
        assert fetch(item(server.uri, size=len(DATA)), tmp_path / "cache").read_bytes() == DATA
    assert len(server.requests) == 2


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 501])
def test_a_server_that_says_no_is_asked_once(tmp_path: Path, code: int) -> None:
    with serving(status(code)) as server:
        error = failure(item(server.uri), tmp_path / "cache")
    assert (error.code, len(server.requests)) == ("input-not-found", 1)
    assert str(code) in str(error.context)


def test_a_connection_that_breaks_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    with serving(broken, rest) as server:
        assert fetch(item(server.uri), tmp_path / "cache").read_bytes() == DATA
    assert [asked for _, asked in server.requests] == [None, f"bytes={len(DATA) // 2}-"]


def test_a_server_that_cannot_resume_is_said(tmp_path: Path) -> None:
    with serving(broken, whole) as server:
        assert "resume" in str(failure(item(server.uri), tmp_path / "cache").context)


def test_a_resumed_body_with_other_bytes_is_refused(tmp_path: Path) -> None:
    def other(handler: Handler) -> None:
        handler.send(206, b"x" * (len(DATA) // 2))

    with serving(broken, other) as server:
        assert failure(item(server.uri), tmp_path / "cache").code == "input-digest-mismatch"


def test_a_body_larger_than_the_size_is_not_read_to_its_end(tmp_path: Path) -> None:
    def endless(handler: Handler) -> None:
        handler.send(200, length=str(1 << 40))
        while True:
            handler.wfile.write(DATA)

    with serving(endless) as server:
        assert failure(item(server.uri, size=len(DATA)), tmp_path / "cache").code == "input-too-large"


def test_a_redirect_is_followed(tmp_path: Path) -> None:
    with serving(status(302, Location="/other"), whole) as server:
        assert fetch(item(server.uri), tmp_path / "cache").read_bytes() == DATA
    assert [path for path, _ in server.requests] == ["/data.bin", "/other"]


@pytest.mark.parametrize(
    "target", ["{uri}", "file:///etc/hostname", "ftp://127.0.0.1:9/data.bin", "data:,x", "http://["]
)
def test_a_redirect_in_circles_or_away_from_http_is_refused(tmp_path: Path, target: str) -> None:
    with serving(lambda handler: handler.send(302, Location=target.format(uri=server.uri))) as server:
        error = failure(item(server.uri), tmp_path / "cache")
    assert (error.code, error.exit_status) == ("input-not-found", 4)
    assert len(server.requests) < 20


def test_a_server_that_once_answers_nonsense_is_asked_again(tmp_path: Path) -> None:
    with serving(nonsense, whole) as server:
        assert fetch(item(server.uri), tmp_path / "cache").read_bytes() == DATA


@pytest.mark.parametrize("uri", ["http://[", "http://127.0.0.1:port/x", "http://[::1/é"])
def test_an_address_that_is_none_is_not_had(tmp_path: Path, uri: str) -> None:
    assert failure(item(uri), tmp_path / "cache").code == "input-not-found"


def test_no_message_holds_a_password_or_a_query(tmp_path: Path) -> None:
    said: list[str] = []
    with serving(status(404)) as server:
        uri = server.uri.replace("127.0.0.1", "user:hunter2@127.0.0.1") + "?token=hunter2#hunter2"
        error = failure(item(uri), tmp_path / "cache", say=said.append)
    assert "hunter2" not in f"{said} {error.as_json()}"


def test_offline_uses_the_cache_and_files_and_nothing_else(tmp_path: Path) -> None:
    assert failure(item("http://127.0.0.1:9/x"), tmp_path / "cache", offline=True).code == "input-not-cached"
    (tmp_path / "data.bin").write_bytes(DATA)
    fetch(item("data.bin"), tmp_path / "cache", offline=True)
    assert fetch(item("http://127.0.0.1:9/x"), tmp_path / "cache", offline=True).read_bytes() == DATA


def test_a_damaged_cache_entry_is_noticed_and_mended(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(DATA)
    path = fetch(item("data.bin"), tmp_path / "cache")
    path.chmod(0o644)
    path.write_bytes(DATA[:-1])
    assert fetch(item("data.bin"), tmp_path / "cache").read_bytes() == DATA
    assert path.stat().st_mode & 0o777 == 0o444


def mounted(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root, with `mount`, can make a small disk to fill")
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "disk", "size=64k")


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "disk", "size=64k,ro")


def test_a_full_disk_is_said_and_left_clean(tmp_path: Path, small_disk: Path) -> None:
    (tmp_path / "data.bin").write_bytes(DATA)
    settings = FetchSettings(tmp_path)
    with pytest.raises(InfrastructureError) as caught:
        fetch_input(item("data.bin"), Cache(small_disk / "cache"), settings)
    assert (caught.value.code, caught.value.context) == ("cache-not-writable", "No space left on device")
    assert blobs(small_disk) == []


def test_a_read_only_cache_is_said(tmp_path: Path, read_only_disk: Path) -> None:
    (tmp_path / "data.bin").write_bytes(DATA)
    with pytest.raises(InfrastructureError) as caught:
        fetch_input(item("data.bin"), Cache(read_only_disk / "cache"), FetchSettings(tmp_path))
    assert caught.value.context == "Read-only file system"
