"""A block of samples: the lists that all who look at its fields share, each made once."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, Self, overload

from launcher.spec.sample import Sample

Types = frozenset[type]
ABSENT: Final[Types] = frozenset({type(None)})
# What is read of every sample stands here by its name: that takes half as long.
_READERS: Final[Mapping[str, Callable[[Sequence[Sample]], list[Any]]]] = {
    "id": lambda samples: [sample.id for sample in samples],
    "prediction": lambda samples: [sample.prediction for sample in samples],
    "target": lambda samples: [sample.target for sample in samples],
    "scores": lambda samples: [sample.scores for sample in samples],
    "error": lambda samples: [sample.error for sample in samples],
    "replicate": lambda samples: [sample.replicate for sample in samples],
    "seed": lambda samples: [sample.seed for sample in samples],
}


class Block(Sequence[Sample]):
    """Samples in order; `known` tells the types of fields that the reader has made sure of already."""

    def __init__(self, samples: Sequence[Sample], known: Mapping[str, Types] | None = None) -> None:
        self._rows: Sequence[Any] = samples
        self._types = dict(known or {})
        self._values: dict[str, list[Any]] = {}
        self._columns: dict[str, dict[str, list[Any]] | None] = {}

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Self:
        """Return samples as a block, which they may be already."""
        return samples if isinstance(samples, cls) else cls(samples)

    @property
    def _samples(self) -> Sequence[Sample]:
        return self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self._samples)

    @overload
    def __getitem__(self, place: int) -> Sample: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Sample]: ...
    def __getitem__(self, place: int | slice) -> Sample | Sequence[Sample]:
        return self._samples[place]

    def values(self, field: str) -> list[Any]:
        """Return the field of every sample."""
        if field not in self._values:
            self._values[field] = self._read(field)
        return self._values[field]

    def _read(self, field: str) -> list[Any]:
        if self._types.get(field) == ABSENT:
            return [None] * len(self._rows)
        read = _READERS.get(field)
        return read(self._rows) if read else list(map(attrgetter(field), self._rows))

    def types(self, field: str) -> Types:
        """Return the types of the field's values."""
        if field not in self._types:
            self._types[field] = frozenset(map(type, self.values(field)))
        return self._types[field]

    def lacks(self, field: str) -> bool:
        """Say whether no sample has the field."""
        return self.types(field) <= ABSENT

    def columns(self, field: str) -> dict[str, list[Any]] | None:
        """Return the values in a field's tables by name; None unless all tables have the same names."""
        if field not in self._columns:
            self._columns[field] = _columns(self.values(field))
        return self._columns[field]

    def chosen(self, places: Sequence[int]) -> "Block":
        """Return the block of some of the samples."""
        return Block([self._samples[place] for place in places])


def _columns(tables: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]] | None:
    try:
        if sum(map(len, tables)) != len(tables) * len(tables[0]):
            return None
        return {name: [table[name] for table in tables] for name in tables[0]}
    except (KeyError, TypeError):
        return None
