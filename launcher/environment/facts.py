"""The environment manifest: facts, each with the place it was read from."""

from collections.abc import Iterable
from typing import Any, Literal

from msgspec import Struct

from launcher.canonical import canonical_bytes

SCHEMA = "evalctl/environment/v1"

Source = Literal["image", "engine", "host", "probe", "declared"]


class Fact(Struct, frozen=True):
    """One observation: a dotted name, a JSON value, and who says so."""

    name: str
    value: Any
    source: Source


def environment_bytes(facts: Iterable[Fact]) -> bytes:
    """Return the bytes of `environment.json`: canonical JSON of `facts` sorted by name, and a line feed."""
    listed = [{"name": fact.name, "value": fact.value, "source": fact.source} for fact in facts]
    ordered = sorted(listed, key=lambda fact: (fact["name"], fact["source"]))
    return canonical_bytes({"schema": SCHEMA, "facts": ordered}) + b"\n"
