"""Check that what a bundle records beside its result, events and resources, is well-formed."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from launcher.errors import CheckFailedError
from launcher.spec import bundle
from launcher.spec.record_lines import check_event_lines, check_resource_lines
from launcher.store.directory import Inventory
from launcher.trust.checks import Check, checked


def check_records(inventory: Inventory, digests: Mapping[str, str]) -> Check:
    """Return the check of events.jsonl and resources.jsonl: the very bytes that have these digests."""

    def compare() -> None:
        _read(inventory, bundle.EVENTS, digests, check_event_lines)
        _read(inventory, bundle.RESOURCES, digests, check_resource_lines)

    return checked("records", compare)


def _read(
    inventory: Inventory, name: str, digests: Mapping[str, str], check: Callable[[Iterable[bytes]], int]
) -> None:
    state = hashlib.sha256()
    check(_hashed(inventory, name, state))
    if state.hexdigest() != digests[name]:
        raise CheckFailedError(f"`{name}` changed while it was read", code="changed-file")


def _hashed(inventory: Inventory, name: str, state: "hashlib._Hash") -> Iterator[bytes]:
    for chunk in inventory.chunks(name):
        state.update(chunk)
        yield chunk
