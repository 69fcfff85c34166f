"""What the tests of redaction share: a program that leaves a canary everywhere, and its bundle."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from launcher.spec.disclosure import Choice
from tests.fakes.engine import World as Inside
from tests.fakes.finished import Finished
from tests.fakes.world import SmallWorld, write_lines

CANARY = "canary-7f3e91d2"


METRICS = """[[metric]]
name = "macro"
definition = "f1@1"
parameters = { average = "macro", resamples = 200 }

[[metric]]
name = "loss"
definition = "mean@1"
of = "scores.loss"
where = { size = "large" }

"""


SECTIONS = {
    "score": None,
    "labels": None,
    "run": 'command = ["answer"]\nseeds = [3, 4]',
    "tail": METRICS + "[bundle]\nredactable = true\n",
}


def tell(inside: Inside) -> int:
    """Leave a canary in one sample, and in everything else that a program can leave."""
    samples = [
        {
            "id": f"item-{number:02}",
            "prediction": ["lda", "svm"][number % 2],
            "target": ["lda", "svm", "lda"][number % 3],
            "scores": {"loss": number / 7},
            "groups": {"size": ["large", "small"][number % 2]},
            "weight": 1 + number % 2,
            "seconds": 0.25,
        }
        for number in range(12)
    ]
    samples[7] |= {
        "id": f"the {CANARY}",
        "prediction": f"{CANARY} predicted",
        "target": f"{CANARY} wanted",
        "task": f"{CANARY} task",
        "input_sha256": "ab" * 32,
        "seconds": 0.5,
    }
    samples[7]["groups"]["who"] = f"{CANARY} group"
    samples.append(
        {"id": f"failed {CANARY}", "target": "lda", "error": f"broke on {CANARY}", "scores": {"loss": 1}}
    )
    samples[-1]["groups"] = {"size": "large"}
    write_lines(inside.outputs / "samples.jsonl", samples)
    event = {"step": f"load {CANARY}", "phase": f"of {CANARY}", "detail": {"last": CANARY}}
    write_lines(inside.outputs / "events.jsonl", [event])
    (inside.outputs / "artifacts").mkdir()
    (inside.outputs / "artifacts" / "trace.txt").write_text(f"looked at {CANARY}")
    inside.stdout.extend(f"{CANARY} on stdout\n".encode())
    inside.stderr.extend(base64.b64encode(CANARY.encode()) + b"\n")
    return 0


def redact(world: SmallWorld, bundle: Path, *withheld: str, ids: tuple[str, ...] = ()) -> Path:
    from launcher.redact import Redactor
    from launcher.redact import redact as redact_bundle

    usual = {"artifacts", "event-details", "logs", "prediction-files"}
    redactor = Redactor(world.home, world.signer, world.policy, datetime.now(UTC))
    return redact_bundle(bundle, Choice(frozenset(withheld) | usual, frozenset(ids)), redactor).path


def said_by(answer: Finished) -> Any:
    return json.loads(answer.out)


def why(world: SmallWorld, bundle: Path) -> str:
    verification = world.verify(bundle)
    assert verification.verdict == "failed", verification.checks
    return "; ".join(check.detail for check in verification.checks if check.status == "failed")
