"""Write every case into a folder of its own: python -m tests.bundles.build [DIR] (default build/bundles)."""

import json
import shutil
import sys
from pathlib import Path

from tests.bundles.case import Case
from tests.bundles.corpus import cases


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "build/bundles")
    target.mkdir(parents=True, exist_ok=True)
    for case in cases():
        if (target / case.name).exists():
            shutil.rmtree(target / case.name)
        write(case, target / case.name)
    print(f"{len(cases())} cases in {target}")


def write(case: Case, folder: Path) -> None:
    """Make one case, and say beside the bundle what is expected of it."""
    case.build(folder)
    said = {
        "attack": case.attack,
        "arguments": list(case.arguments),
        "exit_code": case.exit_code,
        "refused_by": case.refused_by,
        "words": case.words,
    }
    (folder / "case.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
