"""The shapes that lines of a bundle's samples.jsonl mostly have, as msgspec reads whole blocks of them.

What it reads is written again: where its spelling and RFC 8785's cannot differ and the bytes are the same, a
block is canonical. Where all lines are alike (`spec/alike_lines.py`), that takes half as long.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from launcher.canonical import MAX_DEPTH, MAX_INTEGER, is_plain
from launcher.spec.alike_lines import Alike, Name, Number, alike
from launcher.spec.sample import Sample
from launcher.spec.sample_block import Block
from launcher.spec.sample_fields import MAX_ERROR, MAX_NAMES, MAX_SEED

_Count = Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
_Scores = Annotated[dict[Name, Number], Meta(max_length=MAX_NAMES)]
_Weight = Annotated[int, Meta(gt=0)] | Annotated[float, Meta(gt=0)]


class _Line(
    Sample, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True, omit_defaults=True
):  # fmt: skip
    """A sample as one line of a bundle holds it."""

    id: Name
    replicate: _Count
    seed: Annotated[int, Meta(ge=0, le=MAX_SEED)]
    prediction: Any = None
    target: Any = None
    scores: _Scores | None = None
    groups: Annotated[dict[Name, str | bool | int | float], Meta(max_length=MAX_NAMES)] | None = None
    weight: _Weight | None = None
    input_sha256: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")] | None = None
    seconds: None = None
    error: Annotated[str, Meta(min_length=1, max_length=MAX_ERROR // 4)] | None = None
    epoch: _Count | None = None
    task: Name | None = None


_ANY: Final = msgspec.json.Decoder(_Line)
_encoder: Final = msgspec.json.Encoder(order="sorted")
# So many blocks in turn that are not of one kind, and no more are expected.
_MOST_MISSES: Final = 4
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
    """The shapes that the blocks of one file may have: mostly that of their first line, else any."""

    def __init__(self) -> None:
        self._alike: Alike | None = None
        self._misses = 0

    def read(self, block: bytes) -> Block | None:
        """Return the samples of whole lines if it is certain that they are canonical; None says nothing."""
        try:
            return _certain(*(self._read_alike(block) or _read_any(block)), block)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None

    def _read_alike(self, block: bytes) -> tuple[Block, bytes] | None:
        """Read lines that are like those of the last block, or else like the first of this one."""
        for fresh in (False, True) if self._misses < _MOST_MISSES else ():
            if fresh:
                self._alike = alike(_ANY.decode(block[: block.index(b"\n")]))
            if self._alike is not None:
                with suppress(msgspec.ValidationError):
                    found = self._alike.read(block)
                    self._misses = 0
                    return found
        self._misses += 1
        return None


def read_line(line: bytes) -> Sample | None:
    """Return the sample of a line, with its line feed, if it is certain that it is canonical."""
    try:
        samples = _certain(*_read_any(line), line)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return samples[0] if samples else None


def _read_any(block: bytes) -> tuple[Block, bytes]:
    """Return the samples of whole lines, and how msgspec writes them."""
    samples = _ANY.decode_lines(block)
    return Block(samples), _encoder.encode_lines(samples)


def _certain(samples: Block, written: bytes, block: bytes) -> Block | None:
    """Return the samples of a block, which msgspec writes so, if it is certain that it is canonical."""
    plain = written == block
    if not plain and _SMALL.sub(rb"\g<1>0.00000\2\3", written) != block:
        return None
    return samples if _is_certain(samples, block, plain=plain) else None


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
