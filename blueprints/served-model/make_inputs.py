"""Make the inputs of served-model from the wines of wine-loo: python make_inputs.py [--check].

Every second wine, from the first, makes the model; the others are asked about.
"""

import csv
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
WINES = HERE.parent / "wine-loo" / "wine.csv"


def main(check: bool) -> int:
    with WINES.open(newline="") as stream:
        wines = list(csv.DictReader(stream))
    names = [name for name in wines[0] if name not in ("id", "class")]
    rows = [([float(wine[name]) for name in names], int(wine["class"])) for wine in wines]
    made = {
        "model.json": json.dumps(model(names, rows[::2]), indent=1) + "\n",
        "questions.jsonl": lines(
            {"id": wine["id"], "measurements": row}
            for wine, (row, _) in zip(wines[1::2], rows[1::2], strict=True)
        ),
        "answers.jsonl": lines(
            {"id": wine["id"], "target": group}
            for wine, (_, group) in zip(wines[1::2], rows[1::2], strict=True)
        ),
    }
    differ = [name for name, text in made.items() if check and (HERE / name).read_text() != text]
    if not check:
        for name, text in made.items():
            (HERE / name).write_text(text)
    print(f"differ: {', '.join(differ)}" if differ else "as they are" if check else "written")
    return 1 if differ else 0


def model(names: list[str], rows: list[tuple[list[float], int]]) -> dict[str, object]:
    """Return the mean and the spread of each measurement, and each class's mean in units of the spread."""
    columns = list(zip(*(row for row, _ in rows), strict=True))
    means = [sum(column) / len(column) for column in columns]
    spreads = [
        (sum((value - mean) ** 2 for value in column) / len(column)) ** 0.5
        for column, mean in zip(columns, means, strict=True)
    ]
    centres = []
    for group in sorted({group for _, group in rows}):
        own = [row for row, other in rows if other == group]
        scaled = [[(v - m) / s for v, m, s in zip(row, means, spreads, strict=True)] for row in own]
        centres.append([round(sum(column) / len(column), 6) for column in zip(*scaled, strict=True)])
    rounded = {"means": means, "spreads": spreads}
    return {
        "measurements": names,
        **{key: [round(value, 6) for value in values] for key, values in rounded.items()},
        "centres": centres,
    }


def lines(values: object) -> str:
    return "".join(json.dumps(value, separators=(",", ":")) + "\n" for value in values)


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
