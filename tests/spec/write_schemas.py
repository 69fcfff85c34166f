"""Write docs/schemas/NAME.json for every schema; review the difference."""

import json
from pathlib import Path

from launcher.spec.schema import NAMES, schema_of

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


def text_of(name: str) -> str:
    return json.dumps(schema_of(name), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in NAMES:
        (FOLDER / f"{name}.json").write_text(text_of(name))
