"""Launch: resolve, look for a finished run of the lock, and only else run one."""

from functools import partial

from msgspec.structs import replace

from launcher.errors import MalformedError
from launcher.resolve import require_same, resolve
from launcher.runs.events import EventLog
from launcher.runs.gpu_remarks import other_gpus
from launcher.runs.leftovers import reap_left_overs
from launcher.runs.request import Edges, Launched, LaunchRequest
from launcher.runs.site import admitted
from launcher.spec.blueprint import RUNTIMES
from launcher.spec.predicates import FINISHED_FAILURES
from launcher.store.attempts import past_attempts
from launcher.store.bundles import is_intact
from launcher.store.cache import Cache
from launcher.store.closing import close_dead_attempts, close_unmarked
from launcher.store.journal import bundle_of, exclusive

MAX_NOTE = 4000


def launch(request: LaunchRequest, edges: Edges) -> Launched:
    """Return the bundle of a finished run of the lock, or run it and return the new one.

    Raises `InfrastructureError`, `RequirementError` or `MalformedError` for what fails before the attempt
    starts; what fails later is in the bundle.
    """
    _refuse_long(request.note)
    request = admitted(request, edges.site)
    log = EventLog(edges.reporter)
    with log.step("resolve", "resolving the blueprint") as detail:
        settings = replace(request.settings, retried=partial(_log_retry, log))
        resolution = resolve(request.blueprint, Cache(edges.home.cache), settings, request.choices)
        detail["lock"] = resolution.lock.digest
    if request.lock is not None:
        require_same(resolution, request.lock)
    digest = resolution.lock.digest
    with exclusive(
        edges.home, digest, lambda: edges.reporter.stage("waiting for another launch of this lock")
    ):
        close_dead_attempts(edges.home, held=digest)
        close_unmarked(edges.home, digest)
        finished = None if request.rerun else find_finished(request, edges, digest)
        if finished is not None:
            reap_left_overs(edges.home, edges.connect, edges.reporter.stage, held=digest)
            return finished
        from launcher.runs.attempt import run_attempt

        return run_attempt(request, edges, resolution, log)


def _log_retry(log: EventLog, name: str, error: str) -> None:
    log.add("retry", detail={"input": name, "error": error})


def _refuse_long(note: str) -> None:
    if len(note) > MAX_NOTE:
        raise MalformedError(
            "the note is too long to be signed",
            code="note-too-long",
            context=f"expected at most {MAX_NOTE} characters, got {len(note)}",
            hint="keep long remarks in the blueprint's `rationale`, or beside the bundle",
        )


def find_finished(request: LaunchRequest, edges: Edges, lock: str) -> Launched | None:
    """Return the bundle that answers for `lock` without running it again, None when there is none.

    It is the first success, the same one for ever, however often the lock was run again or reproduced; one
    whose bytes were damaged in the store does not count.
    """
    wanted = edges.signer.public.fingerprint
    least = request.least_runtime
    answers = [
        state
        for state in past_attempts(edges.home, lock)
        if state.get("signer") == wanted
        and state.get("runtime") in RUNTIMES[RUNTIMES.index(least) :]
        and bundle_of(edges.home, state)
    ]
    succeeded = [state for state in answers if state.get("outcome") == "succeeded"]
    failed = [state for state in answers if state.get("failure") in FINISHED_FAILURES]
    for state in succeeded or reversed(failed):
        bundle = bundle_of(edges.home, state)
        if bundle is None:
            continue
        if not is_intact(bundle):
            edges.reporter.stage(f"the bundle of attempt {state['attempt']} is damaged in the store")
            continue
        stronger = f"it ran under {state['runtime']}, which is stronger than {least}"
        remarks: tuple[str, ...] = (stronger,) if state["runtime"] != least else ()
        remarks += other_gpus(bundle, request, edges.gpus, edges.site)
        return Launched(bundle, lock, state["attempt"], reused=True, remarks=remarks)
    return None
