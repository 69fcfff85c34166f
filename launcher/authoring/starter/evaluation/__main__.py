"""The command: read the reviews, write a line of `samples.jsonl` for each."""

import json
from pathlib import Path

from evaluation import classify


def run(reviews: Path, config: Path, samples: Path) -> None:
    """Classify every line of `reviews`; `id` is what joins a prediction to its label."""
    undecided = json.loads(config.read_text())["config"]["undecided"]
    with reviews.open() as lines, samples.open("w") as out:
        for line in lines:
            review = json.loads(line)
            sample = {"id": review["id"], "prediction": classify(review["text"], undecided)}
            print(json.dumps(sample), file=out)


if __name__ == "__main__":
    run(Path("/eval/inputs/reviews"), Path("/eval/config.json"), Path("/eval/out/samples.jsonl"))
