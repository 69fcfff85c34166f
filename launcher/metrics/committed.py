"""What of a bundle is committed to: each part of it and its value, in the order of commitments.jsonl.

Samples are read from their file as often as they are needed: what is held of each is its name and place.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final

from msgspec import Struct

from launcher.canonical import parse_json
from launcher.errors import CheckFailedError, MalformedError
from launcher.metrics.contributions import FoundLabels
from launcher.spec.blueprint import Metric
from launcher.spec.bundle import COMMITMENTS, SUMS
from launcher.spec.commitments import Entry, Header, SaltKey, event_name, refuse_large
from launcher.spec.disclosure import DISCREPANCIES, FIXED, bare_event, metric_column
from launcher.spec.sample import Sample
from launcher.spec.sample_lines import read_one

_ALWAYS: Final = ("id", "replicate", "seed", "weight")
_FIELDS: Final = ("epoch", "error", "groups", "input_sha256", "prediction", "scores", "target", "task")

# Of each sample the opaque name, and where its line begins.
_NAME: Final = 16
_PLACE: Final = 24
_MANY: Final = 1 << 20


class Parts(Struct, frozen=True):
    """A bundle without its samples; `digests` has the hex SHA-256 of each of its files, by path.

    `steps` are those of the launcher, each with the number of its line in events.jsonl.
    """

    result: Mapping[str, Any]
    digests: Mapping[str, str]
    steps: Sequence[tuple[int, Mapping[str, Any]]]

    def entries(self) -> Iterator[Entry]:
        """Yield every part of the bundle but its samples, with its value."""
        yield from self._result()
        yield from self._files()
        yield from self._events()

    def _result(self) -> Iterator[Entry]:
        values = {**self.result, DISCREPANCIES: len(self.result["discrepancies"])}
        yield from (Entry("result", name, {"": values[name]}) for name in sorted(values))

    def _files(self) -> Iterator[Entry]:
        for path in sorted(self.digests.keys() - {COMMITMENTS, SUMS}, key=str.encode):
            yield Entry("file", path, {"": self.digests[path]})

    def _events(self) -> Iterator[Entry]:
        for number, event in self.steps:
            if (bare := bare_event(event)) is not None:
                yield Entry("event", event_name(number), {"": bare})


def launcher_steps(lines: Iterable[bytes]) -> list[tuple[int, Mapping[str, Any]]]:
    """Return the steps of the launcher in events.jsonl: what containers told may be much more.

    Raises `CheckFailedError` for a line that holds something else than an object.
    """
    return [
        (number, _step(parse_json(line, what="an event")))
        for number, line in enumerate(lines)
        if b'"source":"launcher"' in line
    ]


def _step(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise CheckFailedError("an event is no object", code="bad-records")
    return value


class CommittedSamples:
    """The samples in a file, which is a bundle's and was read before, as they are committed to."""

    def __init__(self, key: SaltKey, file: BinaryIO, metrics: Sequence[Metric]) -> None:
        self._key, self._file = key, file
        places = bytearray()
        found, present = FoundLabels(metrics), set[str]()
        for offset, sample in _placed(file):
            name = key.sample((sample.replicate or 0, sample.task, sample.id, sample.epoch))
            places += bytes.fromhex(name) + offset.to_bytes(_PLACE - _NAME, "big")
            found.add(sample)
            present.update(field for field in _FIELDS if getattr(sample, field) is not None)
        self._places = _sorted(places)
        self._fields = (*_ALWAYS, *(field for field in _FIELDS if field in present))
        # Without samples there is no score, and nothing that a metric could be made of.
        self._ways = found.ways() if self._places else ()

    @property
    def header(self) -> Header:
        """Return the first line of commitments.jsonl."""
        contributed = map(metric_column, range(len(self._ways)))
        columns = sorted({*FIXED, *self._fields, *contributed})
        return Header(tuple(columns), tuple(way.form.as_json() for way in self._ways))

    def entries(self) -> Iterator[Entry]:
        """Yield each sample with the value of every column, by their opaque names."""
        for start in range(0, len(self._places), _PLACE):
            name, end = start + _NAME, start + _PLACE
            self._file.seek(int.from_bytes(self._places[name:end], "big"))
            sample = read_one(self._file.readline())
            yield Entry("sample", self._places[start:name].hex(), self._values(sample))

    def _values(self, sample: Sample) -> dict[str, Any]:
        values: dict[str, Any] = {name: getattr(sample, name) for name in self._fields}
        values["failed"] = sample.is_failed
        values["item"] = self._key.item(sample.task, sample.id)
        for index, way in enumerate(self._ways):
            values[metric_column(index)] = way.of(sample)
        return values


def _sorted(places: bytearray) -> bytes:
    """Return names with their offsets, sorted; many at once, in little memory."""
    if len(places) < _MANY:
        return b"".join(sorted(bytes(places[at : at + _PLACE]) for at in range(0, len(places), _PLACE)))
    import numpy as np

    np.frombuffer(places, dtype=f"S{_PLACE}").sort()
    return bytes(places)


def _placed(file: BinaryIO) -> Iterator[tuple[int, Sample]]:
    offset = 0
    file.seek(0)
    for line in file:
        yield offset, read_one(line)
        offset += len(line)


def refuse_unredactable(samples: Sequence[Sample], metrics: int) -> None:
    """Raise `MalformedError` for samples that are too many to commit to."""
    try:
        refuse_large(len(samples), len({*FIXED, *_ALWAYS, *_present(samples)}) + metrics)
    except CheckFailedError as error:
        raise MalformedError(error.message, code="bad-samples") from error


def _present(samples: Sequence[Sample]) -> tuple[str, ...]:
    return tuple(name for name in _FIELDS if any(getattr(each, name) is not None for each in samples))


def committed_names(parts: Parts) -> Iterator[tuple[str, str]]:
    """Yield the kind and name of every part but the samples, whose names only the key's owner knows."""
    return ((entry.kind, entry.name) for entry in parts.entries())
