"""The client: asks the server about each wine and writes down what it says."""

import json
from pathlib import Path

from served_model.http import ask


def main() -> None:
    """Ask about every question."""
    with Path("/eval/out/samples.jsonl").open("w") as samples:
        for line in Path("/eval/inputs/questions").read_text().splitlines():
            wine = json.loads(line)
            answer = ask("http://server:8000/", {"measurements": wine["measurements"]})
            samples.write(json.dumps({"id": wine["id"], "prediction": answer["class"]}) + "\n")


if __name__ == "__main__":
    main()
