"""The shapes that lines of a bundle's samples.jsonl mostly have, as msgspec reads whole blocks of them.

What it reads is written again: where its spelling and RFC 8785's cannot differ and the bytes are the same, a
block is canonical. A narrow shape that fits also tells, without a look at the samples, what they lack.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from launcher.canonical import MAX_DEPTH, MAX_INTEGER, is_plain
from launcher.spec.sample import Sample
from launcher.spec.sample_block import ABSENT, Block, Types
from launcher.spec.sample_fields import MAX_ERROR, MAX_NAMES, MAX_SEED, MAX_TEXT

# A character has at most four bytes; what is longer in characters is measured in bytes by the plain reader.
_Name = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT // 4)]
_Count = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
_Number = int | float
_Scores = Annotated[dict[_Name, _Number], Meta(max_length=MAX_NAMES)]
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
    scores: _Scores | None = None
    groups: Annotated[dict[_Name, str | bool | int | float], Meta(max_length=MAX_NAMES)] | None = None
    weight: _Weight | None = None
    input_sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")] | None = None
    seconds: None = None
    error: Annotated[str, Meta(min_length=1, max_length=MAX_ERROR // 4)] | None = None
    epoch: _Count | None = None
    task: _Name | None = None


class _Answer(_Line, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """A line with two texts and nothing more that may be left out."""

    prediction: str
    target: str
    scores: None = None
    groups: None = None
    weight: None = None
    input_sha256: None = None
    error: None = None
    epoch: None = None
    task: None = None


class _Scored(_Line, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """A line with scores and nothing more that may be left out."""

    prediction: None = None
    target: None = None
    scores: _Scores
    groups: None = None
    weight: None = None
    input_sha256: None = None
    error: None = None
    epoch: None = None
    task: None = None


class _Shape(Struct, frozen=True):
    """A reader of lines, and the types of the fields that it lets through."""

    decoder: msgspec.json.Decoder[Any]
    known: Mapping[str, Types] = {}


_ALL_ABSENT: Final = dict.fromkeys(("groups", "weight", "error", "epoch", "task"), ABSENT)
_ANY: Final = _Shape(msgspec.json.Decoder(_Line))
# What fits most blocks of a file tells without a look at the samples what they lack.
_NARROW: Final = (
    _Shape(
        msgspec.json.Decoder(_Answer),
        _ALL_ABSENT | {"prediction": frozenset({str}), "target": frozenset({str}), "scores": ABSENT},
    ),
    _Shape(msgspec.json.Decoder(_Scored), _ALL_ABSENT | {"prediction": ABSENT, "target": ABSENT}),
)
_encoder: Final = msgspec.json.Encoder(order="sorted")
_TEXTS: Final = frozenset({str, bool, type(None)})
_CONTAINERS: Final = frozenset({list, dict})
_CERTAIN: Final = _TEXTS | {float}
# From one to the other msgspec writes an exponent, and RFC 8785 none. Nothing but a number is changed by that
# where block and samples are the same: text that looks like one would no longer be what was read.
_MOST_SMALL: Final = 1e-6
_LEAST_PLAIN: Final = 1e-5
_SMALL: Final = re.compile(rb"(?<=[:,\[])(-?)([1-9])(?:\.([0-9]+))?e-6(?=[,}\]])")
_MOST_FLOAT: Final = 1e16


class Shapes:
    """The shapes that the blocks of one file may have; one that did not fit is not tried again."""

    def __init__(self, shapes: Sequence[_Shape] = (*_NARROW, _ANY)) -> None:
        self._left = list(shapes)

    def read(self, block: bytes) -> Block | None:
        """Return the samples of whole lines if it is certain that they are canonical; None says nothing."""
        try:
            samples = self._decoded(block)
            written = _encoder.encode_lines(samples)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
        found, plain = Block(samples, self._left[0].known), written == block
        if not plain and _SMALL.sub(rb"\g<1>0.00000\2\3", written) != block:
            return None
        return found if _is_certain(found, block, plain=plain) else None

    def _decoded(self, block: bytes) -> list[Sample]:
        while len(self._left) > 1:
            try:
                return self._left[0].decoder.decode_lines(block)
            except msgspec.ValidationError:
                del self._left[0]
        return self._left[0].decoder.decode_lines(block)


def read_line(line: bytes) -> Sample | None:
    """Return the sample of a line, with its line feed, if it is certain that it is canonical."""
    samples = Shapes((_ANY,)).read(line)
    return samples[0] if samples else None


def _is_certain(samples: Block, block: bytes, *, plain: bool) -> bool:
    """Say whether these values were written as RFC 8785 has them, nested no deeper than `MAX_DEPTH`.

    They were as msgspec writes them if `plain`, and else with other floats in `_SMALL`'s place.
    """
    types = samples.types("prediction") | samples.types("target")
    if not types.isdisjoint(_CONTAINERS) and not _is_shallow(block):
        return False
    for field in ("prediction", "target", "weight"):
        if not samples.types(field) <= _TEXTS and not _are_certain(samples.values(field), plain=plain):
            return False
    return all(_are_certain_tables(samples, field, block, plain=plain) for field in ("scores", "groups"))


def _is_shallow(block: bytes) -> bool:
    return all(line.count(b"{") + line.count(b"[") <= MAX_DEPTH for line in block.split(b"\n"))


def _are_certain_tables(samples: Block, field: str, block: bytes, *, plain: bool) -> bool:
    if samples.lacks(field):
        return True
    columns = samples.columns(field)
    if columns is not None:
        return all(name.isascii() and _are_certain(each, plain=plain) for name, each in columns.items())
    tables: list[Mapping[str, Any]] = [table for table in samples.values(field) if table is not None]
    names = block.isascii() or all(name.isascii() for table in tables for name in table)
    return names and _are_certain([value for table in tables for value in table.values()], plain=plain)


def _are_certain(values: Sequence[Any], *, plain: bool) -> bool:
    types = set(map(type, values))
    if float in types:
        floats = values if len(types) == 1 else [value for value in values if type(value) is float]
        if not _are_certain_floats(floats, plain=plain):
            return False
    return types <= _CERTAIN or all(type(value) is float or is_plain(value) for value in values)


def _are_certain_floats(values: Sequence[float], *, plain: bool) -> bool:
    """Say so of floats: both write the shortest digits, with the same exponents where they have one."""
    sizes = values if min(values) > 0 else list(map(abs, values))
    if max(sizes) >= _MOST_FLOAT or any(map(float.is_integer, values)):
        return False
    return (
        not plain
        or min(sizes) >= _LEAST_PLAIN
        or not any(_MOST_SMALL <= size < _LEAST_PLAIN for size in sizes)
    )
