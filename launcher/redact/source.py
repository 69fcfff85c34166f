"""The source of a redaction: a verified bundle, and every opening that its keeper can give out of it."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from msgspec import Struct

from launcher.canonical import parse_json
from launcher.errors import CheckFailedError
from launcher.metrics.committed import CommittedSamples, Parts, launcher_steps
from launcher.spec import bundle
from launcher.spec.commitments import Entry, SaltKey, header_line
from launcher.spec.openings import opened_and_line, read_openings
from launcher.spec.redaction import Redaction
from launcher.spec.sample import Sample
from launcher.store.directory import Inventory
from launcher.verify import Contents
from launcher.verify.commitments import checked_lines


class Source(Struct, frozen=True):
    """A verified bundle that may be redacted; `key` is there unless it was redacted before."""

    path: Path
    contents: Contents
    key: SaltKey | None

    @property
    def redaction(self) -> Redaction | None:
        """What is withheld of it already."""
        return self.contents.result.redaction

    def samples(self) -> Iterator[Sample]:
        """Yield the samples that are there, in their order."""
        return chain.from_iterable(self.contents.source.blocks())

    def openings(self, inventory: Inventory) -> Iterator[Entry]:
        """Yield every opening in order; what is in a file is committed to by its digest, and has none.

        Raises `CheckFailedError`, behind the last, where an original's commitments are not to what it holds.
        """
        if self.key is None:
            return read_openings(_lines(inventory, bundle.OPENINGS))
        return _open_all(inventory, self.contents, self.key)


def _lines(inventory: Inventory, name: str) -> Iterator[bytes]:
    return checked_lines(inventory, name, {name: inventory.sha256(name)})


def _open_all(inventory: Inventory, contents: Contents, key: SaltKey) -> Iterator[Entry]:
    """Yield every opening of an original, and make sure that its commitments are of this key."""
    sums = bundle.read_sums(inventory.read(bundle.SUMS, bundle.MAX_LISTING_BYTES))
    result = parse_json(inventory.read(bundle.RESULT, bundle.MAX_RECORD_BYTES), what=bundle.RESULT)
    parts = Parts(result, sums, launcher_steps(_lines(inventory, bundle.EVENTS)))
    with (inventory.path / bundle.SAMPLES).open("rb") as file:
        samples = CommittedSamples(key, file, contents.blueprint.metrics)
        state = hashlib.sha256(header_line(samples.header))
        yield from _opened(key, chain(parts.entries(), samples.entries()), state)
    if state.hexdigest() != sums[bundle.COMMITMENTS]:
        raise CheckFailedError(
            "the bundle's commitments are not to what it holds, or not by this home's key of it",
            code="bad-commitments",
        )


def _opened(key: SaltKey, entries: Iterable[Entry], state: "hashlib._Hash") -> Iterator[Entry]:
    for entry in entries:
        opening, line = opened_and_line(key, entry)
        state.update(line)
        if entry.kind != "file":
            yield opening
