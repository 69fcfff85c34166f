"""Make the data of this blueprint: `wine.csv` and `labels.jsonl`, from the copy that scikit-learn ships.

Every number is carried over as it is written there. README.md says how to run this.
"""

import argparse
import csv
import json
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

MEASUREMENTS = (
    "alcohol", "malic-acid", "ash", "alcalinity-of-ash", "magnesium", "total-phenols", "flavanoids",
    "nonflavanoid-phenols", "proanthocyanins", "color-intensity", "hue", "od280-od315", "proline",
)  # fmt: skip


def main() -> int:
    """Write the two files into `--out`, or compare them with those there (`--check`)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file would change")
    arguments = parser.parse_args()
    changed = False
    for name, content in made_files().items():
        path = arguments.out / name
        same = path.is_file() and path.read_bytes() == content
        if not same and not arguments.check:
            path.write_bytes(content)
        changed |= not same
        print(f"{name}: {'the same bytes' if same else 'DIFFERS' if arguments.check else 'written'}")
    return int(arguments.check and changed)


def made_files() -> Mapping[str, bytes]:
    """Return the bytes of each file by its name; the first line shipped holds counts and class names."""
    shipped = resources.files("sklearn.datasets.data").joinpath("wine_data.csv").read_text(encoding="ascii")
    (count, width, *_), *rows = csv.reader(shipped.splitlines())
    if (len(rows), len(MEASUREMENTS)) != (int(count), int(width)):
        raise ValueError(f"{len(rows)} wines of {count}, {len(MEASUREMENTS)} measurements of {width}")
    ids = [f"wine-{index:03}" for index in range(len(rows))]
    table = [("id", *MEASUREMENTS, "class"), *((name, *row) for name, row in zip(ids, rows, strict=True))]
    labels = [{"id": name, "target": int(row[-1])} for name, row in zip(ids, rows, strict=True)]
    return {
        "wine.csv": "".join(",".join(line) + "\n" for line in table).encode(),
        "labels.jsonl": "".join(json.dumps(label, separators=(",", ":")) + "\n" for label in labels).encode(),
    }


if __name__ == "__main__":
    sys.exit(main())
