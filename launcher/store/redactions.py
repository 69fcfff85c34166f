"""What was redacted in a home: a record beside the keys for each redacted bundle in the store."""

from collections.abc import Mapping
from typing import Any

from launcher.canonical import canonical_bytes, parse_json
from launcher.errors import EvalctlError
from launcher.spec.redaction import Redaction
from launcher.store.files import write_atomically
from launcher.store.home import Home, make_private
from launcher.store.redaction_keys import FOLDER


def record_redaction(home: Home, digest: str, facts: Mapping[str, Any]) -> None:
    """Remember a redacted bundle that is about to appear in the store; `facts` are as a journal has them."""
    folder = make_private(home.root / FOLDER)
    place = folder / f"{digest.removeprefix('sha256:')}.json"
    write_atomically(place, canonical_bytes({**facts, "bundle": digest}))


def redactions_in(home: Home) -> list[Mapping[str, Any]]:
    """Return the record of every redacted bundle that is in the store; what cannot be read is left out."""
    found: list[Mapping[str, Any]] = []
    for place in sorted((home.root / FOLDER).glob("*.json")):
        try:
            record = parse_json(place.read_bytes(), what="the record of a redaction")
            Redaction.from_json(record["redaction"])
        except (OSError, EvalctlError, KeyError, TypeError):
            continue
        if home.bundle(str(record.get("bundle"))).is_dir():
            found.append(record)
    return found
