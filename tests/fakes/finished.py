"""What a command line came to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finished:
    """What a command line came to."""

    code: int
    out: str
    err: str
