"""A bundle as `launch --json` prints it, and the exit code that goes with it."""

from pathlib import Path
from typing import Any

from launcher.report.reading import BundleView

_INFRASTRUCTURE = frozenset({"engine", "image", "input", "interrupted"})


def as_object(view: BundleView, path: Path) -> dict[str, Any]:
    """Return the object of `launch --json`."""
    result = view.result
    return {
        "bundle": str(path),
        "digest": view.digest,
        "lock": result.lock,
        "attempt": result.attempt,
        "status": result.status,
        "failure": result.failure,
        "verdict": result.verdict,
        "metrics": [metric.as_json() for metric in result.metrics],
        "deviations": list(result.deviations),
        "marks": list(result.marks),
        "origin": result.origin,
        "redaction": result.redaction.as_json() if result.redaction else None,
    }


def exit_code(view: BundleView) -> int:
    """Return 0 for a result that stands, 1 for a missed one, 4 for none, 5 for one that cannot tell."""
    result = view.result
    if result.failure in _INFRASTRUCTURE:
        return 4
    if result.failure or result.verdict == "fail":
        return 1
    return 5 if result.verdict == "inconclusive" else 0
