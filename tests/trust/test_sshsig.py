"""OpenSSH itself accepts what is exported for it, and refuses it changed."""

import json
import subprocess
from pathlib import Path

import pytest

from launcher.trust.allowed_signers import allowed_signers, namespace
from launcher.trust.keys import Signer
from launcher.trust.policy import single_key_policy
from launcher.trust.sshsig import ssh_signature
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld
from tests.trust.sealed_bundle import ALICE, BOB, ed25519_signer, p256_signer

RESULT = namespace("result")
DATA = b"0" * 64 + b"  result.json\n"


def accepts(folder: Path, signer: Signer, data: bytes, signature: bytes, space: str = RESULT) -> bool:
    """Ask `ssh-keygen` whether this is a signature of `signer`, whom a policy names."""
    allowed, signed = folder / "allowed", folder / "SHA256SUMS.sig"
    allowed.write_text(allowed_signers(single_key_policy(signer.public, "me")))
    signed.write_bytes(signature)
    command = ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "me", "-n", space, "-s", signed]
    done = subprocess.run(command, input=data, capture_output=True, timeout=30, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("number", range(40))
def test_openssh_accepts_signatures_of_both_kinds(tmp_path: Path, number: int) -> None:
    signer = p256_signer(number) if number % 4 else ed25519_signer(number)
    assert accepts(tmp_path, signer, DATA, ssh_signature(DATA, RESULT, signer))


def test_openssh_refuses_other_bytes_keys_and_namespaces(tmp_path: Path) -> None:
    signature = ssh_signature(DATA, RESULT, ALICE)
    assert accepts(tmp_path, ALICE, DATA, signature)
    assert not accepts(tmp_path, ALICE, DATA.replace(b"0", b"1", 1), signature)
    assert not accepts(tmp_path, BOB, DATA, signature)
    assert not accepts(tmp_path, ALICE, DATA, ssh_signature(DATA, "file", ALICE), "file")
    assert not accepts(tmp_path, ALICE, DATA, ssh_signature(DATA, "file", ALICE))


def test_a_bundle_that_verifies_is_signed_for_openssh_and_no_other(
    world: SmallWorld, evalctl: Evalctl, tmp_path: Path
) -> None:
    bundle, out = world.launch().bundle, tmp_path / "exported.sig"
    assert evalctl("export", "sshsig", bundle, "--out", out).code == 0
    sums = (bundle / "SHA256SUMS").read_bytes()
    assert accepts(tmp_path, world.signer, sums, out.read_bytes())
    said = json.loads(evalctl("export", "sshsig", bundle, "--json").out)
    assert (said["namespace"], said["signature"]) == (RESULT, out.read_text())
    (bundle / "samples.jsonl").chmod(0o600)
    (bundle / "samples.jsonl").write_bytes(b"")
    refused = evalctl("export", "sshsig", bundle)
    assert (refused.code, refused.out) == (1, "")
