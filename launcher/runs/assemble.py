"""Put the bundle together in the attempt's staging folder, and sign it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct, to_builtins

from launcher import __version__
from launcher.canonical import canonical_bytes
from launcher.digest import sha256_hex
from launcher.engines.engine import ContainerOutcome
from launcher.environment.facts import Fact, environment_bytes, image_facts, service_image_facts
from launcher.errors import InfrastructureError
from launcher.runs.counted import ledger_parameters
from launcher.runs.events import EventLog, events_bytes, now
from launcher.runs.gpu_record import share_facts
from launcher.runs.kept import attempts_fact
from launcher.runs.resources import Used, loaded_objects, resources_bytes
from launcher.runs.resuming import state_facts
from launcher.runs.scoring import Scored
from launcher.runs.services import Place, service_folder
from launcher.runs.tasks import RunPlan
from launcher.spec import bundle
from launcher.spec.claims import dependencies, evaluation_result
from launcher.spec.commitments import SaltKey
from launcher.spec.lock import Lock, pins_from
from launcher.spec.predicates import LOCAL_BUILDER, Builder, LockStatement, Provenance, Suite
from launcher.spec.probe import ProbeReport
from launcher.spec.statement import lock_statement, provenance_statement, result_statement
from launcher.store.bundles import write_sums
from launcher.store.files import copy_new, write_new
from launcher.trust.keys import Signer
from launcher.trust.sigstore import seal


class Signing(Struct, frozen=True):
    """Who signs, the attestation under which the lock is launched, what was observed, and a note.

    `salts` is there where the bundle is to be redactable.
    """

    signer: Signer
    lock_attestation: bytes
    facts: tuple[Fact, ...]
    sbom: bytes
    note: str = ""
    salts: SaltKey | None = None


def assemble(plan: RunPlan, scored: Scored, signing: Signing, log: EventLog) -> str:
    """Write every file of the bundle into `plan.attempt.staging` and return the bundle's digest."""
    staging = plan.attempt.staging
    _write_kept_files(plan, scored, staging)
    facts = [*signing.facts, *_run_facts(plan), *_process_facts(scored), *_probe_facts(scored)]
    facts += [attempts_fact(plan, scored.runs), *state_facts(plan), *share_facts(plan, scored.runs)]
    for name, data in _records(plan, scored, (facts, signing.sbom), log).items():
        _refuse_secrets(plan, name, data)
        write_new(staging / name, data)
    if signing.salts is not None:
        from launcher.runs.committing import write_commitments

        write_commitments(staging, plan.resolution.blueprint.metrics, signing.salts)
    digests = write_sums(staging)
    (staging / bundle.ATTESTATIONS).mkdir()
    for name, data in _attestations(plan, scored, signing, digests, log).items():
        write_new(staging / name, data)
    return f"sha256:{digests[bundle.SUMS]}"


def _refuse_secrets(plan: RunPlan, name: str, data: bytes) -> None:
    """Raise `InfrastructureError` rather than sign a record that holds a secret, however it got there."""
    if plan.secrets and (secret := plan.masker.found(data)):
        raise InfrastructureError(
            f"`{name}` would hold the secret `{secret}`, so there is no bundle",
            code="secret-in-bundle",
            hint="see that neither blueprint nor evaluation writes it down",
        )


def _records(
    plan: RunPlan, scored: Scored, observed: tuple[list[Fact], bytes], log: EventLog
) -> Mapping[str, bytes]:
    lock = plan.resolution.lock
    facts, sbom = observed
    return {
        bundle.BLUEPRINT: lock.blueprint.encode(),
        bundle.LOCK: lock.data,
        bundle.RESULT: canonical_bytes(scored.result.as_json()) + b"\n",
        bundle.ENVIRONMENT: environment_bytes(facts),
        bundle.SBOM: sbom,
        bundle.SAMPLES: scored.samples,
        bundle.EVENTS: events_bytes([*log.events(), *scored.events]),
        bundle.RESOURCES: resources_bytes([*_containers(scored)]),
    }


def _containers(scored: Scored) -> Iterator[Used]:
    for run in scored.runs:
        for phase, outcome in run.outcomes:
            yield Used(run.replicate, phase, outcome)
        for service in run.services:
            if service.outcome:
                yield Used(run.replicate, service.phase, service.outcome, service.name)


def _run_facts(plan: RunPlan) -> Iterator[Fact]:
    pins, inputs = plan.resolution.image.pins, plan.resolution.blueprint.inputs
    for name, value in to_builtins(plan.engine).items():
        yield Fact(f"engine.{name.replace('_', '-')}", value, "engine")
    yield Fact("image.id", plan.image, "engine")
    yield from image_facts(pins)
    yield Fact("sandbox.profile", plan.profile.as_identity(), "engine")
    for name, image in plan.resolution.services.items():
        yield Fact(f"service.{name}.image.id", plan.service_images[name], "engine")
        yield from service_image_facts(name, image.pins)
    for item in inputs:
        yield Fact(f"input.{item.name}.license", item.license, "declared")


def _process_facts(scored: Scored) -> Iterator[Fact]:
    """Yield what was seen from this host of the processes that ran; nothing where they are out of sight."""
    loaded = loaded_objects(outcome for run in scored.runs for _, outcome in run.outcomes)
    if loaded.looks:
        yield Fact("process.shared-objects", to_builtins(loaded), "host")


def _probe_facts(scored: Scored) -> Iterator[Fact]:
    """Yield, for each phase and service, what the probe saw, with the replicates that saw the same."""
    seen: dict[str, list[tuple[ProbeReport, list[int]]]] = {}
    for name, replicate, outcome in _probed(scored):
        reports = seen.setdefault(name, [])
        same = [numbers for report, numbers in reports if report == outcome.probe]
        if same:
            same[0].append(replicate)
        elif outcome.probe is not None:
            reports.append((outcome.probe, [replicate]))
    for name, reports in seen.items():
        listed = [{"replicates": numbers, "report": report.as_json()} for report, numbers in reports]
        yield Fact(f"probe.{name}", listed, "probe")


def _probed(scored: Scored) -> Iterator[tuple[str, int, ContainerOutcome]]:
    for run in scored.runs:
        for phase, outcome in run.outcomes:
            yield phase, run.replicate, outcome
        for service in run.services:
            if service.outcome:
                yield f"service.{service.name}", run.replicate, service.outcome


def _write_kept_files(plan: RunPlan, scored: Scored, staging: Path) -> None:
    for run in scored.runs:
        for phase, _ in run.outcomes:
            _copy_logs(plan.logs(run.replicate, phase), staging, f"{phase}-{run.replicate}")
        for service in run.services:
            folder = service_folder(Place(plan, run.replicate, service.phase), service.name) / "logs"
            _copy_logs(folder, staging, f"service-{service.name}-{service.phase}-{run.replicate}")
    for kept in scored.kept:
        copy_new(kept.path, staging / kept.place)
    if plan.resolution.patch is not None:
        (staging / bundle.ARTIFACTS).mkdir(exist_ok=True)
        write_new(staging / bundle.DRAFT_PATCH, plan.resolution.patch)


def _copy_logs(folder: Path, staging: Path, name: str) -> None:
    for stream in ("stdout", "stderr"):
        captured = folder / stream
        if captured.is_file() and captured.stat().st_size:
            copy_new(captured, staging / bundle.LOGS / f"{name}.{stream}")


def _attestations(
    plan: RunPlan, scored: Scored, signing: Signing, digests: Mapping[str, str], log: EventLog
) -> Mapping[str, bytes]:
    # A clock that was set back while the attempt ran must not end it before it began.
    lock, finished = plan.resolution.lock, max(log.started, now())
    suite = Suite(lock.identity["name"], lock.identity["version"])
    builder = Builder(LOCAL_BUILDER, {"evalctl-launcher": __version__})
    provenance = Provenance(
        lock=lock.digest,
        suite=suite,
        dependencies=tuple(dependencies(plan.resolution.blueprint, pins_from(lock.identity))),
        builder=builder,
        invocation_id=plan.attempt.invocation_id,
        started_on=log.started,
        finished_on=finished,
        internal={
            "runtime": plan.profile.runtime,
            "note": signing.note,
            **ledger_parameters(plan.counted),
        },
    )
    result = evaluation_result(scored.result, builder, finished)
    return {
        bundle.PROVENANCE_ATTESTATION: seal(provenance_statement(digests, provenance), signing.signer),
        bundle.RESULT_ATTESTATION: seal(result_statement(digests, result), signing.signer),
        bundle.LOCK_ATTESTATION: signing.lock_attestation,
    }


def seal_lock(lock: Lock, signer: Signer) -> bytes:
    """Return the attestation of `lock.json` by `signer`."""
    suite = Suite(lock.identity["name"], lock.identity["version"])
    return seal(lock_statement(sha256_hex(lock.data), LockStatement(lock.digest, suite)), signer)
