"""From what the containers left to samples, metrics and the result; nothing they claim is copied."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from launcher.errors import MalformedError
from launcher.harness.claims import differing_claims
from launcher.harness.output import HarnessOutput
from launcher.harness.reading import read_harness
from launcher.metrics.confusion import confusion
from launcher.metrics.evaluation import evaluate, sample_counts
from launcher.metrics.judgement import combine_verdicts
from launcher.runs.events import read_container_events
from launcher.runs.replicates import ReplicateRun, overall_failure
from launcher.runs.tasks import RunPlan, artifact_place
from launcher.spec.blueprint import Blueprint
from launcher.spec.bundle import MAX_FILES
from launcher.spec.predicates import Failure, Suite
from launcher.spec.result import MetricResult, ReplicateOutcome, Result, Status
from launcher.spec.sample import BundledSamples, Sample, bundle_samples, join_labels, read_container_samples

MAX_EVENTS_BYTES = 64 << 20
MAX_REASON = 1000
# Beside them a bundle holds its records, its attestations, and two logs for each replicate.
MAX_ARTIFACTS = MAX_FILES - 10_000

_READ = frozenset({"samples.jsonl", "events.jsonl"})
_NO_SAMPLES = BundledSamples(b"", (), ())


class Artifact(Struct, frozen=True):
    """A file under `/eval/out/artifacts` that is kept: where it came out, and its place in the bundle."""

    replicate: int
    path: str
    place: str


class Scored(Struct, frozen=True):
    """What an attempt came to: the result, samples.jsonl, the containers' events, and what else is kept."""

    runs: tuple[ReplicateRun, ...]
    result: Result
    samples: bytes
    events: tuple[Mapping[str, Any], ...]
    artifacts: tuple[Artifact, ...] = ()

    @property
    def failure(self) -> Failure | None:
        """Why there is no score, None where there is one."""
        return self.result.failure


class _Ending(Struct, frozen=True):
    failure: Failure | None
    reason: str = ""
    samples: BundledSamples = _NO_SAMPLES
    metrics: tuple[MetricResult, ...] = ()
    events: tuple[Mapping[str, Any], ...] = field(default=())
    harness: tuple[HarnessOutput, ...] = ()


def score(plan: RunPlan, runs: list[ReplicateRun]) -> Scored:
    """Read what the replicates left, join held-out labels, and compute the metrics.

    Samples or events that do not fit are the candidate's failure, labels that are none are the input's; a
    failed attempt has no metrics.
    """
    failure, reason = overall_failure(runs)
    artifacts = kept_artifacts(runs)
    if too_many := refuse_flood(artifacts):
        failure, reason, artifacts = failure or "candidate", reason or too_many, ()
    ending = _Ending(failure, reason) if failure else _read(plan, runs)
    result = _result(plan, runs, ending)
    return Scored(tuple(runs), result, ending.samples.data, ending.events, artifacts)


def refuse_flood(artifacts: Sequence[Artifact]) -> str:
    """Say why a bundle cannot keep so many artifacts and pass its own verification; empty where it can."""
    if len(artifacts) <= MAX_ARTIFACTS:
        return ""
    return f"its replicates left {len(artifacts)} artifacts, and a bundle keeps at most {MAX_ARTIFACTS}"


def kept_artifacts(runs: Sequence[ReplicateRun]) -> tuple[Artifact, ...]:
    """Return the artifacts of all replicates that a bundle may hold."""
    return tuple(
        Artifact(run.replicate, file.path, place)
        for run in runs
        for file in (run.outcome.outputs.files if run.outcome else ())
        if (place := artifact_place(run.replicate, file.path))
    )


def _read(plan: RunPlan, runs: list[ReplicateRun]) -> _Ending:
    blueprint = plan.resolution.blueprint
    try:
        harness = _harness(plan, runs)
        replicates = [list(one.samples) for one in harness] or [_samples(plan, r.replicate) for r in runs]
        bundled = bundle_samples(replicates, blueprint.run.seeds)
        metrics = evaluate(blueprint.metrics, bundled.samples, blueprint.run.seeds)
        events = [event for run in runs for event in _events(plan, run.replicate)]
        events.extend(_told(harness))
    except MalformedError as error:
        reason = error.message + (f" ({error.context})" if error.context else "")
        return _Ending("input" if error.code == "bad-labels" else "candidate", reason)
    return _Ending(None, "", bundled, metrics, (*events, *_timings(bundled)), harness)


def _harness(plan: RunPlan, runs: list[ReplicateRun]) -> tuple[HarnessOutput, ...]:
    """Return what the harness left in each replicate; nothing where containers leave samples themselves."""
    form = plan.resolution.blueprint.run.format
    if form == "samples":
        return ()
    return tuple(read_harness(form, plan.attempt.work / str(run.replicate) / "out") for run in runs)


def _told(harness: Sequence[HarnessOutput]) -> Iterator[Mapping[str, Any]]:
    """Yield an event with what each harness says of itself."""
    for replicate, output in enumerate(harness):
        event = {"source": "container", "replicate": replicate, "step": output.harness}
        yield {**event, "detail": output.about}


def _samples(plan: RunPlan, replicate: int) -> list[Sample]:
    path = plan.attempt.work / str(replicate) / "out" / "samples.jsonl"
    if not path.is_file():
        raise MalformedError("the container left no `/eval/out/samples.jsonl`", code="no-samples")
    with path.open("rb") as stream:
        samples = read_container_samples(stream)
    if not samples:
        raise MalformedError("`/eval/out/samples.jsonl` holds no sample", code="no-samples")
    score_table = plan.resolution.blueprint.score
    if score_table is None or score_table.labels is None:
        return samples
    return join_labels(samples, plan.resolution.inputs[score_table.labels].read_bytes())


def _events(plan: RunPlan, replicate: int) -> list[Mapping[str, Any]]:
    path = plan.attempt.work / str(replicate) / "out" / "events.jsonl"
    if not path.is_file():
        return []
    if path.stat().st_size > MAX_EVENTS_BYTES:
        raise MalformedError(
            f"`/eval/out/events.jsonl` is larger than {MAX_EVENTS_BYTES} bytes", code="bad-events"
        )
    return read_container_events(path.read_bytes(), replicate)


def _timings(bundled: BundledSamples) -> list[Mapping[str, Any]]:
    return [
        {
            "source": "container",
            "replicate": timing.replicate,
            "step": "sample",
            "seconds": timing.seconds,
            "detail": {
                key: value
                for key, value in (("id", timing.id), ("task", timing.task), ("epoch", timing.epoch))
                if value is not None
            },
        }
        for timing in bundled.timings
    ]


def _deviations(plan: RunPlan, runs: list[ReplicateRun], harness: Sequence[HarnessOutput]) -> tuple[str, ...]:
    """Name what every view must show: widenings, a stronger runtime, what is partial, what was not kept."""
    blueprint = plan.resolution.blueprint
    said = [f"sandbox widened: {name}" for name in plan.profile.widenings]
    if plan.profile.runtime != blueprint.sandbox.runtime:
        said.append(f"ran under {plan.profile.runtime}, stronger than {blueprint.sandbox.runtime}")
    for replicate, output in enumerate(harness):
        said.extend(f"replicate {replicate}: partial: {reason}" for reason in output.partial)
        said.extend(f"replicate {replicate}: {note}" for note in output.notes)
    for run in runs:
        if run.outcome is None:
            continue
        if run.outcome.stdout.truncated or run.outcome.stderr.truncated:
            said.append(f"replicate {run.replicate}: logs were cut")
        files = (file.path for file in run.outcome.outputs.files)
        read = _READ.union(harness[run.replicate].files if harness else ())
        dropped = [path for path in files if path not in read and not artifact_place(run.replicate, path)]
        if dropped:
            said.append(f"replicate {run.replicate}: {len(dropped)} other output files were not kept")
    return tuple(said)


def _clipped(reason: str) -> str:
    """Bound a reason that may quote what a container wrote, so that it fits into the signed statement."""
    return reason if len(reason) <= MAX_REASON else reason[: MAX_REASON - 1] + "…"


def _result(plan: RunPlan, runs: list[ReplicateRun], ending: _Ending) -> Result:
    blueprint: Blueprint = plan.resolution.blueprint
    samples, metrics = ending.samples.samples, ending.metrics
    table = confusion(samples) if samples else None
    return Result(
        lock=plan.resolution.lock.digest,
        attempt=plan.attempt.number,
        invocation_id=plan.attempt.invocation_id,
        blueprint=Suite(blueprint.about.name, blueprint.about.version),
        status="failed" if ending.failure else "succeeded",
        failure=ending.failure,
        verdict="none" if ending.failure else combine_verdicts(metrics),
        metrics=metrics,
        tables={"confusion": table} if table else {},
        samples=sample_counts(samples),
        replicates=tuple(_outcome(run) for run in runs),
        deviations=(
            *([_clipped(ending.reason)] if ending.failure else []),
            *_deviations(plan, runs, ending.harness),
        ),
        discrepancies=differing_claims(ending.harness, blueprint.metrics, metrics),
    )


def _outcome(run: ReplicateRun) -> ReplicateOutcome:
    status: Status = "failed" if run.failure else "succeeded"
    code = run.outcome.exit_code if run.outcome else None
    return ReplicateOutcome(run.replicate, run.seed, status, run.failure, code)
