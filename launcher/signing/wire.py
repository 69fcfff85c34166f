"""SSH's data types on the wire (RFC 4251 section 5) and an agent's answers in them, read within bounds."""

from typing import Final

from launcher.errors import InfrastructureError

_MOST_KEYS: Final = 2048


class Reader:
    """Takes strings and numbers off the front of a message; raises our error where it is cut short."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def number(self) -> int:
        """Return the next uint32."""
        return int.from_bytes(self._take(4), "big")

    def string(self) -> bytes:
        """Return the next string."""
        return self._take(self.number())

    def positive(self) -> int:
        """Return the next mpint, which must be positive."""
        value = int.from_bytes(self.string(), "big", signed=True)
        if value <= 0:
            raise bad_answer("a number is not positive")
        return value

    def end(self) -> None:
        """See that nothing is left."""
        if self._data:
            raise bad_answer("bytes are left over")

    def _take(self, size: int) -> bytes:
        if size > len(self._data):
            raise bad_answer("it is cut short")
        taken, self._data = self._data[:size], self._data[size:]
        return taken


def keys_in(answer: bytes) -> list[bytes]:
    """Return the public keys that an agent lists; the answer's kind was looked at before."""
    reader = Reader(answer)
    count = reader.number()
    if count > _MOST_KEYS:
        raise bad_answer(f"it lists {count} keys")
    return [(reader.string(), reader.string())[0] for _ in range(count)]


def signature_in(answer: bytes, algorithm: str) -> bytes:
    """Return an agent's signature as Sigstore has it, not verified: Ed25519 as it is, ECDSA as DER."""
    outer = Reader(answer)
    reader = Reader(outer.string())
    outer.end()
    if reader.string() != algorithm.encode():
        raise bad_answer("the signature is of another algorithm")
    raw = reader.string()
    reader.end()
    if algorithm == "ssh-ed25519":
        return raw
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    numbers = Reader(raw)
    r, s = numbers.positive(), numbers.positive()
    numbers.end()
    return encode_dss_signature(r, s)


def string(data: bytes) -> bytes:
    """Return `data` as a string on the wire."""
    return len(data).to_bytes(4, "big") + data


def bad_answer(what: str) -> InfrastructureError:
    """Return the error for an agent that does not keep to the protocol."""
    return InfrastructureError(
        "ssh-agent gave an answer that is none",
        code="agent-failed",
        context=what,
        hint="see whether `ssh-add -l` works with the agent at SSH_AUTH_SOCK",
    )
