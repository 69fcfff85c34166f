"""One attempt, from the engine's first answer to the bundle in the store."""

import signal
import threading
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import replace

from launcher.engines.engine import Engine, EngineFacts
from launcher.ledger.book import Book
from launcher.resolve import Resolution
from launcher.runs.counted import journal_facts, record_attempt, settle, settle_after
from launcher.runs.events import EventLog, now
from launcher.runs.kept import KeptReplicates, take
from launcher.runs.leftovers import reap_dead
from launcher.runs.preparation import have_image, have_service_images, stop_on_signal
from launcher.runs.replicates import run_replicates
from launcher.runs.request import Edges, Launched, LaunchRequest
from launcher.runs.resuming import empty_states, require_room
from launcher.runs.secrets import require_secrets
from launcher.runs.services import required_profiles
from launcher.runs.shares import Machine, observe_shares
from launcher.runs.site import shortcomings, site_facts
from launcher.runs.tasks import RunPlan, profiles_of
from launcher.runs.way_out import egress_facts, way_out
from launcher.signing.signers import signs_surely
from launcher.store.attempts import Attempt, begin_attempt, finish_attempt
from launcher.store.cache import Cache
from launcher.store.closing import discard_progress
from launcher.store.journal import lock_folder

if TYPE_CHECKING:
    from launcher.runs.assemble import Signing
    from launcher.runs.scoring import Scored

_Run = tuple[Engine, RunPlan, EventLog]


class _Ready(Struct, frozen=True):
    """What was found able to run, before the attempt begins."""

    engine: Engine
    image: str
    service_images: Mapping[str, str]
    lacking: tuple[str, ...]
    machine: Machine
    secrets: Mapping[str, str]


def run_attempt(request: LaunchRequest, edges: Edges, resolution: Resolution, log: EventLog) -> Launched:
    """Run the lock once more and publish the bundle of what happened.

    Raises `InfrastructureError` or `RequirementError` for what fails before the attempt begins.
    """
    with ExitStack() as held:
        ready = _make_ready(request, edges, resolution, (log, held))
        if request.rerun:
            discard_progress(lock_folder(edges.home, resolution.lock.digest))
        profile, _ = profiles_of(request)
        require_room(edges.home, resolution.lock.digest, profile, len(request.blueprint.run.seeds))
        request = _surely_signed(request, edges, resolution)
        settle(edges.home)
        try:
            with begin_attempt(
                edges.home, resolution.lock.digest, _first_facts(request, edges, ready.engine.describe())
            ) as attempt:
                bundle = _run_and_publish(
                    request, edges, _planned(request, edges, ready, (resolution, attempt)), log
                )
        except BaseException:
            settle_after(edges)
            raise
    return Launched(bundle, resolution.lock.digest, attempt.number, reused=False, remarks=settle_after(edges))


def _make_ready(
    request: LaunchRequest, edges: Edges, resolution: Resolution, held: tuple[EventLog, ExitStack]
) -> _Ready:
    """Ask the engine, reap what is left over, and have the images; the stack holds the engine."""
    log, stack = held
    profile, score_profile = profiles_of(request)
    secrets = require_secrets(request.blueprint, request.secrets)
    with log.step("engine", "asking the engine") as detail:
        engine = stack.enter_context(closing(edges.connect()))
        reap_dead(edges.home, lambda: engine, thorough=True, held=resolution.lock.digest)
        for each in required_profiles(request.blueprint, profile, score_profile):
            engine.require(each)
        lacking = shortcomings(engine.describe(), edges.site)
        machine = observe_shares(request, engine.describe(), edges.gpus, edges.site, edges.reporter.stage)
        detail["runtime"] = profile.runtime
    with log.step("image", "having the image in the engine"):
        image = have_image(engine, resolution)
        service_images = have_service_images(engine, resolution, image)
    return _Ready(engine, image, service_images, lacking, machine, secrets)


def _planned(
    request: LaunchRequest, edges: Edges, ready: _Ready, about: tuple[Resolution, Attempt]
) -> tuple[Engine, RunPlan]:
    """Return what runs, once the ledger has counted that it will."""
    resolution, attempt = about
    profile, score_profile = profiles_of(request)
    return ready.engine, RunPlan(
        resolution,
        attempt,
        ready.image,
        profile,
        ready.engine.describe(),
        edges.home.label,
        score_profile=score_profile,
        lacking=ready.lacking,
        service_images=ready.service_images,
        machine=ready.machine,
        secrets=ready.secrets,
        counted=record_attempt(edges, request, resolution, attempt),
    )


def _run_and_publish(
    request: LaunchRequest, edges: Edges, planned: tuple[Engine, RunPlan], log: EventLog
) -> Path:
    """Run, score and publish; return the bundle."""
    engine, plan = planned
    plan, scored, signing = _run_and_score(request, edges, (engine, plan, log))
    bundle = _publish(edges, plan, log, (scored, signing))
    if scored.failure is None:
        empty_states(engine, plan)
    return bundle


def _surely_signed(request: LaunchRequest, edges: Edges, resolution: Resolution) -> LaunchRequest:
    """Have the lock signed before anything runs, where it is not sure that there will be a signature.

    A person, an agent, a device or a program may refuse, and it would be a pity about the hours between. A
    key at hand signs beside the container.
    """
    if signs_surely(edges.signer):
        return request
    from launcher.runs.assemble import seal_lock

    edges.reporter.stage("signing the lock")
    attestation = seal_lock(resolution.lock, edges.signer)
    return replace(request, lock_attestation=request.lock_attestation or attestation)


def _first_facts(request: LaunchRequest, edges: Edges, engine: EngineFacts) -> dict[str, Any]:
    """Return what the journal says of an attempt from its beginning."""
    return {
        "name": request.blueprint.about.name,
        "signer": edges.signer.public.fingerprint,
        "runtime": request.least_runtime,
        "engine": f"{engine.name} {engine.version}",
        "replicates": len(request.blueprint.run.seeds),
        "began": now(),
    }


def _run_and_score(request: LaunchRequest, edges: Edges, run: _Run) -> "tuple[RunPlan, Scored, Signing]":
    """Run the containers, and beside them prepare what does not wait for their outcome."""
    engine, plan, log = run
    cancel = threading.Event()
    keeper = KeptReplicates(plan, take(plan))
    plan.attempt.record("run", taken=keeper.taken_from, counted=journal_facts(plan.counted))
    count = len(plan.seeds)
    text = "running the evaluation" if count == 1 else f"running {count} replicates"
    if keeper.taken:
        text = f"running {count - len(keeper.taken)} of {count} replicates: the others had ended well"
    if plan.resolution.pins.predictions is not None:
        text = "scoring the predictions again"
    with stop_on_signal(cancel, signal.SIGHUP), log.step("replicates", text), way_out(plan) as proxy:
        runs, signing = run_replicates(engine, keeper, log, cancel, lambda: _prepare(request, edges, run))
    signing = replace(signing, facts=(*signing.facts, *egress_facts(proxy, plan, log)))
    from launcher.runs.gpu_record import seen_after
    from launcher.runs.scoring import score

    plan, runs = seen_after(plan, runs)
    plan.attempt.record("score")
    with log.step("metrics", "computing the metrics"):
        return plan, score(plan, runs), signing


def _prepare(request: LaunchRequest, edges: Edges, run: _Run) -> "Signing":
    """Sign the lock, look at host and image; what is imported here costs nothing beside the container."""
    import launcher.runs.scoring  # noqa: F401 - so that it is there when the containers have ended
    from launcher.environment.host import observe_host, runtime_facts
    from launcher.runs.assemble import Signing, seal_lock
    from launcher.runs.contents import image_contents
    from launcher.store.redaction_keys import new_redaction_key

    engine, plan, log = run
    Book(edges.home).seal()
    attestation = request.lock_attestation or seal_lock(plan.resolution.lock, edges.signer)
    host = (*observe_host(), *runtime_facts(plan.profile.runtime), *site_facts(edges.site))
    contents = image_contents(engine, plan, Cache(edges.home.cache), log)
    salts = None
    if request.blueprint.redactable:
        salts = new_redaction_key(edges.home, plan.attempt.invocation_id)
    facts = (*host, *contents.facts)
    return Signing(edges.signer, attestation, facts, contents.sbom, request.note, salts)


def _publish(edges: Edges, plan: RunPlan, log: EventLog, made: "tuple[Scored, Signing]") -> Path:
    from launcher.runs.assemble import assemble

    scored, signing = made
    log.add("bundle", detail={})
    plan.attempt.record("bundle")
    edges.reporter.stage("signing the bundle")
    digest = assemble(plan, scored, signing, log)
    return finish_attempt(edges.home, plan.attempt, digest, scored.result)
