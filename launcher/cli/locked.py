"""`--locked` and `--check`: a blueprint's lock stands beside it and is what the blueprint resolves to."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from launcher.cli.targets import Target, lock_path, read_target
from launcher.errors import CheckFailedError, InfrastructureError, MalformedError
from launcher.resolve import Choices, choices_of

Locked = Annotated[
    bool,
    typer.Option("--locked", help="Launch the lock beside the blueprint; exit 1 where it is not up to date."),
]


def read_locked(file: Path, blueprint_dir: Path | None) -> Target:
    """Return the lock beside the blueprint `file`; a lock is its own.

    Raises `MalformedError` where there is none, `CheckFailedError` where it is of another text.
    """
    target = read_target(file, blueprint_dir)
    if target.lock is not None:
        return target
    path = lock_path(file)
    if not path.exists():
        raise no_lock(file, path)
    locked = read_target(path, target.base)
    text_differs = locked.lock is None or locked.lock.blueprint.encode() != file.read_bytes()
    if text_differs or locked.lock is None or choices_of(locked.lock, locked.blueprint) != Choices():
        raise drifted(file, path)
    return locked


@contextmanager
def as_drift(file: Path, *, locked: bool) -> Iterator[None]:
    """Tell what was found to be another than a lock pins as `resolve --check` does, where that was asked."""
    try:
        yield
    except InfrastructureError as error:
        if not locked or error.code != "lock-drift":
            raise
        raise drifted(file, lock_path(file), error.context) from error


def no_lock(file: Path, path: Path) -> MalformedError:
    """Return the error for a blueprint without a lock beside it."""
    return MalformedError(
        f"there is no lock `{path}` to check",
        code="no-such-file",
        hint=f"write it with `evalctl resolve {file}`",
    )


def drifted(file: Path, path: Path, context: str | None = None) -> CheckFailedError:
    """Return the error for a lock that is not what its blueprint resolves to."""
    return CheckFailedError(
        f"`{path}` is not what the blueprint resolves to now",
        code="lock-drift",
        context=context,
        hint=f"look at what moved, then write it anew with `evalctl resolve {file}`",
    )
