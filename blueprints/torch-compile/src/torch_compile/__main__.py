"""Read images with worker processes, run a network plainly and compiled, and compare their answers.

Usage: python -m torch_compile [FOLDER], a folder with `config.json`, `inputs/` and `out/` (default: /eval).
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.utils.data import DataLoader, Dataset


def main(root: Path) -> None:
    """Write `samples.jsonl` (one line per image) and `events.jsonl` (one line per step)."""
    document = json.loads((root / "config.json").read_text())
    config, out = document["config"], root / "out"
    torch.manual_seed(document["seed"])
    torch.use_deterministic_algorithms(True)
    with timed(out, "build", "loading"):
        network = build(config["width"]).eval()
        compiled = torch.compile(network, fullgraph=True, dynamic=False)
        images = Images(root / "inputs" / "images")
        loader = DataLoader(images, batch_size=config["batch"], num_workers=config["workers"])
    with (out / "samples.jsonl").open("w") as samples, torch.inference_mode():
        for at, (places, pixels) in enumerate(loader):
            with timed(out, "plain", "inference"):
                plain = network(pixels)
            with timed(out, "compile" if at == 0 else "compiled", "inference"):
                quick = compiled(pixels)
            for place, one, other in zip(places.tolist(), plain, quick, strict=True):
                samples.write(json.dumps(sample(images.names[place], one, other)) + "\n")


def build(width: int) -> torch.nn.Module:
    """Return a small convolutional network; its weights are drawn from the seed."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, width, 3, padding=1),
        torch.nn.BatchNorm2d(width),
        torch.nn.GELU(),
        torch.nn.Conv2d(width, width, 3, padding=1),
        torch.nn.Softplus(),
        torch.nn.AdaptiveAvgPool2d(2),
        torch.nn.Flatten(),
        torch.nn.Linear(4 * width, 10),
        torch.nn.LogSoftmax(dim=1),
    )


class Images(Dataset):
    """Images of 8 x 8 grey values, each read in a worker process and handed over in shared memory."""

    def __init__(self, path: Path) -> None:
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        self.names = [row["id"] for row in rows]
        self._pixels = [row["pixels"] for row in rows]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, place: int) -> tuple[int, torch.Tensor]:
        if torch.utils.data.get_worker_info() is None:
            raise RuntimeError("not read in a worker process")
        return place, torch.tensor([self._pixels[place]], dtype=torch.float32) / 16


def sample(name: str, plain: torch.Tensor, compiled: torch.Tensor) -> dict[str, object]:
    """Return what both ways answered, and how far apart they are where they differ most."""
    apart = (plain - compiled).abs().max().item()
    return {
        "id": name,
        "prediction": int(compiled.argmax()),
        "target": int(plain.argmax()),
        "scores": {"apart": round(apart, 4), "leads": float(plain.topk(2).values.diff().abs())},
    }


@contextmanager
def timed(out: Path, step: str, phase: str) -> Iterator[None]:
    """Append one event with the seconds the block took."""
    start = time.perf_counter()
    yield
    event = {"step": step, "phase": phase, "seconds": round(time.perf_counter() - start, 6)}
    with (out / "events.jsonl").open("a") as events:
        events.write(json.dumps(event) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/eval"))
