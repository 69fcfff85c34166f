"""Write a redactable bundle's commitments, once its other files are there."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from launcher.canonical import parse_json
from launcher.digest import hash_file
from launcher.metrics.committed import CommittedSamples, Parts, launcher_steps
from launcher.spec import bundle
from launcher.spec.blueprint import Metric
from launcher.spec.commitments import SaltKey, commitment_line, header_line
from launcher.store.files import write_pieces


def write_commitments(staging: Path, metrics: Sequence[Metric], key: SaltKey) -> None:
    """Commit to every part of the bundle of these `metrics` in `staging`, which is not signed yet."""
    with (staging / bundle.EVENTS).open("rb") as events:
        steps = launcher_steps(events)
    result = parse_json((staging / bundle.RESULT).read_bytes(), what=bundle.RESULT)
    digests = {path.relative_to(staging).as_posix(): hash_file(path)[0] for path in _files(staging)}
    parts = Parts(result, digests, steps)
    with (staging / bundle.SAMPLES).open("rb") as file:
        samples = CommittedSamples(key, file, metrics)
        entries = chain(parts.entries(), samples.entries())
        lines = (commitment_line(key, entry) for entry in entries)
        write_pieces(staging / bundle.COMMITMENTS, chain([header_line(samples.header)], lines))


def _files(staging: Path) -> list[Path]:
    return [path for path in staging.rglob("*") if path.is_file()]
