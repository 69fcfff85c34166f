"""Matching: which of many `where` a sample's groups match."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from launcher.metrics.labels import label_key
from launcher.spec.sample import Sample

Where = Mapping[str, str]

_MOST_KNOWN: Final = 4096


def matches(sample: Sample, where: Where) -> bool:
    """Say whether the sample's groups have the labels of `where`."""
    groups = sample.groups or {}
    return _has({name: label_key(groups[name]) for name in where if name in groups}, where.items())


def _has(keys: Where, wanted: Iterable[tuple[str, str]]) -> bool:
    return all(keys.get(name) == key for name, key in wanted)


class Matcher:
    """Distinct `where`, held against one sample after another; groups that were seen before are known."""

    def __init__(self, wheres: Sequence[Where]) -> None:
        self._wheres = [tuple(where.items()) for where in wheres]
        self._names = {name for where in wheres for name in where}
        self._known: dict[object, tuple[int, ...]] = {}

    def matching(self, sample: Sample) -> tuple[int, ...]:
        """Return the places of those that the sample matches."""
        names, groups = self._names, sample.groups or {}
        # 1 and true are equal to a dictionary, and two labels.
        named = tuple([(name, type(value), value) for name, value in groups.items() if name in names])
        if (found := self._known.get(named)) is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            found = self._known[named] = self._matching(named)
        return found

    def _matching(self, named: Iterable[tuple[str, type, object]]) -> tuple[int, ...]:
        keys = {name: label_key(value) for name, _, value in named}
        return tuple(place for place, where in enumerate(self._wheres) if _has(keys, where))
