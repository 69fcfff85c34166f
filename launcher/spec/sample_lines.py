"""Read a bundle's samples.jsonl as a stream: some thousand lines at a time, in bounded memory.

Lines are read whole blocks at a time by msgspec and written again: where its spelling and RFC 8785's cannot
differ and the bytes are the same, the block is canonical. All else goes line by line through the plain
reader (`spec/sample.py:read_bundle_line`), which decides and words every refusal.
"""

import operator
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from launcher.canonical import MAX_DEPTH, MAX_INTEGER, is_plain
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
from launcher.spec.sample_fields import MAX_ERROR, MAX_NAMES, MAX_SEED, MAX_TEXT

_BLOCK: Final = 1 << 18
# A character has at most four bytes; what is longer in characters is measured in bytes by the plain reader.
_Name = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT // 4)]
_Count = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
_Number = int | float
_Weight = Annotated[int, Meta(gt=0)] | Annotated[float, Meta(gt=0)]


class _Line(
    Sample, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True, omit_defaults=True
):  # fmt: skip
    """A sample as one line of a bundle holds it."""

    id: _Name
    replicate: _Count
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED)]
    prediction: Any = None
    target: Any = None
    scores: Annotated[dict[_Name, _Number], Meta(max_length=MAX_NAMES)] | None = None
    groups: Annotated[dict[_Name, str | bool | int | float], Meta(max_length=MAX_NAMES)] | None = None
    weight: _Weight | None = None
    input_sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")] | None = None
    seconds: None = None
    error: Annotated[str, Meta(min_length=1, max_length=MAX_ERROR // 4)] | None = None
    epoch: _Count | None = None
    task: _Name | None = None


_decoder: Final = msgspec.json.Decoder(_Line)
_encoder: Final = msgspec.json.Encoder(order="sorted")
_TEXTS: Final = frozenset({str, bool, type(None)})
_CONTAINERS: Final = frozenset({list, dict})


def sample_blocks(data: Iterable[bytes]) -> Iterator[list[Sample]]:
    """Yield the samples of a bundle's samples.jsonl, whose bytes `data` gives piece by piece, in order.

    Raises `MalformedError` with the code `bad-samples` and the line's number for bytes that
    `spec/sample.py:bundle_samples` would not write.
    """
    number, last, in_replicate = 1, BEFORE_ALL, 0
    for block in _whole_lines(data):
        samples = _read_block(block, number, last)
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


def _read_block(block: bytes, number: int, last: Place) -> list[Sample]:
    samples = _decoded(block)
    if samples and _in_order(samples, last, block):
        return samples
    return _read_lines(block, number, last)


def _decoded(block: bytes) -> list[Sample] | None:
    """Return the samples of whole lines if it is certain that they are canonical; None says nothing."""
    try:
        samples: list[Sample] = _decoder.decode_lines(block)  # type: ignore[assignment]
        same = _encoder.encode_lines(samples) == block
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return samples if same and _is_certain(samples, block) else None


def _is_certain(samples: Sequence[Sample], block: bytes) -> bool:
    """Say whether msgspec writes these values as RFC 8785 does, nested no deeper than `MAX_DEPTH`."""
    values: list[Any] = [sample.prediction for sample in samples]
    values += [sample.target for sample in samples]
    kinds = set(map(type, values))
    if not kinds.isdisjoint(_CONTAINERS) and not _is_shallow(block):
        return False
    if not kinds <= _TEXTS and not all(map(is_plain, values)):
        return False
    if b'"weight":' in block and not all(is_plain(sample.weight) for sample in samples):
        return False
    return _has_plain_tables(samples, block)


def _is_shallow(block: bytes) -> bool:
    return all(line.count(b"{") + line.count(b"[") <= MAX_DEPTH for line in block.split(b"\n"))


def _has_plain_tables(samples: Sequence[Sample], block: bytes) -> bool:
    if b'"groups":' not in block and b'"scores":' not in block:
        return True
    tables = [table for sample in samples for table in (sample.groups, sample.scores) if table]
    names = block.isascii() or all(name.isascii() for table in tables for name in table)
    numbers = [value for table in tables for value in table.values() if type(value) not in _TEXTS]
    return names and all(map(is_plain, numbers))


def _in_order(samples: Sequence[Sample], last: Place, block: bytes) -> bool:
    if samples[0].place <= last:
        return False
    if b'"epoch":' in block or b'"task":' in block or samples[0].replicate != samples[-1].replicate:
        return all(before < after for before, after in pairwise([sample.place for sample in samples]))
    ids = [sample.id for sample in samples]
    same = len({sample.replicate for sample in samples}) == 1
    return same and all(map(operator.lt, ids, ids[1:]))


def _read_lines(block: bytes, number: int, last: Place) -> list[Sample]:
    """Read whole lines one by one: the plain reader has the say about what is not certain."""
    samples = []
    for count, line in enumerate(block[:-1].split(b"\n"), start=number):
        certain = _decoded(line + b"\n")
        sample = certain[0] if certain else read_bundle_line(line, count)
        refuse_order(sample, last, count)
        last = sample.place
        samples.append(sample)
    return samples


def _count_replicate(samples: Sequence[Sample], before: int, count: int) -> int:
    """Return how many samples the last replicate has so far, `count` of replicate `before` included."""
    replicate = samples[-1].replicate
    if samples[0].replicate == replicate:
        return count + len(samples) if replicate == before else len(samples)
    return sum(sample.replicate == replicate for sample in samples)


def _malformed(message: str) -> MalformedError:
    return MalformedError(message, code="bad-samples", context="expected: canonical lines")
