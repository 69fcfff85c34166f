import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.errors import EvalctlError, InfrastructureError, MalformedError
from launcher.signing.agent import AgentSigner, find_in_agent
from launcher.signing.signers import find_signer, signs_surely
from launcher.signing.wire import string
from launcher.trust.dsse import verify_envelope
from launcher.trust.key_files import load_public_file, new_key
from launcher.trust.sigstore import open_envelope, seal
from tests.signing.agents import add_key, false_agent, ssh_agent, tell
from tests.trust.sealed_bundle import ALICE, p256_signer

P256 = p256_signer(5).public
KINDS = pytest.mark.parametrize("kind", ["ed25519", "p256"])


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ssh_agent(tmp_path_factory.mktemp("agent")) as address:
        yield address


def in_agent(folder: Path, agent: str, kind: str, *options: str) -> Path:
    """Make a key, put its private half into the agent and nowhere else; return the public one's file."""
    new_key(folder / "key", kind)  # type: ignore[arg-type]
    add_key(agent, folder / "key", *options)
    (folder / "key").unlink()
    return folder / "key.pub"


@KINDS
def test_a_public_key_signs_by_the_agent_that_holds_its_private_half(
    tmp_path: Path, agent: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = in_agent(tmp_path, agent, kind)
    monkeypatch.setenv("SSH_AUTH_SOCK", agent)
    signer = find_signer(path)
    assert signer.public == load_public_file(path)
    assert not signs_surely(signer)
    for number in range(20):  # of ECDSA's numbers, one in two has its highest bit set
        statement = {"n": str(number)}
        assert verify_envelope(open_envelope(seal(statement, signer)), signer.public) == statement


def test_without_an_agent_the_private_key_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_key(tmp_path / "key")
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(MalformedError, match="is a public key") as caught:
        find_signer(tmp_path / "key.pub")
    assert f"`{tmp_path / 'key'}`" in str(caught.value.hint)


def test_a_key_that_the_agent_does_not_hold_is_said(
    tmp_path: Path, agent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_key(tmp_path / "other")
    monkeypatch.setenv("SSH_AUTH_SOCK", agent)
    with pytest.raises(InfrastructureError, match="does not hold") as caught:
        find_signer(tmp_path / "other.pub")
    assert caught.value.hint == f"ssh-add {tmp_path / 'other'}"


def test_an_agent_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="cannot be asked"):
        AgentSigner(ALICE.public, str(tmp_path / "none")).sign(b"data")
    with pytest.raises(InfrastructureError, match="cannot be asked"):
        AgentSigner(ALICE.public, "/" + "x" * 300).sign(b"data")


def test_a_locked_agent_refuses_and_an_opened_one_signs(tmp_path: Path) -> None:
    with ssh_agent(tmp_path) as address:
        signer = AgentSigner(load_public_file(in_agent(tmp_path, address, "ed25519")), address)
        tell(address, "-x", typed="secret")
        with pytest.raises(InfrastructureError, match="refused to sign"):
            signer.sign(b"data")
        tell(address, "-X", typed="secret")
        assert signer.public.is_signature_of(b"data", signer.sign(b"data"))


def test_more_than_an_agent_takes_is_not_sent(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="cannot sign this much"):
        AgentSigner(ALICE.public, str(tmp_path / "none")).sign(bytes(256 << 10))


@KINDS
def test_as_much_as_an_agent_takes_is_signed(tmp_path: Path, agent: str, kind: str) -> None:
    signer = AgentSigner(load_public_file(in_agent(tmp_path, agent, kind)), agent)
    most = (256 << 10) - len(signer.public.blob) - 13
    assert signer.public.is_signature_of(bytes(most), signer.sign(bytes(most)))
    with pytest.raises(InfrastructureError, match="cannot sign this much") as caught:
        signer.sign(bytes(most + 1))
    assert "a key file or by a program" in str(caught.value.hint)


def answers(address: str, answer: bytes | None, *, seconds: float = 20) -> None:
    signer = AgentSigner(ALICE.public, address, seconds)
    with false_agent(address, lambda _: answer):
        for ask in (signer.holds, lambda: signer.sign(b"data")):
            with pytest.raises(InfrastructureError):
                ask()


def test_an_agent_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    began = time.monotonic()
    answers(str(tmp_path / "agent"), None, seconds=0.2)
    assert time.monotonic() - began < 15


GOOD = b"\x0e" + string(string(b"ssh-ed25519") + string(ALICE.sign(b"data")))


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff" + bytes(64),
        b"\0\0\0\x09\x0e",
        string(b"\x05"),
        string(b"\x0c" + b"\xff" * 4),
        string(b"\x0c\0\0\0\1"),
        string(GOOD + b"\0"),
        string(b"\x0e" + string(string(b"ssh-rsa") + string(b"x"))),
        string(b"\x0e" + string(string(b"ssh-ed25519") + string(ALICE.sign(b"datA")))),
        string(b"\x0e" + string(string(b"ssh-ed25519") + string(ALICE.sign(b"data")) + b"\0")),
    ],
)
def test_an_answer_that_is_none_is_refused(tmp_path: Path, answer: bytes) -> None:
    answers(str(tmp_path / "agent"), answer)


def test_the_right_answer_is_taken(tmp_path: Path) -> None:
    address = str(tmp_path / "agent")
    with false_agent(address, lambda _: string(GOOD)):
        assert AgentSigner(ALICE.public, address).sign(b"data") == ALICE.sign(b"data")


def test_whatever_bytes_an_agent_answers_only_our_error_is_raised(tmp_path: Path) -> None:
    address = str(tmp_path / "agent")
    answer = b""
    messages = st.binary(max_size=300) | st.builds(
        lambda kind, parts: string(bytes([kind]) + b"".join(parts)),
        st.sampled_from([5, 12, 14]),
        st.lists(st.binary(max_size=80) | st.binary(max_size=80).map(string), max_size=4),
    )
    signers = [AgentSigner(ALICE.public, address), AgentSigner(P256, address)]

    @settings(max_examples=200, deadline=None)
    @given(messages, st.sampled_from(signers))
    def ask(message: bytes, signer: AgentSigner) -> None:
        nonlocal answer
        answer = message
        with pytest.raises(EvalctlError):
            signer.sign(b"data")
        with suppress(EvalctlError):
            assert signer.holds() is False

    with false_agent(address, lambda _: answer):
        ask()


def test_a_p256_signature_with_numbers_below_one_is_refused(tmp_path: Path) -> None:
    address = str(tmp_path / "agent")
    for r, s in ((b"\0", b"\1"), (b"\xff", b"\1"), (b"", b"\1"), (b"\1", b"\x80")):
        numbers = string(string(b"ecdsa-sha2-nistp256") + string(string(r) + string(s)))
        message = string(b"\x0e" + numbers)
        with false_agent(address, lambda _, said=message: said), pytest.raises(InfrastructureError):
            AgentSigner(P256, address).sign(b"data")


def test_a_key_that_wants_confirmation_and_gets_none_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
    with ssh_agent(tmp_path) as address:
        path = in_agent(tmp_path, address, "ed25519", "-c")
        monkeypatch.setenv("SSH_AUTH_SOCK", address)
        signer = find_in_agent(load_public_file(path), str(path))
        with pytest.raises(InfrastructureError, match="refused to sign"):
            signer.sign(b"data")


def test_the_agents_of_these_tests_end(tmp_path: Path) -> None:
    with ssh_agent(tmp_path) as address:
        assert os.path.exists(address)  # noqa: PTH110
    done = subprocess.run(["ssh-add", "-l"], env={"SSH_AUTH_SOCK": address}, check=False, capture_output=True)
    assert done.returncode == 2
