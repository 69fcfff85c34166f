"""Read NIST's data sets, compute each one's F statistic with SciPy, and log every step.

Usage: python -m nist_anova [FOLDER], a folder with `inputs/` and `out/` (default: /eval).
"""

import json
import math
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FIRST_OBSERVATION = 60


def main(root: Path) -> None:
    """Write `samples.jsonl` (one F statistic per data set) and `events.jsonl` (one line per step)."""
    inputs, out = root / "inputs", root / "out"
    with timed(out, "import-libraries", "loading") as detail:
        import numpy
        import scipy
        from scipy.stats import f_oneway

        detail.append(f"numpy {numpy.__version__}, scipy {scipy.__version__}")
    with (out / "samples.jsonl").open("w") as samples:
        for path in sorted((inputs / "datasets").glob("*.dat")):
            with timed(out, f"analyse-{path.stem}", "inference") as detail:
                lines = path.read_text(encoding="ascii").splitlines()
                treatments = observations(lines)
                statistic = float(f_oneway(*treatments).statistic)
                detail.append(f"{sum(map(len, treatments))} observations, {len(treatments)} treatments")
            samples.write(json.dumps(sample(path.stem, difficulty(lines), statistic)) + "\n")
            samples.flush()


@contextmanager
def timed(out: Path, step: str, phase: str) -> Iterator[list[str]]:
    """Append one event with the seconds the block took and what the block says of itself."""
    detail: list[str] = []
    start = time.perf_counter()
    yield detail
    seconds = round(time.perf_counter() - start, 6)
    event = {"step": step, "phase": phase, "seconds": seconds, "detail": "; ".join(detail)}
    with (out / "events.jsonl").open("a") as events:
        events.write(json.dumps(event) + "\n")


def observations(lines: list[str]) -> list[list[float]]:
    """Return the responses of each treatment; the certified values above them are not looked at."""
    treatments: dict[str, list[float]] = {}
    for line in lines[FIRST_OBSERVATION:]:
        if line.strip():
            treatment, response = line.split()
            treatments.setdefault(treatment, []).append(float(response))
    return list(treatments.values())


def difficulty(lines: list[str]) -> str:
    """Return NIST's level of difficulty: lower, average or higher."""
    (level,) = re.findall(r"(\w+) Level of Difficulty", "\n".join(lines[:FIRST_OBSERVATION]))
    return level.lower()


def sample(dataset: str, level: str, statistic: float) -> dict[str, object]:
    """Return one line of `samples.jsonl`; a statistic that is no number is an error."""
    groups = {"dataset": dataset, "difficulty": level}
    if not math.isfinite(statistic):
        return {"id": dataset, "error": f"the F statistic is {statistic}", "groups": groups}
    return {"id": dataset, "prediction": statistic, "groups": groups}


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/eval"))
