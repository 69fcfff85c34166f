"""What of a bundle is committed to: each part of it and its value, in the order of commitments.jsonl."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from launcher.errors import CheckFailedError, MalformedError
from launcher.metrics.contributions import Contributor, contributors
from launcher.spec.blueprint import Metric
from launcher.spec.bundle import COMMITMENTS, SUMS
from launcher.spec.commitments import Entry, Header, SaltKey, event_name, refuse_large
from launcher.spec.disclosure import DISCREPANCIES, FIXED, bare_event, metric_column
from launcher.spec.sample import Sample

_ALWAYS: Final = ("id", "replicate", "seed", "weight")
_FIELDS: Final = ("epoch", "error", "groups", "input_sha256", "prediction", "scores", "target", "task")


class Parts(Struct, frozen=True):
    """A bundle before it is signed; `digests` has the hex SHA-256 of each of its files, by path."""

    result: Mapping[str, Any]
    digests: Mapping[str, str]
    events: Sequence[Mapping[str, Any]]
    samples: Sequence[Sample]
    metrics: Sequence[Metric]


class Committed(Struct, frozen=True):
    """The header of a bundle's commitments, and every part with its value."""

    header: Header
    entries: tuple[Entry, ...]


def committed_parts(key: SaltKey, parts: Parts) -> Committed:
    """Return what is committed to of a bundle: parts of its result, its files, its events, its samples."""
    # Without samples there is no score, and nothing that a metric could be made of.
    ways = contributors(parts.metrics, parts.samples) if parts.samples else ()
    present = _present(parts.samples)
    columns = sorted((*FIXED, *_ALWAYS, *present, *(metric_column(index) for index in range(len(ways)))))
    header = Header(tuple(sorted(set(columns))), tuple(way.form.as_json() for way in ways))
    entries = [*_result(parts), *_files(parts), *_events(parts)]
    return Committed(header, (*entries, *_samples(key, parts, (*_ALWAYS, *present), ways)))


def refuse_unredactable(samples: Sequence[Sample], size: int, metrics: int) -> None:
    """Raise `MalformedError` for samples, of `size` bytes, that are too many to commit to."""
    try:
        refuse_large(len(samples), len({*FIXED, *_ALWAYS, *_present(samples)}) + metrics, size)
    except CheckFailedError as error:
        raise MalformedError(error.message, code="bad-samples") from error


def _present(samples: Sequence[Sample]) -> tuple[str, ...]:
    return tuple(name for name in _FIELDS if any(getattr(each, name) is not None for each in samples))


def committed_names(parts: Parts) -> list[tuple[str, str]]:
    """Return the kind and name of every part but the samples, whose names only the key's owner knows."""
    return [(entry.kind, entry.name) for entry in (*_result(parts), *_files(parts), *_events(parts))]


def _result(parts: Parts) -> list[Entry]:
    values = {**parts.result, DISCREPANCIES: len(parts.result["discrepancies"])}
    return [Entry("result", name, {"": values[name]}) for name in sorted(values)]


def _files(parts: Parts) -> Iterator[Entry]:
    for path in sorted(parts.digests.keys() - {COMMITMENTS, SUMS}, key=str.encode):
        yield Entry("file", path, {"": parts.digests[path]})


def _events(parts: Parts) -> Iterator[Entry]:
    for number, event in enumerate(parts.events):
        if (bare := bare_event(event)) is not None:
            yield Entry("event", event_name(number), {"": bare})


def _samples(key: SaltKey, parts: Parts, fields: Sequence[str], ways: Sequence[Contributor]) -> list[Entry]:
    entries = []
    for sample in parts.samples:
        values: dict[str, Any] = {name: getattr(sample, name) for name in fields}
        values["failed"] = sample.is_failed
        values["item"] = key.item(sample.task, sample.id)
        values |= {metric_column(index): way.of(sample) for index, way in enumerate(ways)}
        place = (sample.replicate or 0, sample.task, sample.id, sample.epoch)
        entries.append(Entry("sample", key.sample(place), values))
    return sorted(entries, key=lambda entry: entry.name)
