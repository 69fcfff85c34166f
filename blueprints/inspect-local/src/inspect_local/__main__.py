"""Run the task with Inspect; its log goes to `out/artifacts/`.

Usage: python -m inspect_local [FOLDER], a folder with `config.json`, `inputs/` and `out/` (default: /eval).
"""

import json
import os
import sys
from pathlib import Path

from inspect_ai import eval as evaluate
from inspect_ai.model import get_model

from inspect_local import model  # noqa: F401  (Inspect knows a model provider once its module is imported)
from inspect_local.task import debian_sections


def main(root: Path) -> int:
    """Evaluate; return 0 where Inspect says `success`."""
    given = json.loads((root / "config.json").read_text())
    config = given["config"]
    (log,) = evaluate(
        debian_sections(str(root / "inputs" / "test.jsonl")),
        model=get_model(f"tiny/{config['model']}", folder=str(root / "inputs" / "model")),
        seed=given["seed"],
        max_tokens=config["max-tokens"],
        max_connections=1,
        log_dir=str(root / "out" / "artifacts"),
        limit=int(os.environ["EVALCTL_LIMIT"]) if "EVALCTL_LIMIT" in os.environ else None,
        log_format=config["log-format"],
        display="plain",
    )
    return 0 if log.status == "success" else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "/eval")))
