"""Lines that have the same fields as the first of their block, read as values of a class made for just these.

What a block's first line does not have need not be looked for in the others, and its names need not be held
for each of them: that takes half the time of a class that has a place for every field.
"""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, Final, Literal, overload

import msgspec
from msgspec import Meta, Struct

from launcher.spec.sample import Sample
from launcher.spec.sample_block import ABSENT, Block
from launcher.spec.sample_fields import MAX_TEXT

# A character has at most four bytes; what is longer in characters is measured in bytes by the plain reader.
Name = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT // 4)]
Number = int | float

_encoder: Final = msgspec.json.Encoder()
_COLUMNS: Final = 64
_PLAIN_NAME: Final = re.compile(rf"[ !#-\[\]-~]{{1,{MAX_TEXT // 4}}}", re.ASCII)
_FIELDS: Final = Sample.__struct_fields__
_CONSTANT: Final = ("replicate", "seed")
_TEXTS: Final = ("prediction", "target")


class Alike(Struct, frozen=True):
    """How to read lines that are alike: their fields, the names of their scores, and what all have alike."""

    decoder: msgspec.json.Decoder[Any]
    fields: frozenset[str]
    scores: tuple[str, ...]
    constants: dict[str, int]

    def read(self, block: bytes) -> tuple["AlikeBlock", bytes]:
        """Return the samples of whole lines, and how msgspec writes them.

        Raises `msgspec.ValidationError` where the lines are of another kind.
        """
        lines = self.decoder.decode_lines(block)
        return AlikeBlock(lines, self), _encoder.encode_lines(lines)


def alike(first: Sample) -> Alike | None:
    """Return how to read lines that are like this one; None where there is no such reader."""
    given = {name: value for name in _FIELDS if (value := getattr(first, name)) is not None}
    scores = tuple(sorted(given.get("scores", ())))
    if not _is_simple(given, scores):
        return None
    constants = {name: given[name] for name in _CONSTANT}
    kinds: dict[str, Any] = {"id": Name, **{name: Literal[value] for name, value in constants.items()}}
    kinds.update({name: str for name in _TEXTS if name in given})
    if scores:
        kinds["scores"] = _struct([(f"n{place}", Number) for place in range(len(scores))], scores)
    # The names are in RFC 8785's order, so that they are written in it without being sorted for every line.
    line = _struct([(name, kinds[name]) for name in sorted(kinds)])
    return Alike(msgspec.json.Decoder(line), frozenset(kinds), scores, constants)


def _is_simple(given: dict[str, Any], scores: Sequence[str]) -> bool:
    """Say whether a line has but texts, replicate, seed and a few scores with everyday names."""
    simple = given.keys() <= {"id", "scores", *_TEXTS, *_CONSTANT} and given.keys() >= set(_CONSTANT)
    texts = all(type(given.get(name, "")) is str for name in _TEXTS)
    named = len(scores) <= _COLUMNS and all(map(_PLAIN_NAME.fullmatch, scores))
    return simple and texts and named and bool(scores) == ("scores" in given)


def _struct(fields: list[tuple[str, Any]], names: Sequence[str] | None = None) -> Any:
    renamed = dict(zip((field for field, _ in fields), names, strict=True)) if names else None
    return msgspec.defstruct(
        "Alike", fields, frozen=True, gc=False, forbid_unknown_fields=True, rename=renamed
    )  # fmt: skip


class AlikeBlock(Block):
    """A block of lines that are alike: its samples are made only where they are asked for one by one."""

    def __init__(self, lines: Sequence[Any], shape: Alike) -> None:
        known = {name: ABSENT for name in _FIELDS if name not in shape.fields}
        known |= {name: frozenset({str}) for name in ("id", *_TEXTS) if name in shape.fields}
        known |= {name: frozenset({int}) for name in _CONSTANT}
        if shape.scores:
            known["scores"] = frozenset({dict})
        super().__init__(lines, known)
        self._lines, self._shape = lines, shape

    @cached_property
    def _made(self) -> Sequence[Sample]:
        return list(map(Sample, *map(self.values, _FIELDS)))

    @property
    def _samples(self) -> Sequence[Sample]:
        return self._made

    @overload
    def __getitem__(self, place: int) -> Sample: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Sample]: ...
    def __getitem__(self, place: int | slice) -> Sample | Sequence[Sample]:
        if isinstance(place, slice) or "_made" in self.__dict__:
            return self._made[place]
        return AlikeBlock([self._lines[place]], self._shape)._made[0]

    def _read(self, field: str) -> list[Any]:
        if field in self._shape.constants:
            return [self._shape.constants[field]] * len(self._lines)
        if field == "scores" and self._shape.scores:
            columns = self.columns(field) or {}
            return [
                dict(zip(columns, numbers, strict=True)) for numbers in zip(*columns.values(), strict=True)
            ]
        return super()._read(field)

    def columns(self, field: str) -> dict[str, list[Any]] | None:
        """Return the values in a field's tables by name; None unless all tables have the same names."""
        if field not in self._columns and field == "scores" and self._shape.scores:
            self._columns[field] = {
                name: [getattr(line.scores, f"n{place}") for line in self._lines]
                for place, name in enumerate(self._shape.scores)
            }
        return super().columns(field)
