"""The model server: the class whose mean is nearest, in units of each measurement's spread."""

import json
from pathlib import Path
from typing import Any

from served_model.http import serve


def main() -> None:
    """Load the model and answer `{"measurements"}` with `{"class"}`."""
    model = json.loads(Path("/eval/inputs/centroids").read_text())

    def answer(asked: Any) -> Any:
        scaled = [
            (value - mean) / spread
            for value, mean, spread in zip(
                asked["measurements"], model["means"], model["spreads"], strict=True
            )
        ]
        distances = [
            sum((value - centre) ** 2 for value, centre in zip(scaled, centres, strict=True))
            for centres in model["centres"]
        ]
        return {"class": distances.index(min(distances))}

    serve(8000, answer)


if __name__ == "__main__":
    main()
