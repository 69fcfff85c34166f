"""Launch: resolve, look for a finished run, run in the sandbox, score, and publish a signed bundle."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from launcher.engines.engine import Engine
from launcher.engines.reaper import reap
from launcher.report.progress import Reporter
from launcher.resolve import Resolution, require_same, resolve
from launcher.runs.events import EventLog
from launcher.runs.replicates import run_replicates
from launcher.runs.tasks import RunPlan
from launcher.sources.inputs import FetchSettings
from launcher.spec.blueprint import Blueprint
from launcher.spec.lock import Lock
from launcher.spec.sandbox import SandboxProfile, profile_for
from launcher.store.attempts import (
    Attempt,
    begin_attempt,
    close_dead_attempts,
    exclusive,
    forget_attempt,
    is_alive,
    past_attempts,
)
from launcher.store.bundles import publish
from launcher.store.cache import Cache
from launcher.store.home import Home
from launcher.trust.keys import Signer

if TYPE_CHECKING:
    from launcher.runs.assemble import Signing
    from launcher.runs.scoring import Scored

Runtime = Literal["runc", "runsc"]
_Run = tuple[Engine, RunPlan, EventLog]

# What a later launch returns instead of running again (PRODUCT: a finished candidate failure is an answer).
FINISHED_FAILURES = frozenset({"candidate", "timeout", "out-of-memory", "disk", "sandbox"})

# Weakest first.
RUNTIMES: tuple[Runtime, ...] = ("runc", "runsc")


@dataclass(frozen=True, slots=True)
class LaunchRequest:
    """What to launch: a blueprint, and the lock it must give when a lock was named."""

    blueprint: Blueprint
    settings: FetchSettings
    lock: Lock | None = None
    lock_attestation: bytes | None = None
    rerun: bool = False
    runtime: Runtime | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Edges:
    """What touches the world: the home, the engine (connected when needed), the key, the screen."""

    home: Home
    connect: Callable[[], Engine]
    signer: Signer
    reporter: Reporter


@dataclass(frozen=True, slots=True)
class Launched:
    """A finished attempt's bundle; `reused` when it was there before, with what differs in `remarks`."""

    bundle: Path
    lock: str
    attempt: int
    reused: bool
    remarks: tuple[str, ...] = ()


def launch(request: LaunchRequest, edges: Edges) -> Launched:
    """Return the bundle of a finished run of the lock, or run it and return the new one.

    Raises `InfrastructureError`, `RequirementError` or `MalformedError` for what fails before the attempt
    starts; what fails later is in the bundle.
    """
    log = EventLog(edges.reporter)
    with log.step("resolve", "resolving the blueprint") as detail:
        resolution = resolve(request.blueprint, Cache(edges.home.cache), request.settings)
        detail["lock"] = resolution.lock.digest
    if request.lock is not None:
        require_same(resolution, request.lock)
    digest = resolution.lock.digest
    with exclusive(
        edges.home, digest, lambda: edges.reporter.stage("waiting for another launch of this lock")
    ):
        finished = None if request.rerun else find_finished(request, edges, digest)
        return finished or _attempt(request, edges, resolution, log)


def find_finished(request: LaunchRequest, edges: Edges, lock: str) -> Launched | None:
    """Return the bundle that answers for `lock` without running it again, None when there is none."""
    wanted = edges.signer.public.fingerprint
    least = _runtime(request)
    answers = [
        state
        for state in past_attempts(edges.home, lock)
        if state.get("signer") == wanted
        and state.get("runtime") in RUNTIMES[RUNTIMES.index(least) :]
        and _bundle_of(edges.home, state)
    ]
    succeeded = [state for state in answers if state.get("outcome") == "succeeded"]
    failed = [state for state in answers if state.get("failure") in FINISHED_FAILURES]
    if not succeeded and not failed:
        return None
    state = (succeeded or failed)[-1]
    bundle = _bundle_of(edges.home, state)
    if bundle is None:
        return None
    remarks: tuple[str, ...] = ()
    if state["runtime"] != least:
        remarks = (f"it ran under {state['runtime']}, which is stronger than {least}",)
    return Launched(bundle, lock, state["attempt"], reused=True, remarks=remarks)


def _bundle_of(home: Home, state: Mapping[str, Any]) -> Path | None:
    if not isinstance(state.get("bundle"), str):
        return None
    path = home.bundles / str(state["bundle"]).removeprefix("sha256:")
    return path if path.is_dir() else None


def reap_dead(home: Home, connect: Callable[[], Engine], *, thorough: bool = False) -> list[str]:
    """Close the attempts of launchers that died and remove their containers; return their ids.

    Only where there is one is the engine asked, unless `thorough`.
    """
    dead = close_dead_attempts(home)
    if dead or thorough:
        reap(connect(), home.label, lambda attempt: is_alive(home, attempt))
        for invocation_id in dead:
            forget_attempt(home, invocation_id)
    return dead


def _attempt(request: LaunchRequest, edges: Edges, resolution: Resolution, log: EventLog) -> Launched:
    profile = _profile(request)
    with log.step("engine", "asking the engine") as detail:
        engine = edges.connect()
        reap_dead(edges.home, lambda: engine, thorough=True)
        engine.require(profile)
        detail["runtime"] = profile.runtime
    with log.step("image", "having the image in the engine"):
        image = _image(engine, resolution)
    facts = {
        "name": request.blueprint.about.name,
        "signer": edges.signer.public.fingerprint,
        "runtime": profile.runtime,
    }
    with closing(engine), begin_attempt(edges.home, resolution.lock.digest, facts) as attempt:
        plan = RunPlan(resolution, attempt, image, profile, edges.home.label)
        scored, signing = _run_and_score(request, edges, (engine, plan, log))
        bundle = _publish(edges, (engine, plan, log), scored, signing)
    return Launched(bundle, resolution.lock.digest, attempt.number, reused=False)


def _profile(request: LaunchRequest) -> SandboxProfile:
    profile = profile_for(request.blueprint.resources, request.blueprint.sandbox)
    return replace(profile, runtime=_runtime(request))


def _runtime(request: LaunchRequest) -> Runtime:
    """Return the stronger of what the blueprint and the launch ask for."""
    asked = (request.blueprint.sandbox.runtime, request.runtime or RUNTIMES[0])
    return max(asked, key=RUNTIMES.index)


def _image(engine: Engine, resolution: Resolution) -> str:
    """Return the engine's id of the pinned image, loading it where the engine lacks it."""
    pins = resolution.image.pins
    return engine.find_image(pins) or engine.load_image(resolution.image.require_layout(), pins)


def _run_and_score(request: LaunchRequest, edges: Edges, run: _Run) -> "tuple[Scored, Signing]":
    """Run the containers, and beside them prepare what does not wait for their outcome."""
    engine, plan, log = run
    cancel = threading.Event()
    plan.attempt.record("run")
    count = len(plan.seeds)
    text = "running the evaluation" if count == 1 else f"running {count} replicates"
    with _stop_on_signal(cancel), log.step("replicates", text):
        runs, signing = run_replicates(
            engine, plan, log, cancel, lambda: _prepare(request, edges, plan.resolution.lock)
        )
    from launcher.runs.scoring import score

    plan.attempt.record("score")
    with log.step("score", "computing the metrics"):
        return score(plan, runs), signing


def _prepare(request: LaunchRequest, edges: Edges, lock: Lock) -> "Signing":
    """Sign the lock and look at the host; what is imported here costs nothing beside a running container."""
    import launcher.runs.scoring  # noqa: F401 - so that it is there when the containers have ended
    from launcher.environment.host import observe_host
    from launcher.runs.assemble import Signing, seal_lock

    attestation = request.lock_attestation or seal_lock(lock, edges.signer)
    return Signing(edges.signer, attestation, tuple(observe_host()), request.note)


def _publish(edges: Edges, run: _Run, scored: "Scored", signing: "Signing") -> Path:
    from launcher.runs.assemble import assemble

    engine, plan, log = run
    attempt: Attempt = plan.attempt
    attempt.record("bundle")
    edges.reporter.stage("signing the bundle")
    digest = assemble(plan, scored, signing, engine.describe(), log)
    ending = {"failure": scored.failure, "bundle": digest}
    outcome = "failed" if scored.failure else "succeeded"
    attempt.record("publish", **ending, planned=outcome)
    bundle = publish(edges.home, attempt.staging)
    attempt.record("finished", **ending, outcome=outcome)
    return bundle


@contextmanager
def _stop_on_signal(cancel: threading.Event) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into a stop of the containers, so that what happened is still recorded."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in old:
        signal.signal(number, lambda *_: cancel.set())
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
