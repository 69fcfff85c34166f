"""Published SSH keys: a few lines over http, from a server that may be anybody."""

import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from launcher.errors import EvalctlError, InfrastructureError, MalformedError
from launcher.sources.published_keys import (
    MAX_BYTES,
    MAX_LINES,
    PublishedKeys,
    fetch_published_keys,
    read_published_keys,
)
from tests.conftest import Evalctl
from tests.trust.sealed_bundle import ALICE, BOB, p256_signer

CAROL = p256_signer(4)
RSA = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7 anna@example.org"
SECURITY_KEY = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAA"
LINES = "\n".join([ALICE.public.openssh, RSA, f"{CAROL.public.openssh} work", SECURITY_KEY, ""])
Serve = Callable[[BaseHTTPRequestHandler], None]


class Forge:
    """A server on loopback that answers every request by one function; `asked` is what was asked for."""

    def __init__(self, answer: Serve) -> None:
        forge, self.asked = self, list[str]()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                forge.asked.append(self.path)
                answer(self)

            def log_message(self, format: str, *args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/anna.keys"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def forge() -> Iterator[Callable[[Serve], Forge]]:
    forges: list[Forge] = []

    def start(answer: Serve) -> Forge:
        forges.append(Forge(answer))
        return forges[-1]

    yield start
    for started in forges:
        started.server.shutdown()
        started.server.server_close()


def says(body: bytes, status: int = 200, **headers: str) -> Serve:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_the_usable_keys_are_taken_and_the_others_named(forge: Callable[[Serve], Forge]) -> None:
    found = fetch_published_keys(forge(says(LINES.encode())).url)
    assert found == PublishedKeys((ALICE.public, CAROL.public), ("ssh-rsa", "sk-ssh-ed25519@openssh.com"))


def test_a_redirect_is_named_and_not_followed(forge: Callable[[Serve], Forge]) -> None:
    other = forge(says(LINES.encode()))
    start = forge(says(b"", 302, Location=other.url))
    with pytest.raises(InfrastructureError) as caught:
        fetch_published_keys(start.url)
    assert other.url in (caught.value.context or "")
    assert other.asked == []


@pytest.mark.parametrize("status", [404, 500, 401])
def test_an_error_of_the_server_is_an_error(forge: Callable[[Serve], Forge], status: int) -> None:
    with pytest.raises(InfrastructureError) as caught:
        fetch_published_keys(forge(says(LINES.encode(), status)).url)
    assert str(status) in (caught.value.context or "")


def test_an_answer_beyond_the_bound_is_refused(forge: Callable[[Serve], Forge]) -> None:
    with pytest.raises(MalformedError, match="holds no published keys"):
        fetch_published_keys(forge(says(b"#" * (MAX_BYTES + 1))).url)


def test_an_answer_that_never_ends_is_given_up(forge: Callable[[Serve], Forge]) -> None:
    released = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not released.wait(0.05):
            handler.wfile.write(b"#")

    with pytest.raises(InfrastructureError) as caught:
        fetch_published_keys(forge(drip).url, seconds=0.4)
    released.set()
    assert "within 0.4 s" in (caught.value.context or "")


def test_an_answer_that_is_no_text_is_refused(forge: Callable[[Serve], Forge]) -> None:
    with pytest.raises(MalformedError, match="holds no published keys"):
        fetch_published_keys(forge(says(b"\xff\xfe")).url)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/a.keys",
        "http://",
        "anna.keys",
        "https://user:word@h/a",
        "http:///a",
    ],
)
def test_other_addresses_are_refused_before_anything_is_asked(url: str) -> None:
    with pytest.raises(MalformedError) as caught:
        fetch_published_keys(url)
    assert caught.value.code == "usage"
    assert "word" not in caught.value.message


def test_a_server_that_is_not_there_is_an_infrastructure_failure() -> None:
    with pytest.raises(InfrastructureError):
        fetch_published_keys("http://127.0.0.1:1/anna.keys")


@given(st.text())
def test_whatever_is_published_only_our_error_is_raised(text: str) -> None:
    try:
        found = read_published_keys(text, "https://example.org/a.keys")
    except EvalctlError:
        return
    assert all(other.isascii() and len(other) <= 40 for other in found.others)


def test_too_many_lines_are_refused_and_one_key_counts_once() -> None:
    line = ALICE.public.openssh
    assert read_published_keys(f"{line}\n{line} again\n# a remark", "u") == PublishedKeys((ALICE.public,), ())
    with pytest.raises(MalformedError):
        read_published_keys(f"{line}\n" * (MAX_LINES + 1), "u")


def certified(folder: Path) -> Path:
    """Write a certificate for 127.0.0.1 that signs itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(days=1))
    certificate = builder.not_valid_after(now + timedelta(days=1)).add_extension(here, critical=False)
    signed = certificate.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    path = folder / "certificate.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + signed)
    return path


def test_over_https_the_server_s_certificate_is_checked_and_all_keys_can_be_taken(
    evalctl: Evalctl,
    forge: Callable[[Serve], Forge],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate, server = certified(tmp_path), forge(says(LINES.encode()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.server.socket = context.wrap_socket(server.server.socket, server_side=True)
    url = server.url.replace("http://", "https://")
    stranger = evalctl("trust", "add", "--from", url, "--yes")
    assert (stranger.code, "CERTIFICATE_VERIFY_FAILED" in stranger.err) == (4, True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert evalctl("trust", "add", "--from", url, "--yes", "--role", "result").code == 0
    shown = evalctl("trust", "show").out
    assert f"anna: {ALICE.public.fingerprint}" in shown
    assert f"anna-2: {CAROL.public.fingerprint}" in shown


def test_published_keys_are_added_by_the_fingerprint_that_was_compared(
    evalctl: Evalctl, forge: Callable[[Serve], Forge]
) -> None:
    url = forge(says(LINES.encode())).url
    asked = evalctl("trust", "add", "--from", url)
    assert asked.code == 2
    assert ALICE.public.fingerprint in asked.err
    assert "ssh-rsa" in asked.err
    assert ALICE.public.fingerprint not in evalctl("trust", "show").out
    assert "http://" in evalctl("trust", "add", "--from", url, "--yes").err
    wrong = evalctl("trust", "add", "--from", url, "--fingerprint", BOB.public.fingerprint)
    assert (wrong.code, "is not among the published keys" in wrong.err) == (2, True)
    added = evalctl("trust", "add", "--from", url, "--fingerprint", CAROL.public.fingerprint)
    assert added.code == 0, added.err
    shown = evalctl("trust", "show").out
    assert f"anna: {CAROL.public.fingerprint}" in shown
    assert ALICE.public.fingerprint not in shown
