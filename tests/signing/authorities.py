"""A timestamp authority for tests: `openssl ts` behind a small server on the loopback."""

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

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


def certified(authority: TestAuthority, size: int, **change: Any) -> bytes:
    """Return a certificate of `size` bytes for the signer's own key, name and number, with `change`."""
    folder = authority.folder
    real = x509.load_pem_x509_certificate((folder / "signer.pem").read_bytes())
    key: Any = load_pem_private_key((folder / "root.key").read_bytes(), None)
    names = (x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME, x509.NameOID.ORGANIZATIONAL_UNIT_NAME)
    for length in range(180):
        parts = [1 + min(60, max(0, length - 60 * number)) for number in range(3)]
        subject = x509.Name(
            [x509.NameAttribute(name, "x" * part) for name, part in zip(names, parts, strict=True)]
        )
        builder = x509.CertificateBuilder(
            issuer_name=real.issuer,
            subject_name=subject,
            public_key=real.public_key(),  # type: ignore[arg-type]
            serial_number=real.serial_number,
            not_valid_before=change.get("begin", real.not_valid_before_utc),
            not_valid_after=change.get("end", real.not_valid_after_utc),
        )
        if "purpose" in change:
            usage = x509.ExtendedKeyUsage([change["purpose"]])
            builder = builder.add_extension(usage, critical=change.get("critical", True))
        for _ in range(24):  # of an ECDSA signature some bytes more or less
            data = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
            if len(data) == size:
                return data
            if abs(len(data) - size) > 3:
                break
    raise AssertionError("no certificate came out as long as the real one")


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
