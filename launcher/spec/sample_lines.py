"""Read a bundle's samples.jsonl as a stream: some thousand lines at a time, in bounded memory.

Lines are read whole blocks at a time where it is certain that they are canonical (`spec/sample_shapes.py`).
All else goes line by line through the plain reader (`spec/sample.py:read_bundle_line`), which decides and
words every refusal.
"""

import operator
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from launcher.errors import MalformedError
from launcher.spec.sample import (
    BEFORE_ALL,
    MAX_BUNDLE_LINE,
    MAX_BUNDLE_SAMPLES,
    MAX_REPLICATE_SAMPLES,
    Place,
    Sample,
    read_bundle_line,
    refuse_order,
    sample_fault,
)
from launcher.spec.sample_block import Block
from launcher.spec.sample_shapes import Shapes, read_line

_BLOCK: Final = 1 << 18


def sample_blocks(data: Iterable[bytes]) -> Iterator[Block]:
    """Yield the samples of a bundle's samples.jsonl, whose bytes `data` gives piece by piece, in order.

    Raises `MalformedError` with the code `bad-samples` and the line's number for bytes that
    `spec/sample.py:bundle_samples` would not write.
    """
    shapes, number, last, in_replicate = Shapes(), 1, BEFORE_ALL, 0
    for block in _whole_lines(data):
        samples = _read_block(block, number, last, shapes)
        in_replicate = _count_replicate(samples, last[0], in_replicate)
        number, last = number + len(samples), samples[-1].place
        if number > MAX_BUNDLE_SAMPLES + 1:
            raise sample_fault(MAX_BUNDLE_SAMPLES + 1, f"there are more than {MAX_BUNDLE_SAMPLES} samples")
        if in_replicate > MAX_REPLICATE_SAMPLES:
            raise sample_fault(number - 1, f"its replicate has more than {MAX_REPLICATE_SAMPLES} samples")
        yield samples


def _whole_lines(data: Iterable[bytes]) -> Iterator[bytes]:
    """Cut `data` anew into blocks of whole lines, each with its line feed; raises for a line without end."""
    pieces: list[bytes] = []
    for piece in _small(data):
        end = piece.rfind(b"\n") + 1
        # Of the lines that end here, only one that began before can be too long.
        longest = sum(map(len, pieces)) + (piece.find(b"\n") + 1 if end else len(piece))
        if longest > MAX_BUNDLE_LINE:
            raise _malformed(f"a line of `samples.jsonl` is longer than {MAX_BUNDLE_LINE} bytes")
        if end:
            yield b"".join((*pieces, piece[:end]))
            pieces = []
        if end < len(piece):
            pieces.append(piece[end:])
    if pieces:
        raise _malformed("the last line of `samples.jsonl` has no line feed")


def _small(data: Iterable[bytes]) -> Iterator[bytes]:
    for piece in data:
        for start in range(0, len(piece), _BLOCK):
            yield piece[start : start + _BLOCK]


def _read_block(block: bytes, number: int, last: Place, shapes: Shapes) -> Block:
    samples = shapes.read(block)
    if samples and _in_order(samples, last):
        return samples
    return Block(_read_lines(block, number, last))


def _in_order(samples: Block, last: Place) -> bool:
    if samples[0].place <= last:
        return False
    replicates = samples.values("replicate")
    if replicates.count(replicates[0]) == len(samples) and samples.lacks("epoch") and samples.lacks("task"):
        ids = samples.values("id")
        return all(map(operator.lt, ids, ids[1:]))
    return all(before < after for before, after in pairwise([sample.place for sample in samples]))


def _read_lines(block: bytes, number: int, last: Place) -> list[Sample]:
    """Read whole lines one by one: the plain reader has the say about what is not certain."""
    samples = []
    for count, line in enumerate(block[:-1].split(b"\n"), start=number):
        sample = read_one(line + b"\n", count)
        refuse_order(sample, last, count)
        last = sample.place
        samples.append(sample)
    return samples


def read_one(line: bytes, number: int = 1) -> Sample:
    """Read one line of a bundle's samples.jsonl with its line feed; `number` names it in errors.

    Raises `MalformedError` with the code `bad-samples`.
    """
    return read_line(line) or read_bundle_line(line[:-1], number)


def _count_replicate(samples: Sequence[Sample], before: int, count: int) -> int:
    """Return how many samples the last replicate has so far, `count` of replicate `before` included."""
    replicate = samples[-1].replicate
    if samples[0].replicate == replicate:
        return count + len(samples) if replicate == before else len(samples)
    return sum(sample.replicate == replicate for sample in samples)


def _malformed(message: str) -> MalformedError:
    return MalformedError(message, code="bad-samples", context="expected: canonical lines")
