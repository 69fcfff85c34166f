"""Import: make a bundle, signed by the importer, of each task in the logs of another harness."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from launcher import __version__
from launcher.canonical import canonical_bytes
from launcher.environment.facts import Fact, environment_bytes
from launcher.environment.host import launcher_commit
from launcher.environment.sbom import empty_sbom_bytes
from launcher.exchange.found_logs import find_logs
from launcher.exchange.measured import SEEDS, Measured, measure
from launcher.metrics.confusion import confusion
from launcher.metrics.evaluation import sample_counts
from launcher.metrics.judgement import combine_verdicts
from launcher.runs.events import events_bytes, now, sample_events
from launcher.spec import bundle
from launcher.spec.claims import evaluation_result
from launcher.spec.imported import ORIGIN
from launcher.spec.predicates import (
    IMPORT_BUILD_TYPE,
    IMPORTED_TYPE,
    LOCAL_BUILDER,
    Builder,
    Mark,
    Provenance,
)
from launcher.spec.result import ReplicateOutcome, Result
from launcher.spec.statement import Statement, provenance_statement, result_statement
from launcher.store.attempts import Attempt, begin_attempt, finish_attempt, past_attempts
from launcher.store.bundles import is_intact, write_sums
from launcher.store.closing import close_dead_attempts
from launcher.store.files import write_new
from launcher.store.home import Home
from launcher.store.journal import bundle_of, exclusive
from launcher.trust.keys import Signer
from launcher.trust.sigstore import seal


class Importer(Struct, frozen=True):
    """Where bundles go and who signs them."""

    home: Home
    signer: Signer


class ImportedBundle(Struct, frozen=True):
    """One bundle in the store, and whether it was there before."""

    task: str
    path: Path
    reused: bool


def import_logs(places: Sequence[Path], importer: Importer) -> list[ImportedBundle]:
    """Return one bundle for each task in the logs at `places`; all are read before one is written.

    Raises `MalformedError` where a log cannot be read or its run did not succeed.
    """
    measured = [measure(found) for place in places for found in find_logs(place)]
    return [_bundle(one, importer) for one in measured]


def _bundle(measured: Measured, importer: Importer) -> ImportedBundle:
    lock, home = measured.imported.lock, importer.home
    with exclusive(home, lock.digest, lambda: None):
        close_dead_attempts(home, held=lock.digest)
        if (known := _finished(importer, lock.digest)) is not None:
            return ImportedBundle(measured.imported.task, known, reused=True)
        facts = {
            "name": measured.imported.suite.name,
            "signer": importer.signer.public.fingerprint,
            "runtime": None,
            "origin": ORIGIN,
            "began": now(),
            "marks": list(_marks(measured)),
        }
        with begin_attempt(home, lock.digest, facts) as attempt:
            result = _result(measured, attempt)
            digest = _assemble(measured, result, importer.signer, attempt.staging)
            path = finish_attempt(home, attempt, digest, result)
    return ImportedBundle(measured.imported.task, path, reused=False)


def _finished(importer: Importer, lock: str) -> Path | None:
    """Return the bundle of these very logs by this signer, where it is whole."""
    for state in past_attempts(importer.home, lock):
        bundle = bundle_of(importer.home, state)
        own = state.get("signer") == importer.signer.public.fingerprint
        if bundle and own and state.get("outcome") == "succeeded" and is_intact(bundle):
            return bundle
    return None


def _assemble(measured: Measured, result: Result, signer: Signer, staging: Path) -> str:
    started = now()
    for name, data in _records(measured, result).items():
        write_new(staging / name, data)
    digests = write_sums(staging)
    (staging / bundle.ATTESTATIONS).mkdir()
    for name, statement in _statements(measured, result, digests, started).items():
        write_new(staging / name, seal(statement, signer))
    return f"sha256:{digests[bundle.SUMS]}"


def _result(measured: Measured, attempt: Attempt) -> Result:
    imported, samples = measured.imported, measured.samples.samples
    table = confusion(samples)
    return Result(
        lock=imported.lock.digest,
        attempt=attempt.number,
        invocation_id=attempt.invocation_id,
        blueprint=imported.suite,
        status="succeeded",
        failure=None,
        verdict=combine_verdicts(measured.metrics),
        metrics=measured.metrics,
        tables={"confusion": table} if table else {},
        samples=sample_counts(samples),
        replicates=tuple(ReplicateOutcome(index, seed, "succeeded") for index, seed in enumerate(SEEDS)),
        deviations=measured.deviations,
        discrepancies=measured.discrepancies,
        marks=_marks(measured),
        origin=ORIGIN,
    )


def _marks(measured: Measured) -> tuple[Mark, ...]:
    return ("partial",) if measured.partial else ()


def _records(measured: Measured, result: Result) -> Mapping[str, bytes]:
    lock = measured.imported.lock
    told = {"source": "launcher", "step": "import", "detail": dict(measured.about)}
    return {
        bundle.BLUEPRINT: lock.blueprint.encode(),
        bundle.LOCK: lock.data,
        bundle.RESULT: canonical_bytes(result.as_json()) + b"\n",
        bundle.ENVIRONMENT: environment_bytes(_facts(measured)),
        bundle.SBOM: empty_sbom_bytes(),
        bundle.SAMPLES: measured.samples.data,
        bundle.EVENTS: events_bytes([told, *sample_events(measured.samples)]),
        bundle.RESOURCES: b"",
    }


def _facts(measured: Measured) -> Iterator[Fact]:
    """Yield what importer and harness are; what the harness ran on was not observed."""
    yield Fact("launcher.version", __version__, "host")
    yield Fact("launcher.commit", launcher_commit(), "host")
    for name, value in measured.about.items():
        yield Fact(f"harness.{name.replace('_', '-')}", value, "declared")


def _statements(
    measured: Measured, result: Result, digests: Mapping[str, str], started: str
) -> Mapping[str, dict[str, Any]]:
    imported, finished = measured.imported, max(started, now())
    builder = Builder(LOCAL_BUILDER, {"evalctl-launcher": __version__})
    provenance = Provenance(
        lock=imported.lock.digest,
        suite=imported.suite,
        dependencies=imported.dependencies,
        builder=builder,
        invocation_id=result.invocation_id,
        started_on=started,
        finished_on=finished,
        build_type=IMPORT_BUILD_TYPE,
    )
    own = Statement(((bundle.LOCK, digests[bundle.LOCK]),), IMPORTED_TYPE, imported.statement.as_json())
    return {
        bundle.PROVENANCE_ATTESTATION: provenance_statement(digests, provenance),
        bundle.RESULT_ATTESTATION: result_statement(digests, evaluation_result(result, builder, finished)),
        bundle.LOCK_ATTESTATION: own.as_json(),
    }
