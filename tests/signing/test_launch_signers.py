"""A launch with signers that may refuse: they are asked before anything runs."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from launcher.cli.signing import read_signer
from launcher.errors import InfrastructureError, MalformedError
from launcher.signing.signers import find_signer
from launcher.spec.bundle import LOCK_ATTESTATION
from launcher.trust.key_files import load_public_file, new_key
from launcher.trust.keys import PublicKey
from launcher.trust.policy import single_key_policy
from launcher.verify import verify
from tests.conftest import Evalctl
from tests.fakes.world import SmallWorld
from tests.signing.agents import add_key, ssh_agent
from tests.trust.sealed_bundle import ALICE, NOW


@dataclass
class Refusing:
    """Signs as ALICE does `times` times, and never again."""

    times: int
    public: PublicKey = ALICE.public
    asked: list[bytes] = field(default_factory=list)

    def sign(self, data: bytes) -> bytes:
        self.asked.append(data)
        if len(self.asked) > self.times:
            raise InfrastructureError("the device is gone", code="signer-failed")
        return ALICE.sign(data)


@pytest.mark.parametrize("kind", ["ed25519", "p256"])
def test_a_bundle_signed_by_an_agent_verifies(
    world: SmallWorld, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_key(tmp_path / "key", kind)  # type: ignore[arg-type]
    with ssh_agent(tmp_path) as address:
        add_key(address, tmp_path / "key")
        monkeypatch.setenv("SSH_AUTH_SOCK", address)
        launched = world.launch(signer=find_signer(tmp_path / "key.pub"))
    policy = single_key_policy(load_public_file(tmp_path / "key.pub"))
    assert verify(launched.bundle, policy, NOW).verdict == "verified"


def test_a_signer_that_refuses_is_found_out_before_anything_runs(world: SmallWorld) -> None:
    with pytest.raises(InfrastructureError, match="the device is gone"):
        world.launch(signer=Refusing(0))
    assert world.engine.tasks == []
    assert not list(world.home.root.glob("runs/*/*/attempt.json"))


def test_a_signer_that_refuses_is_found_out_where_the_lock_is_signed_already(world: SmallWorld) -> None:
    attestation = (world.launch().bundle / LOCK_ATTESTATION).read_bytes()
    before = len(world.engine.tasks)
    with pytest.raises(InfrastructureError, match="the device is gone"):
        world.launch(signer=Refusing(0), lock_attestation=attestation)
    assert len(world.engine.tasks) == before
    launched = world.launch(signer=ALICE, lock_attestation=attestation)
    assert (launched.bundle / LOCK_ATTESTATION).read_bytes() == attestation


def test_each_statement_is_signed_once(world: SmallWorld) -> None:
    signer = Refusing(3)
    world.launch(signer=signer)
    assert len(set(signer.asked)) == len(signer.asked) == 3


def test_a_signer_that_fails_at_the_end_costs_no_second_run(world: SmallWorld) -> None:
    with pytest.raises(InfrastructureError, match="the device is gone"):
        world.launch(signer=Refusing(1))
    assert len(world.engine.tasks) == 1
    launched = world.launch(signer=ALICE)
    assert len(world.engine.tasks) == 1
    assert verify(launched.bundle, single_key_policy(ALICE.public), NOW).verdict == "verified"


def with_passphrase(text: bytes, use: Callable[[int], None]) -> None:
    reading, writing = os.pipe()
    os.write(writing, text)
    os.close(writing)
    try:
        use(reading)
    finally:
        os.close(reading)


def test_a_launch_under_an_encrypted_key_asks_first(
    world: SmallWorld, tmp_path: Path, evalctl: Evalctl
) -> None:
    public = new_key(tmp_path / "key", "ed25519", b"secret")
    world.write()

    def launch(reading: int) -> None:
        done = evalctl("launch", world.file, "--key", tmp_path / "key", "--passphrase-fd", reading)
        assert done.code == 0, done.err
        assert evalctl("verify", done.out.split()[-1], "--key", tmp_path / "key.pub").code == 0

    def refused(reading: int) -> None:
        done = evalctl("launch", world.file, "--key", tmp_path / "key", "--passphrase-fd", reading)
        assert done.code == 2
        assert "does not open" in done.err

    with_passphrase(b"wrong\n", refused)
    assert world.engine.tasks == []
    with_passphrase(b"secret\n", launch)
    assert evalctl("plan", world.file, "--key", tmp_path / "key").code == 0
    assert public.fingerprint


def test_the_homes_own_key_may_be_encrypted(world: SmallWorld) -> None:
    world.home.default_key.unlink()
    world.home.default_key.with_name("default.pub").unlink()
    new_key(world.home.default_key, "p256", b"secret")

    def use(reading: int) -> None:
        signer = read_signer(world.home, None, reading)
        assert signer.public.is_signature_of(b"data", signer.sign(b"data"))

    def refused(reading: int) -> None:
        with pytest.raises(MalformedError):
            read_signer(world.home, None, reading)

    with_passphrase(b"secret", use)
    with_passphrase(b"", refused)
