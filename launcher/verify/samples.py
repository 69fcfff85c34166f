"""The samples of a bundle, read as a stream: the very bytes that were hashed, as often as they are needed."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from launcher.errors import CheckFailedError, MalformedError
from launcher.spec.bundle import MAX_SAMPLES_BYTES, SAMPLES
from launcher.spec.sample import Sample
from launcher.spec.sample_lines import sample_blocks
from launcher.store.directory import FoundFile, Inventory, reopen


class UnreadableSamplesError(MalformedError):
    """Lines that no bundle holds, as opposed to samples that cannot be measured."""


class SampleSource(Struct, frozen=True):
    """The `samples.jsonl` of the bundle at `path`: the file that was found there, with the SHA-256 it had."""

    path: Path
    file: FoundFile
    sha256: str

    def blocks(self) -> Iterator[Sequence[Sample]]:
        """Give the samples in order; raises `CheckFailedError` in the end unless they are what was hashed."""
        state = hashlib.sha256()
        with reopen(self.path, {SAMPLES: self.file}) as inventory:
            pieces = _hashed(inventory, state)
            try:
                yield from sample_blocks(pieces)
            except MalformedError as error:
                self._refuse_changed(pieces, state)
                raise UnreadableSamplesError(error.message, code=error.code, context=error.context) from error
            self._refuse_changed(pieces, state)

    def _refuse_changed(self, rest: Iterator[bytes], state: "hashlib._Hash") -> None:
        """Read to the end, and raise `CheckFailedError` unless these were the bytes that were hashed."""
        for _ in rest:
            pass
        if state.hexdigest() != self.sha256:
            raise CheckFailedError(f"`{SAMPLES}` changed while it was read", code="changed-file")


def sample_source(inventory: Inventory, sha256: str | None = None) -> SampleSource:
    """Return a bundle's samples; without a SHA-256 that is known, with the one they have."""
    file = inventory.files[SAMPLES]
    if file.size > MAX_SAMPLES_BYTES:
        raise CheckFailedError(
            f"`{SAMPLES}` has {file.size} bytes",
            code="file-too-large",
            context=f"the limit is {MAX_SAMPLES_BYTES}",
        )
    return SampleSource(inventory.path, file, sha256 or inventory.sha256(SAMPLES))


def _hashed(inventory: Inventory, state: "hashlib._Hash") -> Iterator[bytes]:
    for chunk in inventory.chunks(SAMPLES):
        state.update(chunk)
        yield chunk
