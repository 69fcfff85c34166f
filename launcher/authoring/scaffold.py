"""A new evaluation's files as one value, and the one function that writes them: all of them or none."""

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from launcher.errors import InfrastructureError, MalformedError


class Scaffold(Struct, frozen=True):
    """Files by path inside the new folder, links by path, and what the ones to look at first are for."""

    files: Mapping[str, bytes]
    links: Mapping[str, str] = {}
    remarks: Mapping[str, str] = {}


def write_scaffold(
    scaffold: Scaffold, folder: Path, finish: Callable[[Path], None] = lambda folder: None
) -> None:
    """Write `scaffold` into `folder`, new or not, overwriting nothing; `finish` is given the staged files.

    They are put together out of sight and moved into place, so that a fault leaves none of them. Raises
    `MalformedError` (`already-there`) and `InfrastructureError` (`not-writable`).
    """
    require_room(scaffold, folder)
    try:
        _write(scaffold, folder, finish)
    except OSError as error:
        raise InfrastructureError(
            f"cannot write the new evaluation to `{folder}`",
            code="not-writable",
            context=error.strerror,
            hint="free some disk space, or name a folder that you may write",
        ) from error


def require_room(scaffold: Scaffold, folder: Path) -> None:
    """Raise `MalformedError` where `folder` already holds something that `scaffold` would write."""
    if folder.exists() and not folder.is_dir():
        raise MalformedError(
            f"`{folder}` is a file", code="already-there", hint="name a folder, new or without a blueprint"
        )
    taken = [name for name in _tops(scaffold) if os.path.lexists(folder / name)]
    if taken:
        raise MalformedError(
            f"`{folder}` already holds {', '.join(f'`{name}`' for name in taken)}",
            code="already-there",
            context="nothing is overwritten, and nothing was written",
            hint="name a new folder: `evalctl init DIR`",
        )


def _tops(scaffold: Scaffold) -> list[str]:
    return sorted({path.partition("/")[0] for path in (*scaffold.files, *scaffold.links)})


def _write(scaffold: Scaffold, folder: Path, finish: Callable[[Path], None]) -> None:
    is_new = not folder.exists()
    folder.parent.mkdir(parents=True, exist_ok=True)
    name = f".evalctl-init.{os.getpid()}"
    staging = folder.with_name(name) if is_new else folder / name
    staging.mkdir()
    try:
        _stage(scaffold, staging)
        finish(staging)
        if is_new:
            staging.rename(folder)
        else:
            _move_in(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _stage(scaffold: Scaffold, staging: Path) -> None:
    for name, data in scaffold.files.items():
        path = staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name, target in scaffold.links.items():
        (staging / name).symlink_to(target)


def _move_in(staging: Path, folder: Path) -> None:
    """Move every entry of `staging` into `folder`; what was moved goes back where one cannot be."""
    moved: list[str] = []
    try:
        for path in sorted(staging.iterdir()):
            _move(path, folder / path.name)
            moved.append(path.name)
    except BaseException:
        for name in moved:
            (folder / name).rename(staging / name)
        raise


def _move(path: Path, destination: Path) -> None:
    if os.path.lexists(destination):
        raise FileExistsError(errno.EEXIST, f"`{destination}` is there already")
    path.rename(destination)
