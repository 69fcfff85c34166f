"""The environment manifest: facts, each with the place it was read from."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args

from msgspec import Struct

from launcher.canonical import canonical_bytes, parse_json
from launcher.errors import CheckFailedError
from launcher.spec.image import ImagePins

SCHEMA = "evalctl/environment/v1"

Source = Literal["image", "engine", "host", "probe", "declared"]


class Fact(Struct, frozen=True):
    """One observation: a dotted name, a JSON value, and who says so."""

    name: str
    value: Any
    source: Source


def image_facts(pins: ImagePins) -> Iterator[Fact]:
    """Yield what an image says of itself by its digests, as a lock pins it."""
    yield Fact("image.manifest", pins.manifest, "image")
    yield Fact("image.config", pins.config, "image")
    yield Fact("image.diff-ids", list(pins.diff_ids), "image")
    yield Fact("image.platform", pins.platform, "image")


def service_image_facts(service: str, pins: ImagePins) -> Iterator[Fact]:
    """Yield the same of a service's image."""
    for fact in image_facts(pins):
        yield Fact(f"service.{service}.{fact.name}", fact.value, fact.source)


def read_environment(data: bytes) -> dict[str, Any]:
    """Return the facts of `environment.json`, name to value; raises as `read_facts` does."""
    return {fact.name: fact.value for fact in read_facts(data)}


def read_facts(data: bytes) -> tuple[Fact, ...]:
    """Return the facts of `environment.json`; a name stands once.

    Raises `CheckFailedError` for bytes that `environment_bytes` would not write.
    """
    table = parse_json(data, what="environment.json")
    try:
        facts = tuple(Fact(item["name"], item["value"], item["source"]) for item in table["facts"])
        same = environment_bytes(facts) == data
    except (KeyError, TypeError) as error:
        raise _malformed() from error
    well_typed = all(isinstance(fact.name, str) and fact.source in get_args(Source) for fact in facts)
    if not same or not well_typed or len({fact.name for fact in facts}) != len(facts):
        raise _malformed()
    return facts


def _malformed() -> CheckFailedError:
    return CheckFailedError("`environment.json` is not a list of facts", code="bad-environment")


def environment_bytes(facts: Iterable[Fact]) -> bytes:
    """Return the bytes of `environment.json`: canonical JSON of `facts` sorted by name, and a line feed."""
    listed = [{"name": fact.name, "value": fact.value, "source": fact.source} for fact in facts]
    ordered = sorted(listed, key=lambda fact: (fact["name"], fact["source"]))
    return canonical_bytes({"schema": SCHEMA, "facts": ordered}) + b"\n"
