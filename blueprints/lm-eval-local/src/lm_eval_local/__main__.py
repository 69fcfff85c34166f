"""Become the program `lm_eval`: its arguments come from the blueprint's `[config]` and the seed.

Usage: python -m lm_eval_local [FOLDER], a folder with `config.json`, `inputs/` and `out/` (default: /eval).
"""

import json
import os
import shlex
import sys
from pathlib import Path


def main(root: Path) -> None:
    """Replace this process by lm-evaluation-harness's own command line."""
    given = json.loads((root / "config.json").read_text())
    command = harness_command(root, given["config"], given["seed"])
    print(shlex.join(command), flush=True)
    os.execvp(command[0], command)


def harness_command(root: Path, config: dict, seed: int) -> list[str]:
    """Return the command: local files alone, a log of each sample."""
    model = {"pretrained": str(root / "inputs" / "model"), "dtype": "float32"}
    options = {
        "--model": "hf",
        "--model_args": ",".join(f"{key}={value}" for key, value in model.items()),
        "--device": "cpu",
        "--tasks": config["task"],
        "--include_path": str(Path(__file__).parent / "tasks"),
        "--batch_size": str(config["batch"]),
        "--seed": str(seed),
        "--output_path": str(root / "out" / "artifacts"),
    }
    if "EVALCTL_LIMIT" in os.environ:
        options["--limit"] = os.environ["EVALCTL_LIMIT"]
    return ["lm_eval", "run", *(part for option in options.items() for part in option), "--log_samples"]


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "/eval"))
