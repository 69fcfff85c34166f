"""What must be true of a bundle after single attacks, besides what is seen after every launch."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from launcher.runs.tasks import LOG_BYTES
from launcher.spec.bundle import ARTIFACTS, ATTESTATIONS, PREDICTIONS
from tests.hostile.launching import Ended

KNOWN = {"provenance.sigstore.json", "result.sigstore.json", "lock.sigstore.json", "ledger.tlog-proof"}


def honest_samples(ended: Ended) -> None:
    assert ended.samples() == {"honest": "honest"}


def nothing_late(ended: Ended) -> None:
    """What a daemon wrote after the command's end is in no log."""
    assert b"late" not in _log(ended, "stdout")


def logs_cut(ended: Ended) -> None:
    lines = _lines(ended, "resources.jsonl")
    assert any("logs were cut" in said for said in ended.read("result.json")["deviations"])
    for stream in ("stdout", "stderr"):
        assert len(_log(ended, stream)) == LOG_BYTES
        assert lines[0]["logs"][stream]["bytes"] == 256 << 20


def processor_bounded(ended: Ended) -> None:
    """32 busy processes had one processor; a quarter more is the scheduler's grain."""
    (used,) = _lines(ended, "resources.jsonl")[:1]
    assert used["kind"] == "container"
    assert used["cpu_seconds"] <= 1.25 * used["seconds"] + 0.3


def nothing_kept(ended: Ended) -> None:
    """No refused output is in the bundle."""
    assert not (ended.bundle / ARTIFACTS).exists()


def own_artifacts_only(ended: Ended) -> None:
    kept = {path.name: path.read_text() for path in _files(ended.bundle / ARTIFACTS)}
    assert kept in ({}, {"passwd": "mine"})


def few_files(ended: Ended) -> None:
    assert len(_files(ended.bundle / ARTIFACTS)) <= 2000


def plain_files(ended: Ended) -> None:
    """No attribute, no odd mode and no time of the evaluation's choice came out."""
    import os

    (kept,) = _files(ended.bundle / ARTIFACTS)
    facts = kept.stat()
    assert os.listxattr(kept) == []
    assert facts.st_mode & 0o7022 == 0
    assert facts.st_mtime > 1_000_000_000


def state_widening_named(ended: Ended) -> None:
    """What was executed there is no surprise: the signed result names the widening."""
    assert any(": exec-state: " in said for said in ended.read("result.json")["deviations"])


def nothing_planted(ended: Ended) -> None:
    """Planted files are artifacts, or nowhere; attestations and ledger proof are the launcher's."""
    assert {path.name for path in (ended.bundle / ATTESTATIONS).iterdir()} == KNOWN
    assert {path.name for path in _files(ended.bundle / PREDICTIONS)} == {"samples.jsonl"}
    planted = '{"status": "succeeded", "verdict": "pass"}'
    found = [path for path in _files(ended.bundle) if path.read_bytes() == planted.encode()]
    assert all(path.is_relative_to(ended.bundle / ARTIFACTS / "0") for path in found)
    assert len(found) == 10


HOLDS: dict[str, Callable[[Ended], None]] = {
    function.__name__.replace("_", "-"): function
    for function in (
        honest_samples,
        state_widening_named,
        nothing_late,
        logs_cut,
        processor_bounded,
        nothing_kept,
        own_artifacts_only,
        few_files,
        plain_files,
        nothing_planted,
    )
}


def _log(ended: Ended, stream: str) -> bytes:
    path = ended.bundle / "logs" / f"run-0.{stream}"
    return path.read_bytes() if path.exists() else b""


def _lines(ended: Ended, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (ended.bundle / name).read_bytes().splitlines()]


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
