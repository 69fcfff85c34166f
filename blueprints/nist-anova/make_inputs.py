"""Make the data of this blueprint: `data/*.dat` as SciPy ships them, and `certified.jsonl` out of them.

README.md says how to run this.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

CERTIFIED = slice(40, 47)  # the header of each file says: lines 41 to 47


def main() -> int:
    """Write the files into `--out`, or compare them with those there (`--check`)."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file would change")
    arguments = parser.parse_args()
    changed = False
    for name, content in made_files().items():
        path = arguments.out / name
        same = path.is_file() and path.read_bytes() == content
        if not same and not arguments.check:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        changed |= not same
        print(f"{name}: {'the same bytes' if same else 'DIFFERS' if arguments.check else 'written'}")
    return int(arguments.check and changed)


def made_files() -> Mapping[str, bytes]:
    """Return the bytes of each file by its name."""
    folder = resources.files("scipy.stats.tests").joinpath("data", "nist_anova")
    shipped = {file.name: file.read_bytes() for file in folder.iterdir() if file.name.endswith(".dat")}
    labels = [
        {"id": name.removesuffix(".dat"), "target": certified_statistic(shipped[name].decode("ascii"))}
        for name in sorted(shipped)
    ]
    lines = [json.dumps(label, separators=(",", ":")) + "\n" for label in labels]
    return {
        **{f"data/{name}": shipped[name] for name in sorted(shipped)},
        "certified.jsonl": "".join(lines).encode(),
    }


def certified_statistic(text: str) -> float:
    """Return the F statistic, the last number of the first row of the certified table."""
    (row,) = [line for line in text.splitlines()[CERTIFIED] if line.startswith("Between")]
    return float(row.split()[-1])


if __name__ == "__main__":
    sys.exit(main())
