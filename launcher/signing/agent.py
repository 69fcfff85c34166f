"""Keys in `ssh-agent`: a public key names one, and the agent at SSH_AUTH_SOCK signs with its private half.

https://www.ietf.org/archive/id/draft-ietf-sshm-ssh-agent-05.html. The agent may be somebody else's program,
on another machine: its answers are bounded in bytes and time, and each signature is verified before use.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from launcher.errors import EvalctlError, InfrastructureError, MalformedError
from launcher.signing.wire import bad_answer, keys_in, signature_in, string
from launcher.trust.keys import PublicKey

_IDENTITIES, _IDENTITIES_ANSWER = 11, 12
_SIGN, _SIGN_ANSWER = 13, 14
# What OpenSSH's agent reads and writes at most.
_MOST_BYTES: Final = 256 << 10
# Long enough for a person to confirm a signature, or to touch a device.
_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class AgentSigner:
    """Sign with a key that an agent holds."""

    public: PublicKey
    address: str
    seconds: float = _SECONDS

    def sign(self, data: bytes) -> bytes:
        """Return the signature over `data`, once it was verified.

        Raises `InfrastructureError` where the agent is gone, refuses, or answers with something else.
        """
        request = bytes([_SIGN]) + string(self.public.blob) + string(data) + bytes(4)
        if len(request) > _MOST_BYTES:
            raise InfrastructureError(
                "an agent cannot sign this much",
                code="agent-failed",
                context=f"{len(data)} bytes are to be signed, and its messages have at most {_MOST_BYTES}",
                hint="sign with a key file or by a program (docs/keys.md), or keep fewer files",
            )
        kind, answer = self._ask(request)
        if kind != _SIGN_ANSWER:
            raise _refused(self.public)
        signature = signature_in(answer, self.public.algorithm)
        if not self.public.is_signature_of(data, signature):
            raise bad_answer("it is no signature by the key that was asked for")
        return signature

    def holds(self) -> bool:
        """Ask the agent whether it holds the key at all, which no person need confirm."""
        kind, answer = self._ask(bytes([_IDENTITIES]))
        if kind != _IDENTITIES_ANSWER:
            raise bad_answer("it does not list its keys")
        return self.public.blob in keys_in(answer)

    def _ask(self, request: bytes) -> tuple[int, bytes]:
        """Send one message and return the kind and the rest of the answer."""
        with _errors_said(self.address), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            deadline = time.monotonic() + self.seconds
            connection.settimeout(self.seconds)
            connection.connect(self.address)
            connection.sendall(string(request))
            size = int.from_bytes(_receive(connection, 4, deadline), "big")
            if not 1 <= size <= _MOST_BYTES:
                raise bad_answer(f"it would have {size} bytes")
            answer = _receive(connection, size, deadline)
        return answer[0], answer[1:]


def find_in_agent(public: PublicKey, name: str) -> AgentSigner:
    """Return what signs with the private half of `public`; `name` is the public key's file.

    Raises `MalformedError` where there is no agent, `InfrastructureError` where it does not hold the key.
    """
    address = os.environ.get("SSH_AUTH_SOCK")
    if not address:
        raise MalformedError(
            f"`{name}` is a public key, and there is no ssh-agent that could hold its private half",
            code="no-agent",
            context="SSH_AUTH_SOCK is not set",
            hint=f"name the private key beside it: `{name.removesuffix('.pub')}`, or start an agent",
        )
    signer = AgentSigner(public, address)
    if not signer.holds():
        raise InfrastructureError(
            f"ssh-agent does not hold the private half of `{name}`",
            code="not-in-agent",
            context=f"{public.fingerprint} is not among its keys",
            hint=f"ssh-add {name.removesuffix('.pub')}",
        )
    return signer


def _receive(connection: socket.socket, size: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < size:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        part = connection.recv(min(size - len(data), 1 << 16))
        if not part:
            raise bad_answer("it ended early")
        data += part
    return bytes(data)


@contextmanager
def _errors_said(address: str) -> Iterator[None]:
    try:
        yield
    except EvalctlError:
        raise
    except TimeoutError as error:
        raise InfrastructureError(
            "ssh-agent did not answer in time",
            code="agent-failed",
            hint="confirm the signature where the agent asks for it, and type the same command again",
        ) from error
    except (OSError, ValueError) as error:
        raise InfrastructureError(
            "ssh-agent cannot be asked",
            code="agent-failed",
            context=f"`{address}`: {getattr(error, 'strerror', None) or error}",
            hint="see whether `ssh-add -l` works with the agent at SSH_AUTH_SOCK",
        ) from error


def _refused(public: PublicKey) -> InfrastructureError:
    return InfrastructureError(
        "ssh-agent refused to sign",
        code="agent-failed",
        context=f"with the key {public.fingerprint}",
        hint="see whether it is locked (`ssh-add -X`), and whether the key is still there (`ssh-add -l`)",
    )
