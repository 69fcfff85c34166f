"""Close attempts that are over, their launcher's or a dead one's, and remove what was half-made."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from launcher.errors import EvalctlError
from launcher.spec.predicates import PASSING_FAILURES
from launcher.store.home import Home
from launcher.store.journal import (
    attempt_folders,
    bundle_of,
    held_if_free,
    lock_folder,
    read_state,
    write_state,
)
from launcher.store.liveness import dead_marks, living_folders, marked_folder, sweep_unborn
from launcher.store.removal import put_away, remove_tree
from launcher.store.staging import sweep_staged

# What the launcher leaves beside the files of a replicate that ended well (runs/kept.py).
RECORD = "record.json"
PROGRESS = "work"
STATE_FOLDER = "state"


def close_dead_attempts(home: Home, *, held: str = "") -> list[str]:
    """Mark attempts whose launcher died as interrupted; return their invocation ids.

    Their half-made folders are removed; what they left in an engine is the caller's to reap, and the mark
    stays until `forget_attempt`. An attempt at a lock that a launcher holds is that launcher's to close:
    this one's, where `held` is the lock's digest.
    """
    sweep_unborn(home)
    sweep_staged(home)
    dead = []
    for mark in dead_marks(home):
        folder = marked_folder(home, mark)
        with suppress(OSError), _owned(home, folder, held) as owned:
            if not owned:
                continue
            dead.append(mark.name)
            if folder is not None and folder.is_dir():
                _settle(home, folder, mark.name)
    return dead


def close_unmarked(home: Home, lock: str = "") -> None:
    """Close what a power cut left without its mark; call with the digest of the `lock` held, or for all."""
    if lock:
        _close_unmarked(home, lock_folder(home, lock))
        return
    for folder in sorted(home.runs.iterdir()) if home.runs.is_dir() else ():
        if any(_is_open(attempt) for attempt in attempt_folders(folder)):
            with held_if_free(folder) as owned:
                if owned:
                    _close_unmarked(home, folder)


def close_attempt(home: Home, folder: Path) -> None:
    """Close an attempt that is over; one whose bundle had already appeared in the store did finish.

    Replicates that ended well stay for the attempt that goes on, unless the lock has its answer.
    """
    if not folder.is_dir():
        return
    # First, so that a full disk has room for the journal.
    remove_tree(folder / "staging")
    state = read_state(folder)
    if state.get("outcome") == "unfinished":
        state = _ended(home, folder, state)
        write_state(folder, state)
    for temporary in folder.glob(".state.*"):
        temporary.unlink(missing_ok=True)
    if may_go_on(state):
        _remove_unrecorded(folder / PROGRESS)
    else:
        discard_progress(folder.parent)


def may_go_on(state: Mapping[str, Any]) -> bool:
    """Say whether a later attempt goes on with what the attempt of this journal had done."""
    return state.get("outcome") == "interrupted" or state.get("failure") in PASSING_FAILURES


def discard_progress(lock: Path) -> None:
    """Remove from a lock's folder what is only kept for a later attempt to go on with."""
    for folder in attempt_folders(lock):
        remove_tree(folder / PROGRESS)
    put_away(lock / STATE_FOLDER, Home(lock.parent.parent).trash)


def _ended(home: Home, folder: Path, state: Mapping[str, Any]) -> Mapping[str, Any]:
    if bundle_of(home, state) is not None:
        return {**state, "outcome": state.get("planned"), "step": "finished"}
    named = {"lock": f"sha256:{folder.parent.name}", "attempt": int(folder.name)}
    return {**named, **state, "outcome": "interrupted", "bundle": None}


def _remove_unrecorded(work: Path) -> None:
    for replicate in list(work.iterdir()) if work.is_dir() else ():
        if not (replicate / RECORD).is_file():
            remove_tree(replicate)
    with suppress(OSError):
        work.rmdir()


def _settle(home: Home, folder: Path, invocation_id: str) -> None:
    if folder.resolve().is_relative_to(home.runs.resolve()) and folder.name.isdigit():
        close_attempt(home, folder)
    elif folder == home.root / "sessions" / invocation_id:
        put_away(folder, home.trash)


@contextmanager
def _owned(home: Home, folder: Path | None, held: str) -> Iterator[bool]:
    """Yield whether this process may change what is in the folder of an attempt."""
    lock = folder.parent if folder is not None else None
    if lock is None or lock.parent != home.runs or lock == lock_folder(home, held) or not lock.is_dir():
        yield True
        return
    with held_if_free(lock) as owned:
        yield owned


def _close_unmarked(home: Home, lock: Path) -> None:
    over = [folder for folder in attempt_folders(lock) if _is_open(folder)]
    alive = living_folders(home) if over else frozenset()
    for folder in over:
        if folder not in alive:
            with suppress(OSError, EvalctlError):
                close_attempt(home, folder)


def _is_open(folder: Path) -> bool:
    return read_state(folder).get("outcome") == "unfinished"
