import base64
import hashlib
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from launcher.errors import InfrastructureError, MalformedError
from launcher.signing.command import CommandSigner
from launcher.signing.signers import find_signer, signs_surely
from launcher.trust.dsse import verify_envelope
from launcher.trust.key_files import load_public_file, new_key
from launcher.trust.keys import PublicKey
from launcher.trust.sigstore import open_envelope, seal
from tests.trust.sealed_bundle import ALICE, BOB, p256_signer

# https://csrc.nist.gov/pubs/sp/800/186/final section 3.2.1.3
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

STATEMENT = {"predicate": "x"}
# What an operator writes around a KMS: openssl stands for it.
DIGEST_SIGNER = """#!/bin/sh
set -e
read digest
printf %s "$digest" | tr a-f A-F | basenc --base16 -d > digest.bin
openssl pkeyutl -sign -inkey private.pem -in digest.bin -pkeyopt digest:sha256 | base64
"""
MESSAGE_SIGNER = """#!/bin/sh
set -e
cat > message.bin
openssl pkeyutl -sign -rawin -inkey private.pem -in message.bin | base64 -w 0
"""
KINDS = {
    "p256": (["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], DIGEST_SIGNER),
    "ed25519": (["ED25519"], MESSAGE_SIGNER),
}


def openssl(*words: str | Path, folder: Path) -> str:
    done = subprocess.run(
        ["openssl", *words], cwd=folder, check=True, capture_output=True, text=True, timeout=60
    )
    return done.stdout


def described(folder: Path, command: str, *more: str) -> Path:
    lines = ['schema = "evalctl/signer/v1"', 'public = "key.pub"', f"command = {command}", *more, ""]
    (folder / "kms.toml").write_text("\n".join(lines))
    return folder / "kms.toml"


def scripted(folder: Path, script: str, *more: str) -> CommandSigner:
    """Return the signer of a program with the text `script`, which should sign for ALICE."""
    (folder / "key.pub").write_text(ALICE.public.openssh)
    (folder / "program").write_text(script)
    (folder / "program").chmod(0o700)
    signer = find_signer(described(folder, '["./program"]', *more))
    assert isinstance(signer, CommandSigner)
    return signer


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_signs_what_it_is_given(tmp_path: Path, kind: str) -> None:
    algorithm, script = KINDS[kind]
    (tmp_path / "private.pem").write_text(openssl("genpkey", "-algorithm", *algorithm, folder=tmp_path))
    (tmp_path / "key.pub").write_text(openssl("pkey", "-in", "private.pem", "-pubout", folder=tmp_path))
    (tmp_path / "sign").write_text(script)
    (tmp_path / "sign").chmod(0o700)
    signer = find_signer(described(tmp_path, '["./sign"]', 'timeout = "30s"'))
    assert signer.public == load_public_file(tmp_path / "key.pub")
    assert not signs_surely(signer)
    assert verify_envelope(open_envelope(seal(STATEMENT, signer)), signer.public) == STATEMENT


def test_arguments_reach_the_program_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(ALICE.public.openssh)
    code = "import sys; sys.exit(sys.argv[1])"
    signer = find_signer(described(tmp_path, f"['{sys.executable}', '-c', '{code}', '$HOME `id` a  b']"))
    with pytest.raises(InfrastructureError) as caught:
        signer.sign(b"data")
    assert caught.value.context == "it ended with 1: $HOME `id` a  b"


@pytest.mark.parametrize(
    ("script", "context"),
    [
        (
            "#!/bin/sh\necho first >&2; echo 'key disabled' >&2; exit 3",
            "ended with 3: key disabled",
        ),
        ("#!/bin/sh\nexit 1", "wrote nothing to stderr"),
        ("#!/bin/sh\nkill -9 $$", "ended with -9"),
        ("#!/bin/sh\necho '***'", "not base64"),
        ("#!/bin/sh\n", "no signature by SHA256:"),
        ("#!/bin/sh\necho aGVsbG8=", "no signature by SHA256:"),
        ("#!/bin/sh\nhead -c 100000 /dev/zero", "more than 4096 bytes"),
        ("#!/nowhere/at/all\n", "No such file"),
    ],
)
def test_a_program_that_does_not_sign_is_said(tmp_path: Path, script: str, context: str) -> None:
    signer = scripted(tmp_path, script)
    with pytest.raises(InfrastructureError) as caught:
        signer.sign(b"data")
    assert context in str(caught.value.context)
    assert caught.value.code == "signer-failed"
    assert caught.value.exit_status == 4


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    signer = scripted(tmp_path, "#!/bin/sh\nsleep 30 & sleep 30", 'timeout = "1s"')
    began = time.monotonic()
    with pytest.raises(InfrastructureError) as caught:
        signer.sign(b"data")
    assert caught.value.context == "it did not end in 1 seconds"
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("stream", ["", " >&2"])
def test_a_program_that_never_stops_writing_is_ended(tmp_path: Path, stream: str) -> None:
    signer = scripted(tmp_path, f"#!/bin/sh\nexec yes{stream}", 'timeout = "5m"')
    began = time.monotonic()
    with pytest.raises(InfrastructureError) as caught:
        signer.sign(b"data")
    assert caught.value.context == "it wrote more than 1048576 bytes"
    assert time.monotonic() - began < 60


def answering(folder: Path, public: PublicKey, signature: bytes) -> CommandSigner:
    """Return the signer of a program that gives `signature` where one by `public` is asked for."""
    signer = scripted(folder, f"#!/bin/sh\necho {base64.b64encode(signature).decode()}")
    (folder / "key.pub").write_text(public.openssh)
    return replace(signer, public=public)


def test_a_signature_by_another_key_or_of_other_bytes_is_refused(tmp_path: Path) -> None:
    p256, other = p256_signer(7), p256_signer(8)
    digest_itself = hashlib.sha256(b"data").hexdigest().encode()
    for public, signature in (
        (p256.public, other.sign(b"data")),
        (p256.public, p256.sign(b"datA")),
        (p256.public, p256.sign(digest_itself)),
        (p256.public, p256.sign(b"data") + b"\0"),
        (p256.public, p256.sign(b"data")[:-1]),
        (p256.public, ALICE.sign(b"data")),
        (ALICE.public, BOB.sign(b"data")),
        (ALICE.public, ALICE.sign(digest_itself)),
        (ALICE.public, ALICE.sign(b"data") + b"\0"),
        (ALICE.public, bytes(64)),
    ):
        with pytest.raises(InfrastructureError) as caught:
            answering(tmp_path, public, signature).sign(b"data")
        assert caught.value.context == f"what it wrote is no signature by {public.fingerprint}"


def test_either_form_of_an_ecdsa_signature_is_one(tmp_path: Path) -> None:
    signer = p256_signer(7)
    r, s = decode_dss_signature(signer.sign(b"data"))
    for number in (s, P256_ORDER - s):
        signature = encode_dss_signature(r, number)
        assert answering(tmp_path, signer.public, signature).sign(b"data") == signature
    for false in ((0, s), (r, 0), (r, P256_ORDER), (r + P256_ORDER, s)):
        with pytest.raises(InfrastructureError):
            answering(tmp_path, signer.public, encode_dss_signature(*false)).sign(b"data")


def test_a_description_with_faults_names_each_at_its_place(tmp_path: Path) -> None:
    path = described(tmp_path, "[]", "time = 3")
    with pytest.raises(MalformedError, match="does not say which program signs") as caught:
        find_signer(path)
    lines = [(problem.line, problem.message) for problem in caught.value.problems]
    assert [line for line, _ in lines] == [3, 4]
    assert "unknown key `time`" in lines[1][1]
    path.write_text('public = "key.pub"\ncommand = ["x"]\n')
    with pytest.raises(MalformedError) as caught:
        find_signer(path)
    assert "schema" in caught.value.problems[0].message


def test_a_description_whose_public_key_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match=r"key\.pub"):
        find_signer(described(tmp_path, '["x"]'))


def test_a_description_that_others_may_change_is_refused(tmp_path: Path) -> None:
    new_key(tmp_path / "key")
    path = described(tmp_path, '["x"]')
    path.chmod(0o664)
    with pytest.raises(MalformedError) as caught:
        find_signer(path)
    assert caught.value.hint == f"chmod 644 {path}"


def test_what_is_neither_key_nor_description_is_refused(tmp_path: Path) -> None:
    for number, data in enumerate((b"", b"\0\xff", b"hello", b"[" * 9000)):
        (tmp_path / f"{number}").write_bytes(data)
        with pytest.raises(MalformedError):
            find_signer(tmp_path / f"{number}")
