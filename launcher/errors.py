"""Errors as a designed surface: what failed, what was expected and got, and the next command to type.

Every error that evalctl raises on purpose is an `EvalctlError`. A subclass exists only where a caller acts
differently: each one stands for one exit code of the command line.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple


class Problem(NamedTuple):
    """One fault in a text a person wrote, with its place (1-based line and column)."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class EvalctlError(Exception):
    """Say what failed; `context` says expected and got, `hint` the next command.

    `code` is a stable kebab-case name of the fault; `exit_status` is the process's exit code.
    """

    exit_status: ClassVar[int] = 4

    def __init__(
        self,
        message: str,
        *,
        code: str,
        context: str | None = None,
        hint: str | None = None,
        problems: Sequence[Problem] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.context = context
        self.hint = hint
        self.problems = tuple(problems)

    @property
    def in_words(self) -> str:
        """What failed and why, in one line for a reason or a verdict."""
        return f"{self.message} ({self.context})" if self.context else self.message

    def as_json(self) -> Mapping[str, Any]:
        """Return the object that `--json` prints on stderr under the key `error`."""
        body: dict[str, Any] = {
            "code": self.code,
            "message": self.message,
            "context": self.context,
            "hint": self.hint,
        }
        if self.problems:
            body["problems"] = [str(problem) for problem in self.problems]
        return body


class CheckFailedError(EvalctlError):
    """Something was checked and does not hold: tampering, a missed threshold, a failed candidate (exit 1)."""

    exit_status = 1


class MalformedError(EvalctlError):
    """The command line or a file a person wrote is not well-formed (exit 2)."""

    exit_status = 2


class TrustError(EvalctlError):
    """The bytes may be whole, but nobody this machine trusts vouches for them (exit 3)."""

    exit_status = 3


class InfrastructureError(EvalctlError):
    """The engine, the network, the disk or an input failed; there is no score (exit 4)."""

    exit_status = 4


class RequirementError(EvalctlError):
    """This machine cannot give or bound what the blueprint asks for (exit 6)."""

    exit_status = 6
