"""The scorer: brings predictions and held-out answers together and asks the judge about each."""

import json
from pathlib import Path

from served_model.http import ask


def main() -> None:
    """Grade every prediction."""
    answers = {}
    for line in Path("/eval/inputs/answers").read_text().splitlines():
        answer = json.loads(line)
        answers[answer["id"]] = answer["target"]
    with Path("/eval/out/samples.jsonl").open("w") as samples:
        for line in Path("/eval/predictions/samples.jsonl").read_text().splitlines():
            sample = json.loads(line)
            target = answers[sample["id"]]
            asked = {"prediction": sample["prediction"], "target": target}
            score = ask("http://judge:8001/", asked)["score"]
            samples.write(json.dumps({**sample, "target": target, "scores": {"judge": score}}) + "\n")


if __name__ == "__main__":
    main()
