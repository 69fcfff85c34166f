"""Read the model and the images, predict a digit for each image, and log every step.

Usage: python -m digits_svm [FOLDER], a folder with `config.json`, `inputs/` and `out/` (default: /eval).
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def main(root: Path) -> None:
    """Write `samples.jsonl` (one prediction per image) and `events.jsonl` (one line per step)."""
    inputs, out = root / "inputs", root / "out"
    config = json.loads((root / "config.json").read_text())["config"]
    with timed(out, "import-libraries", "loading") as detail:
        import numpy
        import onnxruntime

        detail.append(f"numpy {numpy.__version__}, onnxruntime {onnxruntime.__version__}")
    with timed(out, "load-model", "loading") as detail:
        session = open_session(onnxruntime, inputs / "model")
        detail.append(f"{(inputs / 'model').stat().st_size} bytes")
    with timed(out, "load-images", "loading") as detail:
        images = [json.loads(line) for line in (inputs / "images").read_text().splitlines()]
        detail.append(f"{len(images)} images")
    with timed(out, "extract-features", "features") as detail:
        pixels = numpy.array([image["pixels"] for image in images], dtype=numpy.float32)
        features = pixels.reshape(len(images), -1) * numpy.float32(config["preprocess"]["scale"])
        detail.append(f"{features.shape[0]} x {features.shape[1]}")
    with timed(out, "predict", "inference") as detail:
        predict(session, [image["id"] for image in images], features, out=out, batch=config["batch"])
        detail.append(f"{len(images)} samples in batches of {config['batch']}")


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


def open_session(onnxruntime: Any, model: Path) -> Any:
    """Open the model with the sandbox's thread count, which onnxruntime does not read by itself."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def predict(session: Any, ids: list[str], features: Any, *, out: Path, batch: int) -> None:
    """Write one line per image, batch by batch, so that a watcher sees progress."""
    with (out / "samples.jsonl").open("w") as samples:
        for start in range(0, len(ids), batch):
            (labels,) = session.run(["label"], {"pixels": features[start : start + batch]})
            for identity, label in zip(ids[start : start + batch], labels, strict=True):
                samples.write(json.dumps({"id": identity, "prediction": int(label)}) + "\n")
            samples.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/eval"))
