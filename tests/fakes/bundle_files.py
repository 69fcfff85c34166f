"""What a bundle's own files say, read and not checked."""

import json
from pathlib import Path
from typing import Any


def result_of(bundle: Path) -> Any:
    """Return what result.json holds."""
    return json.loads((bundle / "result.json").read_text())


def lock_of(bundle: Path) -> Any:
    """Return the identity in lock.json."""
    return json.loads((bundle / "lock.json").read_text())["identity"]
