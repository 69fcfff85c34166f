"""Find an attempt by what a person types: the start of its id, lock or bundle, or its name while it runs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from launcher.errors import MalformedError
from launcher.store.home import Home
from launcher.store.journal import attempt_folders, read_state
from launcher.store.liveness import is_alive

_SHORTEST: Final = 4


class Found(Struct, frozen=True):
    """An attempt's journal and folder; `alive` says that its launcher still runs."""

    state: Mapping[str, Any]
    folder: Path
    alive: bool


def attempts_in(home: Home) -> list[Found]:
    """Return every attempt in the home, by lock, then number."""
    locks = sorted(home.runs.iterdir()) if home.runs.is_dir() else []
    folders = [folder for lock in locks for folder in attempt_folders(lock)]
    return [_found(home, folder) for folder in folders]


def _found(home: Home, folder: Path) -> Found:
    state = read_state(folder)
    return Found(state, folder, is_alive(home, str(state.get("invocation_id") or "none")))


def attempt_called(home: Home, name: str) -> Found:
    """Return the attempt called `name`: `LOCK/NUMBER`, or the start of its id, lock or bundle.

    While it runs, its blueprint's name does as well. Of several at one lock it is the one that
    runs, else the last. Raises `MalformedError`.
    """
    start, _, number = name.removeprefix("sha256:").partition("/")
    attempts = attempts_in(home)
    found = [each for each in attempts if len(start) >= _SHORTEST and _is_called(each, start)]
    if number:
        found = [each for each in found if each.folder.name == number]
    found = found or [each for each in attempts if each.alive and each.state.get("name") == name]
    if not found:
        raise MalformedError(
            f"there is no attempt `{name}`",
            code="no-such-attempt",
            context=f"it is no id of one, nor a lock's or bundle's digest, {_SHORTEST} digits at least, "
            "nor the name of one that runs",
            hint="see what there is with `evalctl status` and `evalctl list`",
        )
    if len({each.folder.parent for each in found}) > 1:
        raise MalformedError(
            f"`{name}` may be any of {len(found)} attempts",
            code="attempt-ambiguous",
            context=", ".join(str(each.state.get("invocation_id")) for each in found[:8]),
            hint="type more digits, or those of an id that `evalctl status` shows",
        )
    return next((each for each in found if each.alive), found[-1])


def _is_called(found: Found, start: str) -> bool:
    names = (found.state.get("invocation_id"), found.folder.parent.name, found.state.get("bundle"))
    return any(str(each or "").removeprefix("sha256:").startswith(start) for each in names)
