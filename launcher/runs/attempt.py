"""One attempt, from the engine's first answer to the bundle in the store."""

import signal
import threading
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from launcher.runs.shares import observe_shares
from launcher.runs.site import shortcomings, site_facts
from launcher.runs.tasks import RunPlan, profiles_of
from launcher.runs.way_out import egress_facts, way_out
from launcher.signing.signers import signs_surely
from launcher.store.attempts import begin_attempt, finish_attempt
from launcher.store.cache import Cache
from launcher.store.closing import discard_progress
from launcher.store.journal import lock_folder

if TYPE_CHECKING:
    from launcher.runs.assemble import Signing
    from launcher.runs.scoring import Scored

_Run = tuple[Engine, RunPlan, EventLog]


def run_attempt(request: LaunchRequest, edges: Edges, resolution: Resolution, log: EventLog) -> Launched:
    """Run the lock once more and publish the bundle of what happened.

    Raises `InfrastructureError` or `RequirementError` for what fails before the attempt begins.
    """
    profile, score_profile = profiles_of(request)
    secrets = require_secrets(request.blueprint, request.secrets)
    with log.step("engine", "asking the engine") as detail:
        engine = edges.connect()
        reap_dead(edges.home, lambda: engine, thorough=True, held=resolution.lock.digest)
        for each in required_profiles(request.blueprint, profile, score_profile):
            engine.require(each)
        lacking = shortcomings(engine.describe(), edges.site)
        machine = observe_shares(request, engine.describe(), edges.gpus, edges.site, edges.reporter.stage)
        detail["runtime"] = profile.runtime
    with log.step("image", "having the image in the engine"):
        image = have_image(engine, resolution)
        service_images = have_service_images(engine, resolution, image)
    if request.rerun:
        discard_progress(lock_folder(edges.home, resolution.lock.digest))
    require_room(edges.home, resolution.lock.digest, profile, len(request.blueprint.run.seeds))
    request = _surely_signed(request, edges, resolution)
    first = _first_facts(request, edges, engine.describe())
    settle(edges.home)
    try:
        with closing(engine), begin_attempt(edges.home, resolution.lock.digest, first) as attempt:
            plan = RunPlan(
                resolution,
                attempt,
                image,
                profile,
                engine.describe(),
                edges.home.label,
                score_profile=score_profile,
                lacking=lacking,
                service_images=service_images,
                machine=machine,
                secrets=secrets,
                counted=record_attempt(edges, request, resolution, attempt),
            )
            plan, scored, signing = _run_and_score(request, edges, (engine, plan, log))
            bundle = _publish(edges, plan, log, (scored, signing))
            if scored.failure is None:
                empty_states(engine, plan)
    except BaseException:
        settle_after(edges)
        raise
    return Launched(bundle, resolution.lock.digest, attempt.number, reused=False, remarks=settle_after(edges))


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
