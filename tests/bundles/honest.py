"""Honest bundles: what a launch would have written, as a pure function of a few facts."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

from msgspec import Struct, field, structs

from launcher.canonical import canonical_bytes
from launcher.digest import sha256_hex, sums_text
from launcher.environment.facts import Fact, environment_bytes, image_facts
from launcher.environment.sbom import empty_sbom_bytes, sbom_bytes
from launcher.metrics.confusion import confusion
from launcher.metrics.evaluation import evaluate, sample_counts
from launcher.metrics.judgement import combine_verdicts
from launcher.metrics.reference import references
from launcher.runs.events import events_bytes
from launcher.spec import bundle
from launcher.spec.blueprint import Blueprint
from launcher.spec.claims import dependencies, evaluation_result
from launcher.spec.image import ImagePins
from launcher.spec.imported import Import, ImportedMetric, Source
from launcher.spec.lock import CodePins, InputPin, Lock, Pins, make_lock
from launcher.spec.predicates import (
    IMPORT_BUILD_TYPE,
    IMPORTED_TYPE,
    LOCAL_BUILDER,
    Builder,
    Failure,
    LockStatement,
    Provenance,
    Suite,
)
from launcher.spec.reading import read_blueprint
from launcher.spec.result import ReplicateOutcome, Result
from launcher.spec.sample import BundledSamples, Sample, bundle_samples
from launcher.spec.sandbox import profile_of_run
from launcher.spec.statement import Statement, lock_statement, provenance_statement, result_statement
from launcher.spec.widenings import widened
from launcher.trust.keys import Signer
from launcher.trust.sigstore import seal
from tests.bundles.keys import ALICE
from tests.fakes.probe import clean_report

Files = dict[str, bytes]

STARTED, FINISHED = "2026-11-20T11:00:00.000Z", "2026-11-20T11:00:05.250Z"
BUILDER = Builder(LOCAL_BUILDER, {"evalctl-launcher": "0.1.0"})
METRIC = 'name = "accuracy"\ndefinition = "accuracy@1"\nprimary = true\nthreshold = { min = 0.8 }'
KEPT: Mapping[str, bytes] = {"artifacts/0/plot.png": b"a picture\n", "logs/run-0.stdout": b"done\n"}

_IMAGE = ImagePins(
    None, "sha256:" + "11" * 32, "sha256:" + "12" * 32, ("sha256:" + "13" * 32,), "linux/amd64"
)
_INPUT = InputPin("44" * 32, 1234)
_BLUEPRINT = f"""schema = "evalctl/blueprint/v1"
[blueprint]
name = "acme/thirds"
version = "1.0.0"
[image]
ref = "oci:image@{_IMAGE.manifest}"
[code]
git = "code.bundle"
commit = "{"22" * 20}"
[[data]]
name = "items"
uri = "https://example.org/items.jsonl"
sha256 = "{_INPUT.sha256}"
[run]
command = ["answer"]
seeds = SEEDS
[sandbox]
SANDBOX
[[metric]]
METRIC
"""


class Run(Struct, frozen=True):
    """What the run was asked to do, and how it went."""

    seeds: tuple[int, ...] = (3, 4)
    metric: str = METRIC
    sandbox: str = ""
    tail: str = ""
    items: int = 20
    names: Callable[[int], str] = "item-{:04}".format
    failure: Failure | None = None
    attempt: int = 1
    invocation_id: str = "00000000000000000000000000000001"
    kept: Mapping[str, bytes] = field(default_factory=lambda: dict(KEPT))
    signer: Signer = ALICE
    lock_signer: Signer | None = None
    commit: Callable[[Files], bytes] | None = None
    internal: Mapping[str, str] = field(default_factory=dict)

    def but(self, **changes: Any) -> "Run":
        return structs.replace(self, **changes)


@cache
def _blueprint(seeds: tuple[int, ...], sandbox: str, metric: str, tail: str) -> Blueprint:
    text = _BLUEPRINT.replace("SEEDS", str(list(seeds))).replace("SANDBOX", sandbox)
    text = text.replace("METRIC", metric) + tail
    return read_blueprint(text.encode(), file=bundle.BLUEPRINT, definitions=references())


def launched(run: Run) -> Files:
    """Return every file of the bundle that a launch of `run` makes, by path."""
    blueprint = _blueprint(run.seeds, run.sandbox, run.metric, run.tail)
    pins = Pins(_IMAGE, CodePins("33" * 20, "34" * 32, {}), {"items": _INPUT}, egress="egress" in run.sandbox)
    lock = make_lock(blueprint, pins)
    samples = _samples(run)
    result = _result(run, lock, blueprint, samples)
    files = {
        bundle.BLUEPRINT: lock.blueprint.encode(),
        bundle.LOCK: lock.data,
        bundle.RESULT: canonical_bytes(result.as_json()) + b"\n",
        bundle.ENVIRONMENT: environment_bytes(_facts(run, blueprint)),
        bundle.SBOM: sbom_bytes(_IMAGE, None),
        bundle.SAMPLES: samples.data,
        bundle.EVENTS: events_bytes([{"source": "launcher", "at": STARTED, "step": "resolve"}]),
        bundle.RESOURCES: b"",
        **run.kept,
    }
    if run.commit:
        files[bundle.COMMITMENTS] = run.commit(files)
    suite = Suite(blueprint.about.name, blueprint.about.version)
    provenance = Provenance(
        lock=lock.digest,
        suite=suite,
        dependencies=tuple(dependencies(blueprint, pins)),
        builder=BUILDER,
        invocation_id=run.invocation_id,
        started_on=STARTED,
        finished_on=FINISHED,
        internal={"runtime": "runc", "note": "", **run.internal},
    )
    digests = with_sums(files)
    own = lock_statement(digests[bundle.LOCK], LockStatement(lock.digest, suite))
    return {**files, **_attestations(run, digests, (provenance, result, own))}


def imported(run: Run) -> Files:
    """Return a bundle that was made of foreign logs."""
    what = Import(
        harness="lm-eval",
        task="thirds",
        suite=Suite("lm-eval/thirds", "1.0.0"),
        metrics=(ImportedMetric("acc", "acc"),),
        sources=(Source("results.json", "55" * 32, 77),),
    )
    seeds = (0,)
    answers = [
        Sample(run.names(number), scores={"acc": float(number % 5 > 0)}) for number in range(run.items)
    ]
    samples = bundle_samples([answers], seeds)
    metrics = evaluate(what.blueprint.metrics, samples.samples, seeds)
    result = Result(
        lock=what.lock.digest,
        attempt=run.attempt,
        invocation_id=run.invocation_id,
        blueprint=what.suite,
        status="succeeded",
        failure=None,
        verdict=combine_verdicts(metrics),
        metrics=metrics,
        samples=sample_counts(samples.samples),
        replicates=(ReplicateOutcome(0, 0, "succeeded"),),
        origin="unsigned",
    )
    files = {
        bundle.BLUEPRINT: what.text.encode(),
        bundle.LOCK: what.lock.data,
        bundle.RESULT: canonical_bytes(result.as_json()) + b"\n",
        bundle.ENVIRONMENT: environment_bytes([Fact("launcher.version", "0.1.0", "host")]),
        bundle.SBOM: empty_sbom_bytes(),
        bundle.SAMPLES: samples.data,
        bundle.EVENTS: events_bytes([{"source": "launcher", "step": "import", "detail": {}}]),
        bundle.RESOURCES: b"",
    }
    provenance = Provenance(
        lock=what.lock.digest,
        suite=what.suite,
        dependencies=what.dependencies,
        builder=BUILDER,
        invocation_id=run.invocation_id,
        started_on=STARTED,
        finished_on=FINISHED,
        build_type=IMPORT_BUILD_TYPE,
    )
    digests = with_sums(files)
    own = Statement(((bundle.LOCK, digests[bundle.LOCK]),), IMPORTED_TYPE, what.statement.as_json()).as_json()
    return {**files, **_attestations(run, digests, (provenance, result, own))}


def with_sums(files: Files) -> dict[str, str]:
    """Add SHA256SUMS to the files outside `attestations/`; return the digest of each, that one included."""
    files[bundle.SUMS] = sums_text((name, sha256_hex(data)) for name, data in files.items())
    return {name: sha256_hex(data) for name, data in files.items()}


def _attestations(
    run: Run, digests: Mapping[str, str], said: tuple[Provenance, Result, dict[str, Any]]
) -> Files:
    provenance, result, own = said
    claims = evaluation_result(result, BUILDER, FINISHED)
    return {
        bundle.PROVENANCE_ATTESTATION: seal(provenance_statement(digests, provenance), run.signer),
        bundle.RESULT_ATTESTATION: seal(result_statement(digests, claims), run.signer),
        bundle.LOCK_ATTESTATION: seal(own, run.lock_signer or run.signer),
    }


def _samples(run: Run) -> BundledSamples:
    if run.failure:
        return bundle_samples([], ())
    return bundle_samples([_answers(run)] * len(run.seeds), run.seeds)


def _answers(run: Run) -> list[Sample]:
    """Answer each item right but every tenth; what is asked for is the item's number modulo three."""
    return [
        Sample(run.names(number), prediction=(number + (number % 10 == 9)) % 3, target=number % 3)
        for number in range(run.items)
    ]


def _result(run: Run, lock: Lock, blueprint: Blueprint, samples: BundledSamples) -> Result:
    metrics = () if run.failure else evaluate(blueprint.metrics, samples.samples, run.seeds)
    table = None if run.failure else confusion(samples.samples)
    marks = ("not-re-runnable",) if "egress" in run.sandbox else ()
    ended = "failed" if run.failure else "succeeded"
    return Result(
        lock=lock.digest,
        attempt=run.attempt,
        invocation_id=run.invocation_id,
        blueprint=Suite(blueprint.about.name, blueprint.about.version),
        status=ended,
        failure=run.failure,
        verdict="none" if run.failure else combine_verdicts(metrics),
        metrics=metrics,
        tables={"confusion": table} if table else {},
        samples=sample_counts(samples.samples),
        replicates=tuple(
            ReplicateOutcome(number, seed, ended, run.failure, 1 if run.failure else 0)
            for number, seed in enumerate(run.seeds)
        ),
        deviations=tuple(_deviations(run, lock)),
        marks=marks,
    )


def _deviations(run: Run, lock: Lock) -> Iterable[str]:
    if run.failure:
        yield "the container exited with code 1"
    yield from widened(tuple(lock.identity["sandbox"]["widenings"]))


def _facts(run: Run, blueprint: Blueprint) -> list[Fact]:
    profile = profile_of_run(blueprint)
    replicates = list(range(len(run.seeds)))
    probed = [{"replicates": replicates, "report": clean_report(profile).as_json()}]
    attempts = [
        {
            "attempt": run.attempt,
            "invocation_id": run.invocation_id,
            "replicates": [{"replicate": number} for number in replicates],
        }
    ]
    return [
        *image_facts(_IMAGE),
        Fact("launcher.version", "0.1.0", "host"),
        Fact("sandbox.profile", profile.as_identity(), "engine"),
        Fact("probe.run", probed, "probe"),
        Fact("launch.attempts", attempts, "host"),
    ]
