import base64
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from launcher.errors import EvalctlError, MalformedError
from launcher.trust.key_files import load_public_file, load_signer, new_key
from launcher.trust.keys import (
    PublicKey,
    fingerprint_hex,
    fingerprint_of_hex,
    is_fingerprint,
    load_public,
)
from launcher.trust.private_keys import load_private
from tests.trust.sealed_bundle import ALICE, BOB, ed25519_signer, p256_signer

P256 = p256_signer(5)
SIGNERS = pytest.mark.parametrize("signer", [ALICE, P256], ids=["ed25519", "p256"])


def run(*command: str | Path) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20)
    return done.stdout


def test_a_new_key_is_one_openssh_pair_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "alice"
    public = new_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {item.name for item in path.parent.iterdir()} == {"alice", "alice.pub"}
    assert load_public_file(Path(f"{path}.pub")) == public == load_signer(path).public
    assert public.fingerprint in run("ssh-keygen", "-lf", f"{path}.pub")
    assert run("ssh-keygen", "-yf", path).split()[:2] == public.openssh.split()


@pytest.mark.parametrize("existing", ["alice", "alice.pub"])
def test_a_key_is_never_overwritten(tmp_path: Path, existing: str) -> None:
    (tmp_path / existing).symlink_to("nowhere")
    with pytest.raises(MalformedError, match="exists already"):
        new_key(tmp_path / "alice")
    assert [item.name for item in tmp_path.iterdir()] == [existing]


@SIGNERS
def test_a_signature_is_of_its_key_and_its_bytes_alone(signer: object) -> None:
    signature = signer.sign(b"data")  # type: ignore[attr-defined]
    public: PublicKey = signer.public  # type: ignore[attr-defined]
    assert public.is_signature_of(b"data", signature)
    assert not public.is_signature_of(b"datA", signature)
    assert not BOB.public.is_signature_of(b"data", signature)
    for other in (b"", signature[:-1], signature + b"\0", bytes(len(signature))):
        assert not public.is_signature_of(b"data", other)


@SIGNERS
def test_a_public_key_is_the_same_in_both_spellings(signer: object, tmp_path: Path) -> None:
    public: PublicKey = signer.public  # type: ignore[attr-defined]
    assert load_public(public.openssh + " a comment\n") == public
    assert load_public(public.pem) == public
    assert load_public(public.pem.replace("\n", "\r\n")) == public
    (tmp_path / "key.pub").write_text(public.openssh)
    assert run("ssh-keygen", "-lf", tmp_path / "key.pub").split()[1] == public.fingerprint
    assert fingerprint_of_hex(public.key_hex) == public.fingerprint
    assert fingerprint_hex(public.fingerprint) == public.key_hex


def test_a_fingerprint_has_one_spelling() -> None:
    fingerprint = ALICE.public.fingerprint
    assert is_fingerprint(fingerprint)
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    assert sum(is_fingerprint(fingerprint[:-1] + letter) for letter in last) == 16
    for other in (fingerprint + "=", fingerprint.lower(), fingerprint[7:], fingerprint + "\n", "MD5:00"):
        assert not is_fingerprint(other)


@pytest.mark.parametrize(
    "options",
    [
        ["ed25519", "-m", "PKCS8"],
        ["ed25519"],
        ["ecdsa", "-b", "256", "-m", "PKCS8"],
        ["ecdsa", "-b", "256", "-m", "PEM"],
        ["ecdsa", "-b", "256"],
    ],
)
def test_a_key_that_ssh_keygen_made_signs(tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "key"
    run("ssh-keygen", "-q", "-N", "", "-f", path, "-t", *options)
    signer = load_signer(path)
    assert signer.public == load_public_file(tmp_path / "key.pub")
    assert signer.public.is_signature_of(b"x", signer.sign(b"x"))


def test_a_key_that_openssl_made_signs(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_text(run("openssl", "genpkey", "-algorithm", "ED25519"))
    path.chmod(0o600)
    signer = load_signer(path)
    assert signer.public == load_public(run("openssl", "pkey", "-in", path, "-pubout"))


@pytest.mark.parametrize("options", [[], ["-m", "PKCS8"], ["-m", "PEM"]])
def test_an_encrypted_key_is_refused_clearly(tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "key"
    run("ssh-keygen", "-q", "-N", "secret", "-f", path, "-t", "ecdsa", "-b", "256", *options)
    with pytest.raises(MalformedError, match="is encrypted") as caught:
        load_signer(path)
    assert caught.value.code == "key-encrypted"


@pytest.mark.parametrize("options", [["rsa", "-b", "2048"], ["ecdsa", "-b", "384"]])
def test_a_key_of_another_kind_is_refused(tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "key"
    run("ssh-keygen", "-q", "-N", "", "-f", path, "-t", *options)
    with pytest.raises(MalformedError, match=r"neither Ed25519|nor a P-256|curve"):
        load_signer(path)
    with pytest.raises(MalformedError):
        load_public_file(tmp_path / "key.pub")


def test_a_public_key_cannot_sign_and_the_private_one_is_named(tmp_path: Path) -> None:
    new_key(tmp_path / "key")
    with pytest.raises(MalformedError, match="is a public key") as caught:
        load_signer(tmp_path / "key.pub")
    assert caught.value.hint == f"name the private key beside it: `{tmp_path / 'key'}`"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    new_key(path)
    path.chmod(mode)
    with pytest.raises(MalformedError) as caught:
        load_signer(path)
    assert caught.value.code == "key-open-to-others"
    assert caught.value.hint == f"chmod 600 {path}"


def test_what_is_no_private_key_is_refused(tmp_path: Path) -> None:
    new_key(tmp_path / "key")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "broken").write_bytes((tmp_path / "key").read_bytes()[:200])
    (tmp_path / "broken").chmod(0o600)
    (tmp_path / "key.pub").chmod(0o600)
    for name in ("key.pub", "fifo", "broken", "none", "."):
        with pytest.raises(MalformedError):
            load_signer(tmp_path / name)


def test_a_private_key_where_a_public_one_belongs_is_said(tmp_path: Path) -> None:
    new_key(tmp_path / "key")
    with pytest.raises(MalformedError, match="this is a private key"):
        load_public_file(tmp_path / "key")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-rsa " + ALICE.public.openssh.split()[1],
        ALICE.public.openssh[:-4],
        ALICE.public.openssh + "=",
        ALICE.public.openssh.replace("ssh-ed25519", "ecdsa-sha2-nistp256"),
        ALICE.public.openssh + "\n" + BOB.public.openssh,
        'command="x" ' + ALICE.public.openssh,
        P256.public.openssh[:-6] + "AAAAA=",
        ALICE.public.pem.replace("MCow", "MCox"),
        ALICE.public.pem * 2,
    ],
)
def test_a_public_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        load_public(text)


@given(
    st.text()
    | st.text().map(lambda text: "ssh-ed25519 " + text)
    | st.text("AB=/+ \n").map("-----BEGIN{}".format)
)
def test_whatever_text_is_read_as_a_key_only_our_error_is_raised(text: str) -> None:
    with pytest.raises(EvalctlError):
        load_public(text)


def test_keys_made_from_numbers_differ() -> None:
    assert len({ed25519_signer(number).public.fingerprint for number in range(9)}) == 9


def test_the_public_half_of_an_openssh_key_is_read_without_the_cryptographic_library(tmp_path: Path) -> None:
    public = new_key(tmp_path / "key")
    code = (
        "import sys; from pathlib import Path; from launcher.trust.key_files import load_signer;"
        "print(load_signer(Path(sys.argv[1])).public.fingerprint, 'cryptography' in sys.modules)"
    )
    command = [sys.executable, "-c", code, tmp_path / "key"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == [public.fingerprint, "False"]


def test_a_private_key_whose_halves_do_not_belong_together_signs_nothing(tmp_path: Path) -> None:
    import base64

    new_key(tmp_path / "key")
    path = tmp_path / "key"
    lines = path.read_text().splitlines()
    body = bytearray(base64.b64decode("".join(lines[1:-1])))
    place = body.index(b"ssh-ed25519") + len(b"ssh-ed25519") + 4
    body[place] ^= 1
    path.write_text("\n".join([lines[0], base64.b64encode(body).decode(), lines[-1], ""]))
    with pytest.raises(MalformedError):
        load_signer(path).sign(b"anything")


@pytest.mark.parametrize("first", [b"\0", b"\2", b"\5"])
def test_a_private_key_whose_point_is_compressed_or_none_is_malformed(first: bytes) -> None:
    private = ec.derive_private_key(11, ec.SECP256R1())
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    text = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    begin, *lines, end = text.splitlines()
    body = base64.b64decode(b"".join(lines)).replace(point, first + point[1:])
    damaged = b"\n".join([begin, base64.b64encode(body), end, b""])
    with pytest.raises(MalformedError, match="cannot be read as a private key"):
        load_private("it", damaged)
