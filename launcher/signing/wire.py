"""SSH's data types on the wire (RFC 4251 section 5), read within bounds."""

from launcher.errors import InfrastructureError


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
