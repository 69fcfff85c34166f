import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.cli.app import run
from launcher.errors import EvalctlError, MalformedError
from launcher.signing.passphrase import new_passphrase, passphrases
from launcher.signing.signers import find_signer, signs_surely
from launcher.trust.key_files import load_public_file, new_key
from launcher.trust.keys import Signer, load_public
from launcher.trust.private_keys import LockedSigner, load_private

SECRET = "correct horse"


def typed(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def ssh_key(*options: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        typed("ssh-keygen", "-q", "-N", SECRET, "-f", path, "-a", "4", "-t", *options)

    return make


def openssl_key(kind: list[str], *encryption: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        plain = path.with_name("plain.pem")
        plain.write_text(typed("openssl", "genpkey", "-algorithm", *kind))
        convert = ["openssl", "pkcs8", "-topk8", "-in", plain, "-passout", f"pass:{SECRET}", *encryption]
        path.write_text(typed(*convert))
        path.chmod(0o600)
        path.with_name("key.pub").write_text(typed("openssl", "pkey", "-in", plain, "-pubout"))
        plain.unlink()

    return make


P256 = ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
MAKERS = {
    "openssh-ed25519": ssh_key("ed25519"),
    "openssh-p256": ssh_key("ecdsa", "-b", "256"),
    "openssh-p256-as-pkcs8": ssh_key("ecdsa", "-b", "256", "-m", "PKCS8"),
    "openssh-p256-as-old-pem": ssh_key("ecdsa", "-b", "256", "-m", "PEM"),
    "evalctl-ed25519": lambda path: new_key(path, "ed25519", SECRET.encode()),
    "evalctl-p256": lambda path: new_key(path, "p256", SECRET.encode()),
    "pkcs8-ed25519-pbes2": openssl_key(["ED25519"], "-v2", "aes-256-cbc"),
    "pkcs8-ed25519-scrypt": openssl_key(["ED25519"], "-scrypt"),
    "pkcs8-p256-pbes2": openssl_key(P256, "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA256"),
    "pkcs8-p256-scrypt": openssl_key(P256, "-scrypt"),
}


class Asked:
    """Gives a passphrase and counts how often it did."""

    def __init__(self, passphrase: str = SECRET) -> None:
        self.passphrase = passphrase
        self.names: list[str] = []

    def __call__(self, name: str) -> bytes:
        self.names.append(name)
        return self.passphrase.encode()


def unlocked(signer: Signer) -> Signer:
    return signer.unlock() if isinstance(signer, LockedSigner) else signer


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_an_encrypted_key_signs_once_its_passphrase_is_given(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path, asked = tmp_path / "key", Asked()
    make(path)
    public = load_public_file(tmp_path / "key.pub")
    locked = find_signer(path, asked)
    assert locked.public == public
    assert asked.names == []
    signer = unlocked(locked)
    assert signs_surely(signer)
    assert not signs_surely(locked)
    assert public.is_signature_of(b"data", signer.sign(b"data"))
    assert asked.names == [str(path)]
    with pytest.raises(MalformedError, match="does not open") as caught:
        unlocked(find_signer(path, Asked("wrong")))
    assert caught.value.code == "wrong-passphrase"
    with pytest.raises(MalformedError, match="is encrypted"):
        find_signer(path).sign(b"data")


@pytest.mark.parametrize(
    "make",
    [
        ssh_key("ed25519", "-Z", "3des-cbc"),
        ssh_key("ed25519", "-Z", "chacha20-poly1305@openssh.com"),
        openssl_key(["ED25519"], "-v2", "aria-256-cbc"),
    ],
    ids=["3des", "chacha20", "aria"],
)
def test_a_cipher_that_cannot_be_read_is_not_taken_for_a_wrong_passphrase(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "key")
    with pytest.raises(MalformedError, match="encrypted in a way that cannot be read") as caught:
        unlocked(find_signer(tmp_path / "key", Asked()))
    assert caught.value.code == "key-cipher"
    assert "ssh-keygen -p" in str(caught.value.hint)


def test_an_encrypted_pem_without_its_public_half_is_opened_at_once(tmp_path: Path) -> None:
    path, asked = tmp_path / "key", Asked()
    MAKERS["pkcs8-p256-scrypt"](path)
    (tmp_path / "key.pub").unlink()
    signer = find_signer(path, asked)
    assert asked.names == [str(path)]
    assert signer.public.is_signature_of(b"data", signer.sign(b"data"))


def test_an_encrypted_key_beside_another_ones_public_half_signs_nothing(tmp_path: Path) -> None:
    MAKERS["pkcs8-ed25519-pbes2"](tmp_path / "key")
    new_key(tmp_path / "other")
    (tmp_path / "other.pub").replace(tmp_path / "key.pub")
    with pytest.raises(MalformedError, match="do not belong together"):
        find_signer(tmp_path / "key", Asked()).sign(b"data")


def test_what_ssh_keygen_reads_of_an_encrypted_key_is_what_was_made(tmp_path: Path) -> None:
    for kind in ("ed25519", "p256"):
        public = new_key(tmp_path / kind, kind, SECRET.encode())  # type: ignore[arg-type]
        line = typed("ssh-keygen", "-y", "-P", SECRET, "-f", tmp_path / kind)
        assert load_public(line) == public
        with pytest.raises(subprocess.CalledProcessError):
            typed("ssh-keygen", "-y", "-P", "", "-f", tmp_path / kind)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_damaged_key_raises_only_our_error(data: st.DataObject) -> None:
    whole = PLAIN.encode()
    place = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:place] + data.draw(st.binary(max_size=3)) + whole[place + 1 :]
    with suppress(EvalctlError):
        load_private("key", damaged, b"x")


PLAIN = """-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB
-----END PRIVATE KEY-----
"""


def descriptor(text: bytes) -> int:
    reading, writing = os.pipe()
    os.write(writing, text)
    os.close(writing)
    return reading


def test_a_descriptor_gives_its_first_line_and_keeps_the_rest() -> None:
    reading = descriptor(b"pass word\r \nrest")
    assert passphrases(reading)("key") == b"pass word\r "
    assert os.read(reading, 9) == b"rest"
    os.close(reading)


@pytest.mark.parametrize("text", [b"", b"\n", b"x" * 2000])
def test_a_descriptor_without_a_passphrase_is_refused(text: bytes) -> None:
    reading = descriptor(text)
    with pytest.raises(MalformedError, match="is not to be had"):
        passphrases(reading)("key")
    os.close(reading)
    with pytest.raises(MalformedError, match="is not to be had") as caught:
        passphrases(reading)("key")
    assert "--passphrase-fd" in str(caught.value.hint)


def test_a_new_passphrase_on_a_descriptor_is_read_once() -> None:
    reading = descriptor(b"one\ntwo\n")
    assert new_passphrase("key", reading) == b"one"
    os.close(reading)


def on_terminal(arguments: list[str | Path], *lines: str) -> tuple[int, str]:
    """Run evalctl on a terminal, type `lines`, each at a prompt; return its exit code and the screen."""
    pid, screen = pty.fork()
    if pid == 0:
        code = "import sys; from launcher.cli.app import run; sys.exit(run(sys.argv[1:]))"
        os.execv(sys.executable, [sys.executable, "-c", code, *map(str, arguments)])
    seen = b""
    left = list(lines)
    while True:
        try:
            part = os.read(screen, 4096)
        except OSError:
            break
        if not part:
            break
        seen += part
        if left and seen.endswith(b": "):
            os.write(screen, left.pop(0).encode() + b"\n")
    _, status = os.waitpid(pid, 0)
    os.close(screen)
    return os.waitstatus_to_exitcode(status), seen.decode()


def test_a_passphrase_is_typed_on_the_terminal_and_shown_nowhere(tmp_path: Path) -> None:
    status, screen = on_terminal(["key", "new", tmp_path / "key", "--encrypt"], SECRET, SECRET)
    assert status == 0
    assert SECRET not in screen
    (tmp_path / "key.pub").rename(tmp_path / "kept")
    found = find_signer(tmp_path / "key", Asked())
    assert unlocked(found).public == load_public_file(tmp_path / "kept")


def test_passphrases_that_differ_make_no_key(tmp_path: Path) -> None:
    status, screen = on_terminal(["key", "new", tmp_path / "key", "--encrypt"], SECRET, "other")
    assert status == 2
    assert "the two that were typed differ" in screen
    assert list(tmp_path.iterdir()) == []


def test_without_a_terminal_the_descriptor_is_named(tmp_path: Path) -> None:
    code = "import sys; from launcher.cli.app import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "key", "new", tmp_path / "key", "--encrypt"]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=60, start_new_session=True
    )
    assert done.returncode == 2
    assert "no terminal" in done.stderr
    assert "--passphrase-fd 3" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_descriptor_serves_every_command_that_signs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reading = descriptor(SECRET.encode())
    encrypted = ["--encrypt", "--passphrase-fd", str(reading)]
    assert run(["key", "new", str(tmp_path / "key"), "--type", "p256", *encrypted]) == 0
    os.close(reading)
    assert run(["key", "show", str(tmp_path / "key")]) == 0
    assert "ecdsa-sha2-nistp256" in capsys.readouterr().out
    assert run(["key", "new", str(tmp_path / "b"), "--passphrase-fd", "9"]) == 2
    assert run(["key", "new", str(tmp_path / "b"), "--type", "rsa"]) == 2
    assert "ed25519 or p256" in capsys.readouterr().err
