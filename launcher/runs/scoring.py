"""From what the containers left to samples, metrics and the result; nothing they claim is copied."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from launcher.canonical import canonical_bytes
from launcher.errors import MalformedError
from launcher.harness.claims import differing_claims
from launcher.harness.output import HarnessOutput
from launcher.harness.reading import read_harness
from launcher.metrics.confusion import confusion
from launcher.metrics.evaluation import sample_counts
from launcher.metrics.judgement import combine_verdicts
from launcher.metrics.measuring import blocks_of, measure
from launcher.runs.discretion import private_words, public_notes, public_reason
from launcher.runs.events import read_container_events, sample_events
from launcher.runs.failures import overall_failure
from launcher.runs.kept import taken_in_words
from launcher.runs.replicates import ReplicateRun
from launcher.runs.resuming import resumed_in_words
from launcher.runs.tasks import RunPlan, artifact_place, prediction_place
from launcher.spec.blueprint import Blueprint
from launcher.spec.bundle import EVENTS, MAX_FILES, SAMPLES
from launcher.spec.predicates import Failure, Mark, Suite
from launcher.spec.result import MetricResult, ReplicateOutcome, Result, Status
from launcher.spec.sample import (
    BundledSamples,
    Sample,
    bundle_samples,
    first_items,
    join_labels,
    read_container_samples,
)
from launcher.spec.services import Phase
from launcher.spec.widenings import widened
from launcher.store.trees import tree_files

MAX_EVENTS_BYTES = 64 << 20
MAX_REASON = 1000
# Beside them a bundle holds its records, its attestations, and the two logs of each container: 4,000 at most.
MAX_KEPT = MAX_FILES - 10_000

_READ = frozenset({SAMPLES, EVENTS})
_NO_SAMPLES = BundledSamples(b"", (), ())


class Kept(Struct, frozen=True):
    """A file that a container left and the bundle keeps: where it is, and its place in the bundle."""

    path: Path
    place: str


class Scored(Struct, frozen=True):
    """What an attempt came to: the result, samples.jsonl, the containers' events, and what else is kept."""

    runs: tuple[ReplicateRun, ...]
    result: Result
    samples: bytes
    events: tuple[Mapping[str, Any], ...]
    kept: tuple[Kept, ...] = ()

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
    """Read what the containers left, join held-out labels, and compute the metrics.

    Samples or events that do not fit are the candidate's failure, labels that are none are the input's; a
    failed attempt has no metrics.
    """
    failure, reason = overall_failure(runs)
    kept = kept_artifacts(plan, runs)
    if too_many := refuse_flood(kept):
        failure, reason, kept = failure or "candidate", reason or too_many, ()
    ending = _Ending(failure, reason) if failure else _read(plan, runs)
    if leak := _leak(plan, ending):
        ending, kept = _Ending("sandbox", leak), ()
    result = _result(plan, runs, ending)
    told = private_words(plan.resolution.blueprint, ending.reason, ending.harness)
    return Scored(tuple(runs), result, ending.samples.data, (*told, *ending.events), kept)


def _leak(plan: RunPlan, ending: _Ending) -> str:
    """Say which secret stands in what was read, which an escape in the file may have hidden."""
    if not plan.secrets:
        return ""
    masker, events = plan.masker, (canonical_bytes(event) for event in ending.events)
    name = masker.found(ending.samples.data) or next(filter(None, map(masker.found, events)), None)
    return f"secret in output: what was read of it held the secret `{name}`" if name else ""


def refuse_flood(kept: Sequence[Kept]) -> str:
    """Say why a bundle cannot keep so many files and pass its own verification; empty where it can."""
    if len(kept) <= MAX_KEPT:
        return ""
    return f"its replicates left {len(kept)} files to keep, and a bundle keeps at most {MAX_KEPT}"


def kept_artifacts(plan: RunPlan, runs: Sequence[ReplicateRun]) -> tuple[Kept, ...]:
    """Return the files that a bundle keeps beside its records: artifacts, and predictions for `[score]`."""
    artifacts = [
        Kept(plan.outputs(run.replicate, plan.last_phase) / file, place)
        for run in runs
        for file in _last_files(plan, run)
        if (place := artifact_place(run.replicate, file))
    ]
    return (*artifacts, *_predictions(plan, runs))


def _last_files(plan: RunPlan, run: ReplicateRun) -> list[str]:
    """Return the paths of what came out of the container that leaves the samples."""
    return [
        file.path
        for phase, outcome in run.outcomes
        if phase == plan.last_phase
        for file in outcome.outputs.files
    ]


def _predictions(plan: RunPlan, runs: Sequence[ReplicateRun]) -> Iterator[Kept]:
    """Yield what `[run]` left for `[score]`: all of it for a second container, the samples for labels."""
    if plan.resolution.blueprint.score is None:
        return
    for run in runs:
        folder = plan.outputs(run.replicate, "run")
        files = tree_files(folder, what="predictions") if folder.is_dir() else ()
        for path, file in files:
            place = prediction_place(run.replicate, path)
            if place and (plan.score_profile or path == SAMPLES):
                yield Kept(file, place)


def _read(plan: RunPlan, runs: list[ReplicateRun]) -> _Ending:
    blueprint = plan.resolution.blueprint
    try:
        harness = _harness(plan, runs)
        replicates = [list(one.samples) for one in harness] or [_samples(plan, r.replicate) for r in runs]
        bundled = bundle_samples(replicates, blueprint.run.seeds)
        if blueprint.redactable:
            from launcher.metrics.committed import refuse_unredactable

            refuse_unredactable(bundled.samples, len(blueprint.metrics))
        blocks = blocks_of(bundled.samples)
        measured = measure(blueprint.metrics, blueprint.run.seeds, len(bundled.data), blocks)
        events = [event for run in runs for phase, _ in run.outcomes for event in _events(plan, run, phase)]
        events.extend(_told(harness))
    except MalformedError as error:
        return _Ending("input" if error.code == "bad-labels" else "candidate", error.in_words)
    return _Ending(None, "", bundled, measured.metrics, (*events, *sample_events(bundled)), harness)


def _harness(plan: RunPlan, runs: list[ReplicateRun]) -> tuple[HarnessOutput, ...]:
    """Return what the harness left in each replicate; nothing where containers leave samples themselves."""
    form, limit = plan.resolution.blueprint.run.format, plan.resolution.pins.limit
    if form == "samples":
        return ()
    outputs = (read_harness(form, plan.outputs(run.replicate, plan.last_phase)) for run in runs)
    if limit is None:
        return tuple(outputs)
    # What the harness claims is about all of its samples.
    return tuple(replace(one, samples=tuple(first_items(one.samples, limit)), claims=()) for one in outputs)


def _marks(plan: RunPlan, harness: Sequence[HarnessOutput]) -> tuple[Mark, ...]:
    """Return how the run is less than a whole one: as its lock has it, and as the harness says."""
    marks = plan.resolution.pins.marks
    partial = "partial" not in marks and any(output.partial for output in harness)
    return ("partial", *marks) if partial else marks


def _told(harness: Sequence[HarnessOutput]) -> Iterator[Mapping[str, Any]]:
    """Yield an event with what each harness says of itself."""
    for replicate, output in enumerate(harness):
        event = {"source": "container", "replicate": replicate, "step": output.harness}
        yield {**event, "detail": output.about}


def _samples(plan: RunPlan, replicate: int) -> list[Sample]:
    """Return the replicate's samples with their targets; of a partial run, those of the first items."""
    path = plan.outputs(replicate, plan.last_phase) / SAMPLES
    if not path.is_file():
        raise MalformedError(f"the container left no `/eval/out/{SAMPLES}`", code="no-samples")
    with path.open("rb") as stream:
        samples = read_container_samples(stream)
    if not samples:
        raise MalformedError(f"`/eval/out/{SAMPLES}` holds no sample", code="no-samples")
    limit = plan.resolution.pins.limit
    if limit is not None:
        samples = first_items(samples, limit)
    score_table = plan.resolution.blueprint.score
    if score_table is None or score_table.labels is None:
        return samples
    labels = plan.resolution.inputs[score_table.labels]
    if not labels.is_file():
        raise MalformedError(f"`{score_table.labels}` is a folder, and no file of labels", code="bad-labels")
    return join_labels(samples, labels.read_bytes(), partial=limit is not None)


def _events(plan: RunPlan, run: ReplicateRun, phase: Phase) -> list[Mapping[str, Any]]:
    path = plan.outputs(run.replicate, phase) / EVENTS
    if not path.is_file():
        return []
    if path.stat().st_size > MAX_EVENTS_BYTES:
        raise MalformedError(
            f"`/eval/out/{EVENTS}` is larger than {MAX_EVENTS_BYTES} bytes", code="bad-events"
        )
    return read_container_events(path.read_bytes(), run.replicate)


def _deviations(plan: RunPlan, runs: list[ReplicateRun], harness: Sequence[HarnessOutput]) -> tuple[str, ...]:
    """Name what every view must show: how it is less than a whole run, widenings, cut or dropped output."""
    blueprint = plan.resolution.blueprint
    said = [
        *_shortcomings(plan),
        *taken_in_words(plan, runs),
        *resumed_in_words(plan),
        *widened(plan.profile.widenings),
    ]
    if plan.profile.runtime != blueprint.sandbox.runtime:
        said.append(f"ran under {plan.profile.runtime}, stronger than {blueprint.sandbox.runtime}")
    said.extend(plan.gpu_remarks)
    said.extend(f"the host lacks {demand}, which the site policy requires" for demand in plan.lacking)
    for replicate, output in enumerate(harness):
        said.extend(f"replicate {replicate}: {note}" for note in public_notes(blueprint, output))
    for run in runs:
        if any(outcome.stdout.truncated or outcome.stderr.truncated for _, outcome in run.outcomes):
            said.append(f"replicate {run.replicate}: logs were cut")
        read = _READ.union(harness[run.replicate].files if harness else ())
        dropped = [
            path
            for path in _last_files(plan, run)
            if path not in read and not artifact_place(run.replicate, path)
        ]
        if dropped:
            said.append(f"replicate {run.replicate}: {len(dropped)} other output files were not kept")
    return tuple(said)


def _shortcomings(plan: RunPlan) -> Iterator[str]:
    """Say in words what the marks of the run mean."""
    pins = plan.resolution.pins
    if pins.egress:
        hosts = ", ".join(plan.profile.allow_hosts)
        yield f"not re-runnable: it could ask hosts whose answers no lock pins: {hosts}"
    if pins.limit is not None:
        yield f"partial: at most the first {pins.limit} items were kept (`--limit`)"
    if pins.patch is not None:
        commit = plan.resolution.blueprint.code.commit[:12]
        yield f"draft: ran with changes that commit {commit} does not have (`--draft`)"
    if pins.predictions is not None:
        yield "score-only: an earlier run's predictions were scored again, nothing was predicted anew"


def _reason(blueprint: Blueprint, failure: Failure, words: str) -> str:
    """Bound a reason that may quote what a container wrote, so that it fits into the signed statement."""
    reason = public_reason(blueprint, failure, words)
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
        replicates=tuple(_outcome(run, plan.attempt.number) for run in runs),
        deviations=(
            *([_reason(blueprint, ending.failure, ending.reason)] if ending.failure else []),
            *_deviations(plan, runs, ending.harness),
        ),
        discrepancies=differing_claims(ending.harness, blueprint.metrics, metrics),
        marks=_marks(plan, ending.harness),
    )


def _outcome(run: ReplicateRun, attempt: int) -> ReplicateOutcome:
    status: Status = "failed" if run.failure else "succeeded"
    earlier = run.origin.attempt if run.origin and run.origin.attempt != attempt else None
    return ReplicateOutcome(run.replicate, run.seed, status, run.failure, run.exit_code, earlier)
