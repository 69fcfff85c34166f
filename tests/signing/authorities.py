"""A timestamp authority for tests: `openssl ts` behind a small server on the loopback."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_CONFIGURATION = """[tsa]
default_tsa = own
[own]
serial = serial
signer_cert = signer.pem
signer_key = signer.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""
_SIGNER = """basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=critical,timeStamping
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


@dataclass
class TestAuthority:
    """An authority in a folder: a P-256 root, and a signer that it certified."""

    __test__ = False

    folder: Path
    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    # How many requests are answered before it is out of order.
    patience: int = 1_000_000
    status: int = 503

    @property
    def root(self) -> str:
        return (self.folder / "root.pem").read_text()

    def openssl(self, *words: str, given: bytes = b"") -> bytes:
        done = subprocess.run(
            ["openssl", *words], cwd=self.folder, input=given, check=True, capture_output=True, timeout=60
        )
        return done.stdout

    def reply(self, query: bytes) -> bytes:
        """Answer a timestamp query."""
        (self.folder / "query").write_bytes(query)
        self.openssl("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply")
        return (self.folder / "reply").read_bytes()

    def stamp(self, signature: bytes, *options: str) -> bytes:
        """Return a response over `signature`."""
        (self.folder / "data").write_bytes(signature)
        options = options or ("-sha256", "-cert")
        return self.reply(self.openssl("ts", "-query", "-data", "data", *options))

    def table(self, name: str = "own", *lines: str) -> str:
        """Return the authority's table in a trust policy."""
        text = "\n".join([f"[timestamps.{name}]", f'certificate = """\n{self.root}"""', *lines])
        return f"\n{text}\n"


def make_authority(folder: Path, name: str = "Test") -> TestAuthority:
    """Make an authority in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    made = TestAuthority(folder)
    for owner in ("root", "signer"):
        made.openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{owner}.key")
    made.openssl(
        *["req", "-new", "-x509", "-sha256", "-key", "root.key", "-out", "root.pem", "-days", "3650"],
        *["-subj", f"/CN={name} root", "-addext", "keyUsage=critical,keyCertSign"],
    )
    made.openssl("req", "-new", "-key", "signer.key", "-subj", f"/CN={name} signer", "-out", "signer.csr")
    (folder / "extensions").write_text(_SIGNER)
    made.openssl(
        *["x509", "-req", "-sha256", "-in", "signer.csr", "-CA", "root.pem", "-CAkey", "root.key"],
        *["-set_serial", "4711", "-days", "3650", "-extfile", "extensions", "-out", "signer.pem"],
    )
    (folder / "serial").write_text("01\n")
    (folder / "tsa.cnf").write_text(_CONFIGURATION)
    return made


@contextmanager
def served(authority: TestAuthority) -> Iterator[TestAuthority]:
    """Let the authority answer on the loopback, at its `url`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = self.rfile.read(int(self.headers["Content-Length"]))
            authority.requests.append(query)
            if len(authority.requests) > authority.patience:
                self.send_error(authority.status)
                return
            answer = authority.reply(query)
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    authority.url = f"http://127.0.0.1:{server.server_port}/tsa"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield authority
    finally:
        server.shutdown()
        server.server_close()
        thread.join(20)
