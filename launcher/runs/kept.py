"""Replicates that ended well outlive their attempt: the next one takes them instead of running them.

That is so where the attempt was interrupted or its engine failed. Each has a record beside its files, written
by a rename before the replicate counts as ended, with the digest of every file: what is damaged is run again.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from launcher import __version__
from launcher.environment.facts import Fact
from launcher.environment.machine import processor_model
from launcher.errors import EvalctlError
from launcher.report.wording import numbered
from launcher.runs.events import now
from launcher.runs.replicates import Origin, ReplicateRun
from launcher.runs.tasks import RunPlan
from launcher.spec.machine_kind import machine_kind
from launcher.spec.services import is_open
from launcher.store.closing import PROGRESS, may_go_on
from launcher.store.journal import attempt_folders, read_state
from launcher.store.kept import read_record, write_record
from launcher.store.removal import remove_tree

MAX_ATTEMPTS = 50
_TOLD = ("attempt", "invocation_id", "began", "outcome", "failure")


class _Kept(msgspec.Struct, frozen=True):
    launcher: str
    runtime: str
    signer: str
    run: ReplicateRun


class KeptReplicates:
    """Gives each replicate its origin and keeps those that end well; safe to use from several threads."""

    def __init__(self, plan: RunPlan, taken: Mapping[int, ReplicateRun]) -> None:
        self.taken = taken
        self.plan = plan
        self._lock = threading.Lock()
        self._left = len(plan.seeds) - len(taken)

    @property
    def taken_from(self) -> Mapping[str, int]:
        """The attempts that the taken replicates are from, for the journal."""
        return {str(number): run.origin.attempt for number, run in self.taken.items() if run.origin}

    def ended(self, run: ReplicateRun, began: str) -> ReplicateRun:
        """Return a replicate of this attempt with its origin; one that ended well is kept."""
        attempt = self.plan.attempt
        origin = Origin(attempt.number, attempt.invocation_id, began, now(), _machine(self.plan))
        run = replace(run, origin=origin)
        with self._lock:
            self._left -= 1
            others_run = self._left > 0
        if run.failure is None:
            # Behind the last one the bundle follows at once, and syncs what it keeps.
            _keep(self.plan, run, durable=others_run)
        return run


def take(plan: RunPlan) -> Mapping[int, ReplicateRun]:
    """Move the replicates that earlier attempts ended well into this one, and return them by number.

    Only those of the same signer and runtime, and of this version of evalctl, are taken; the latest first.
    """
    if is_open(plan.resolution.blueprint):
        # What its hosts answered is on record with the attempt that asked them.
        return {}
    signer = _signer(plan)
    taken: dict[int, ReplicateRun] = {}
    for folder in reversed(_earlier(plan)):
        if not may_go_on(read_state(folder)):
            continue
        for place in _replicates(folder / PROGRESS, len(plan.seeds)):
            number = int(place.name)
            if number not in taken and (run := _read(plan, place, signer)):
                place.rename(plan.replicate(number))
                taken[number] = run
        with suppress(OSError):
            (folder / PROGRESS).rmdir()
    return taken


def taken_in_words(plan: RunPlan, runs: Sequence[ReplicateRun]) -> Iterator[str]:
    """Name the replicates that another attempt ran."""
    earlier: dict[int, list[ReplicateRun]] = {}
    for run in runs:
        if run.origin is not None and run.origin.attempt != plan.attempt.number:
            earlier.setdefault(run.origin.attempt, []).append(run)
    here = _machine(plan)
    for attempt, theirs in sorted(earlier.items()):
        elsewhere = any(run.origin and run.origin.machine != here for run in theirs)
        text = f"{numbered([run.replicate for run in theirs])} from attempt {attempt}, which was cut off"
        yield f"{text}; its machine was of another kind" if elsewhere else text


def attempts_fact(plan: RunPlan, runs: Sequence[ReplicateRun]) -> Fact:
    """Return the attempts at the lock in this home, up to this one, and which ran which replicate."""
    states = [read_state(folder) for folder in _earlier(plan)][-MAX_ATTEMPTS:]
    listed = [{name: state.get(name) for name in _TOLD} for state in (*states, _own(plan))]
    return Fact("launch.attempts", [{**one, **_share(one["attempt"], runs)} for one in listed], "host")


def _own(plan: RunPlan) -> Mapping[str, Any]:
    """Return this attempt's journal; how it ends is what the rest of the bundle says."""
    return {**read_state(plan.attempt.folder), "outcome": None, "failure": None}


def _share(attempt: object, runs: Sequence[ReplicateRun]) -> Mapping[str, Any]:
    """Return what one attempt gave the bundle."""
    own = [(run.replicate, run.origin) for run in runs if run.origin and run.origin.attempt == attempt]
    replicates = [
        {"replicate": number, "began": origin.began, "ended": origin.ended} for number, origin in own
    ]
    machine = {"machine": dict(own[0][1].machine)} if own else {}
    return {**machine, "replicates": replicates}


def _earlier(plan: RunPlan) -> list[Path]:
    """Return the folders of the attempts before this one, oldest first."""
    folder = plan.attempt.folder
    return [other for other in attempt_folders(folder.parent) if int(other.name) < plan.attempt.number]


def _machine(plan: RunPlan) -> Mapping[str, str]:
    """Return what kind of machine this is, and never which one; GPUs are on record for each container."""
    facts = {
        "host.cpu-model": _processor(),
        "engine.kernel": plan.engine.kernel,
        "engine.name": plan.engine.name,
        "engine.version": plan.engine.version,
        "sandbox.profile": {"runtime": plan.profile.runtime},
    }
    return {name: text for name, text in machine_kind(facts).items() if name != "gpu"}


@cache
def _processor() -> str:
    return processor_model() or "unknown"


def _signer(plan: RunPlan) -> str:
    return str(read_state(plan.attempt.folder).get("signer"))


def _keep(plan: RunPlan, run: ReplicateRun, *, durable: bool) -> None:
    """Record a replicate; a full disk costs only the record: is there room for a bundle? is asked next."""
    kept = _Kept(__version__, plan.profile.runtime, _signer(plan), run)
    with suppress(EvalctlError, OSError):
        write_record(plan.replicate(run.replicate), msgspec.to_builtins(kept), durable=durable)


def _replicates(work: Path, count: int) -> list[Path]:
    found = [place for place in work.iterdir() if place.name.isdigit()] if work.is_dir() else []
    return [place for place in found if int(place.name) < count]


def _read(plan: RunPlan, place: Path, signer: str) -> ReplicateRun | None:
    """Return the replicate in `place`, None where it is damaged or not what this attempt would run."""
    try:
        kept = msgspec.convert(read_record(place), _Kept)
    except msgspec.ValidationError:
        remove_tree(place)
        return None
    same = (kept.launcher, kept.runtime, kept.signer) == (__version__, plan.profile.runtime, signer)
    number = int(place.name)
    fits = (kept.run.replicate, kept.run.seed, kept.run.failure) == (number, plan.seeds[number], None)
    return kept.run if same and fits else None
