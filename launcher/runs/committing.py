"""Write a redactable bundle's commitments, once its other files are there."""

from pathlib import Path

from launcher.canonical import parse_json
from launcher.digest import hash_file
from launcher.metrics.committed import Parts, committed_parts
from launcher.runs.tasks import RunPlan
from launcher.spec import bundle
from launcher.spec.commitments import SaltKey, commitment_lines
from launcher.spec.sample import read_bundle_samples
from launcher.store.files import write_new


def write_commitments(plan: RunPlan, key: SaltKey) -> None:
    """Commit to every part of the bundle in `plan.attempt.staging`, which is not signed yet."""
    staging = plan.attempt.staging
    parts = Parts(
        parse_json((staging / bundle.RESULT).read_bytes(), what=bundle.RESULT),
        {path.relative_to(staging).as_posix(): hash_file(path)[0] for path in _files(staging)},
        [parse_json(line, what="an event") for line in (staging / bundle.EVENTS).read_bytes().splitlines()],
        read_bundle_samples((staging / bundle.SAMPLES).read_bytes()),
        plan.resolution.blueprint.metrics,
    )
    committed = committed_parts(key, parts)
    lines = commitment_lines(key, committed.header, committed.entries)
    write_new(staging / bundle.COMMITMENTS, b"".join(lines))


def _files(staging: Path) -> list[Path]:
    return [path for path in staging.rglob("*") if path.is_file()]
