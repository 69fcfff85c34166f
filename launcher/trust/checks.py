"""One line of a verification: what was looked at, and how it stands."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from launcher.errors import EvalctlError


class Check(Struct, frozen=True):
    """One thing that was looked at, in the words of `verify --json`.

    `wants_signers`: it would be ok with the signatures of more keys that can sign today.
    """

    name: str
    status: Literal["ok", "failed", "skipped"]
    detail: str = ""
    wants_signers: bool = False


def checked(name: str, refuse: Callable[[], None]) -> Check:
    """Return how `refuse` went: `failed` with its error's words, or `ok`."""
    try:
        refuse()
    except EvalctlError as error:
        return failed(name, error)
    return Check(name, "ok")


def failed(name: str, error: EvalctlError) -> Check:
    """Return the check that `error` ended, with the first of its problems."""
    first = f": {error.problems[0]}" if error.problems else ""
    return Check(name, "failed", error.in_words + first)
