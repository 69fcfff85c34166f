"""Leave each wine out in turn, fit each classifier to the others, and predict the one left out.

Usage: python -m wine_loo [FOLDER], a folder with `config.json`, `inputs/` and `out/` (default: /eval).
"""

import csv
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def main(root: Path) -> None:
    """Write `samples.jsonl` (one prediction per model and wine) and `events.jsonl` (one line per step)."""
    inputs, out = root / "inputs", root / "out"
    config = json.loads((root / "config.json").read_text())["config"]
    with timed(out, "import-libraries", "loading") as detail:
        import numpy
        import sklearn

        detail.append(f"numpy {numpy.__version__}, scikit-learn {sklearn.__version__}")
    with timed(out, "load-wines", "loading") as detail:
        ids, values, classes = read_wines(inputs / "wine")
        detail.append(f"{len(ids)} wines, {len(values[0])} measurements each")
    with (out / "samples.jsonl").open("w") as samples:
        for name in config["models"]:
            with timed(out, f"leave-one-out-{name}", "inference") as detail:
                for identity, label in zip(ids, predictions(name, values, classes, config), strict=True):
                    sample = {"id": identity, "task": name, "prediction": label, "groups": {"model": name}}
                    samples.write(json.dumps(sample) + "\n")
                samples.flush()
                detail.append(f"{len(ids)} fits")


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


def read_wines(path: Path) -> tuple[list[str], Any, Any]:
    """Return the ids, the measurements (wines x 13) and the classes."""
    import numpy

    _, *rows = csv.reader(path.read_text().splitlines())
    values = numpy.array([[float(value) for value in row[1:-1]] for row in rows])
    return [row[0] for row in rows], values, numpy.array([int(row[-1]) for row in rows])


def predictions(name: str, values: Any, classes: Any, config: dict[str, Any]) -> Iterator[int]:
    """Yield the class that `name`, fitted to all other wines, gives each wine."""
    import numpy

    neighbours = name == "1nn"
    preprocess = config["preprocess"]
    if neighbours and preprocess["scaled-over"] == "all":
        values = standardized(values, values, preprocess["ddof"])
    for left_out in range(len(values)):
        others = numpy.arange(len(values)) != left_out
        known, asked = values[others], values[left_out : left_out + 1]
        if neighbours and preprocess["scaled-over"] == "others":
            known, asked = (standardized(part, known, preprocess["ddof"]) for part in (known, asked))
        yield int(classifier(name).fit(known, classes[others]).predict(asked)[0])


def standardized(values: Any, reference: Any, ddof: int) -> Any:
    """Return `values` minus the mean of `reference`, divided by its standard deviation, column by column."""
    return (values - reference.mean(axis=0)) / reference.std(axis=0, ddof=ddof)


def classifier(name: str) -> Any:
    """Return a fresh classifier with scikit-learn's defaults."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
    from sklearn.neighbors import KNeighborsClassifier

    if name == "1nn":
        return KNeighborsClassifier(n_neighbors=1)
    return {"lda": LinearDiscriminantAnalysis, "qda": QuadraticDiscriminantAnalysis}[name]()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/eval"))
