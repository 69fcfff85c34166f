"""The sample: one item of an evaluation, as the container leaves it and as the bundle keeps it.

A container leaves one JSON object a line. The bundle holds the same objects with `replicate` and `seed`
added and `seconds` moved to the events, as RFC 8785 lines ordered by replicate, task, id and epoch.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any, BinaryIO, Final

from msgspec import Struct
from msgspec.structs import replace

from launcher.canonical import MAX_DEPTH, MAX_INTEGER, canonical_bytes, parse_json
from launcher.errors import MalformedError
from launcher.spec.sample_fields import CHECKS, EXPECTED

# What a bundle may hold: bytes in one line, lines of one replicate, and lines in all.
MAX_BUNDLE_LINE: Final = 2 << 20
MAX_REPLICATE_SAMPLES: Final = 2_000_000
MAX_BUNDLE_SAMPLES: Final = 4_000_000

_MAX_SHOWN: Final = 3

Place = tuple[int, str, str, int]
BEFORE_ALL: Final[Place] = (-1, "", "", -1)

_LONG_INTEGER: Final = re.compile(rb"[0-9]{16}")


class SampleLimits(Struct, frozen=True):
    """How much a container may leave: bytes in one line, and lines."""

    line: int = 1 << 20
    samples: int = MAX_REPLICATE_SAMPLES


class _Source(Struct, frozen=True):
    """Which file is read, and the code of its faults."""

    name: str
    code: str

    def fault(self, number: int, message: str) -> MalformedError:
        return MalformedError(
            f"line {number} of {self.name}: {message}",
            code=self.code,
            hint='each line is one object such as {"id": "1", "prediction": "a"}',
        )


_SAMPLES: Final = _Source("`samples.jsonl`", "bad-samples")
_LABELS: Final = _Source("the labels", "bad-labels")


class Sample(Struct, frozen=True):
    """One item of one replicate; None means that the field is absent, which JSON null never does.

    A sample with `error`, or with neither prediction nor scores, is a failed item. Samples with the same
    `task` and `id` in other epochs or replicates are the same item measured again.
    """

    id: str
    prediction: Any = None
    target: Any = None
    scores: Mapping[str, float] | None = None
    groups: Mapping[str, Any] | None = None
    weight: float | None = None
    input_sha256: str | None = None
    seconds: float | None = None
    error: str | None = None
    epoch: int | None = None
    task: str | None = None
    replicate: int | None = None
    seed: int | None = None

    @property
    def is_failed(self) -> bool:
        """Say whether the container failed on this item."""
        return self.error is not None or (self.prediction is None and not self.scores)

    @property
    def key(self) -> tuple[str, str, int]:
        """Return what is unique within a replicate, and its order: task, id, epoch (absent comes first)."""
        return (self.task or "", self.id, -1 if self.epoch is None else self.epoch)

    @property
    def place(self) -> Place:
        """Return what is unique within a bundle, and its order: replicate, then `key`."""
        return (-1 if self.replicate is None else self.replicate, *self.key)

    def as_json(self) -> dict[str, Any]:
        """Return the fields that are present."""
        return {name: value for name in CHECKS if (value := getattr(self, name)) is not None}

    def line(self) -> bytes:
        """Return the sample's RFC 8785 bytes and a line feed."""
        return canonical_bytes(self.as_json()) + b"\n"


class Timing(Struct, frozen=True):
    """How long one sample took, for the events: samples themselves hold no clock."""

    replicate: int
    task: str | None
    id: str
    epoch: int | None
    seconds: float


class BundledSamples(Struct, frozen=True):
    """What goes into the bundle: the bytes of samples.jsonl, its samples in order, the times taken out."""

    data: bytes
    samples: tuple[Sample, ...]
    timings: tuple[Timing, ...]


def read_container_samples(source: bytes | BinaryIO, limits: SampleLimits = SampleLimits()) -> list[Sample]:
    """Read the samples.jsonl a container left, in the order of its lines.

    Raises `MalformedError` with the code `bad-samples` and the number of the line: the candidate's fault.
    """
    stream = BytesIO(source) if isinstance(source, bytes) else source
    samples: list[Sample] = []
    seen: set[tuple[str, str, int]] = set()
    for number, line in enumerate(_lines(stream, limits, _SAMPLES), start=1):
        try:
            sample = _sample(parse_json(line, what="it"), _CONTAINER_FIELDS)
        except MalformedError as error:
            raise _SAMPLES.fault(number, error.message) from error
        if sample.key in seen:
            raise _SAMPLES.fault(number, f"the sample `{_shown(sample.id)}` stands twice")
        seen.add(sample.key)
        samples.append(sample)
    return samples


def container_sample(table: Any) -> Sample:
    """Return the sample that one object of a container is; raises `MalformedError` saying what is wrong."""
    return _sample(table, _CONTAINER_FIELDS)


def bundle_sample(table: Any) -> Sample:
    """Return the sample that one object of a bundle is; raises `MalformedError` saying what is wrong."""
    sample = _sample(table, _BUNDLE_FIELDS)
    _require(table, "replicate", "seed")
    return sample


def read_bundle_line(line: bytes, number: int) -> Sample:
    """Read one line of a bundle's samples.jsonl, which has exactly one form; `number` names it in errors.

    Raises `MalformedError` with the code `bad-samples`.
    """
    try:
        return bundle_sample(_canonical_table(line))
    except MalformedError as error:
        raise sample_fault(number, error.message) from error


def refuse_order(sample: Sample, last: Place, number: int) -> None:
    """Raise `MalformedError` unless the sample on line `number` comes behind what stands at `last`."""
    if sample.place <= last:
        raise sample_fault(number, f"the sample `{_shown(sample.id)}` is out of order or stands twice")


def sample_fault(number: int, message: str) -> MalformedError:
    """Return the error for line `number` of a `samples.jsonl`."""
    return _SAMPLES.fault(number, message)


def bundle_samples(replicates: Sequence[Sequence[Sample]], seeds: Sequence[int]) -> BundledSamples:
    """Make the bundle's samples of what each replicate left, `seeds[i]` being the seed of `replicates[i]`.

    Raises `MalformedError` where replicates did not answer the same items: a mean over them would be over
    different questions.
    """
    refuse_uneven(replicates)
    ordered = [
        (sample, replace(sample, replicate=index, seed=seed, seconds=None))
        for index, (samples, seed) in enumerate(zip(replicates, seeds, strict=True))
        for sample in sorted(samples, key=lambda sample: sample.key)
    ]
    timings = tuple(
        Timing(bundled.replicate or 0, left.task, left.id, left.epoch, left.seconds)
        for left, bundled in ordered
        if left.seconds is not None
    )
    samples = tuple(bundled for _, bundled in ordered)
    lines = [sample.line() for sample in samples]
    _refuse_large(samples, lines)
    return BundledSamples(b"".join(lines), samples, timings)


def read_labels(data: bytes, limits: SampleLimits = SampleLimits()) -> dict[str, Any]:
    """Read held-out labels, `{"id", "target"}` a line, as a table from id to target.

    Raises `MalformedError` with the code `bad-labels` and the number of the line: the blueprint's fault.
    """
    labels: dict[str, Any] = {}
    for number, line in enumerate(_lines(BytesIO(data), limits, _LABELS), start=1):
        try:
            label = _sample(parse_json(line, what="it"), _LABEL_FIELDS)
        except MalformedError as error:
            raise _LABELS.fault(number, error.message) from error
        if label.target is None:
            raise _LABELS.fault(number, "`target` is missing")
        if label.id in labels:
            raise _LABELS.fault(number, f"the label of `{_shown(label.id)}` stands twice")
        labels[label.id] = label.target
    return labels


def first_items(samples: Iterable[Sample], limit: int) -> list[Sample]:
    """Return the samples of the first `limit` items (task and id), in the order in which they stand."""
    kept: dict[tuple[str | None, str], None] = {}
    chosen = []
    for sample in samples:
        item = (sample.task, sample.id)
        if item in kept or len(kept) < limit:
            kept[item] = None
            chosen.append(sample)
    return chosen


def join_labels(samples: Iterable[Sample], labels: bytes, *, partial: bool = False) -> list[Sample]:
    """Give each sample of one replicate the target that `labels` holds for its id.

    Of a partial run, labels may be left over.

    Raises `MalformedError`: `bad-labels` where the labels are not well-formed, `bad-samples` where samples
    and labels do not cover the same ids or a sample brings a target of its own.
    """
    table = read_labels(labels)
    joined, without_label = [], []
    for sample in samples:
        if sample.target is not None:
            raise _bad_samples(
                f"the sample `{_shown(sample.id)}` brings its own `target`", "the targets are held out"
            )
        if sample.id in table:
            joined.append(replace(sample, target=table[sample.id]))
        else:
            without_label.append(sample.id)
    unanswered = table.keys() - {sample.id for sample in joined}
    if without_label:
        raise _bad_samples(f"{_listed(without_label)} without a label", "every sample's id has a label")
    if unanswered and not partial:
        raise _bad_samples(f"{_listed(unanswered)} not answered", f"all {len(table)} labelled ids, once each")
    return joined


def refuse_uneven(replicates: Sequence[Sequence[Sample]]) -> None:
    """Raise `MalformedError` unless all replicates answered the same items in the same epochs."""
    answered = [{sample.key for sample in samples} for samples in replicates]
    for index, keys in enumerate(answered):
        if odd := keys ^ answered[0]:
            raise _bad_samples(
                f"replicate {index} differs from replicate 0 in {_listed(key[1] for key in odd)}",
                "every replicate answers the same items",
            )


def _refuse_large(samples: Sequence[Sample], lines: Sequence[bytes]) -> None:
    """Raise `MalformedError` for more than a bundle may hold, so that verifying it takes bounded memory."""
    if len(samples) > MAX_BUNDLE_SAMPLES:
        raise _bad_samples(f"there are {len(samples)} samples", f"at most {MAX_BUNDLE_SAMPLES} in a bundle")
    for sample, line in zip(samples, lines, strict=True):
        if len(line) > MAX_BUNDLE_LINE:
            raise _bad_samples(
                f"the sample `{_shown(sample.id)}` has {len(line)} bytes in its canonical form",
                f"at most {MAX_BUNDLE_LINE}",
            )


def _lines(stream: BinaryIO, limits: SampleLimits, source: _Source) -> Iterator[bytes]:
    """Yield each line without its line feed; the last may lack one."""
    number = 0
    while line := stream.readline(limits.line + 1):
        number += 1
        if len(line) > limits.line:
            raise source.fault(number, f"it is longer than {limits.line} bytes")
        if number > limits.samples:
            raise source.fault(number, f"there are more than {limits.samples} lines")
        yield line.removesuffix(b"\n")


def _canonical_table(line: bytes) -> Any:
    """Read one line that must be RFC 8785 already.

    Writing it again and comparing refuses duplicate keys, NaN and every other spelling at once, so the
    standard library's faster reader is enough; depth is bounded first, because that reader recurses.
    """
    if line.count(b"[") + line.count(b"{") > MAX_DEPTH:
        table = parse_json(line, what="it")
    else:
        try:
            table = json.loads(line.decode(), parse_int=_double if _LONG_INTEGER.search(line) else None)
        except (ValueError, OverflowError) as error:
            raise _complaint(f"it is not JSON: {error}") from error
    if canonical_bytes(table) != line:
        raise _complaint("it is not canonical (RFC 8785)")
    return table


def _double(digits: str) -> float:
    """Read what RFC 8785 writes for a double from 2^53 up to 10^21: digits without an exponent."""
    value = int(digits)
    return value if abs(value) <= MAX_INTEGER else float(value)


def _sample(table: Any, fields: frozenset[str]) -> Sample:
    if not isinstance(table, dict):
        raise _complaint("it is not an object")
    _require(table, "id")
    for name, value in table.items():
        if name not in fields:
            raise _complaint(f"unknown field `{_shown(name)}`")
        if value is None:
            raise _complaint(f"`{name}` is null; leave the field out")
        if not CHECKS[name](value):
            raise _complaint(f"`{name}` is not {EXPECTED[name]}")
    return Sample(**table)


def _require(table: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if name not in table:
            raise _complaint(f"`{name}` is missing")


_CONTAINER_FIELDS: Final = frozenset(CHECKS) - {"replicate", "seed"}
_BUNDLE_FIELDS: Final = frozenset(CHECKS) - {"seconds"}
_LABEL_FIELDS: Final = frozenset({"id", "target"})


def _listed(ids: Iterable[str]) -> str:
    names = sorted(set(ids))
    shown = ", ".join(f"`{_shown(name)}`" for name in names[:_MAX_SHOWN])
    more = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return f"{len(names)} {'id' if len(names) == 1 else 'ids'} ({shown}{more})"


def _shown(text: str) -> str:
    """Return `text` fit for one line of an error, whatever a container put in it."""
    plain = text if text.isprintable() else ascii(text)[1:-1]
    return plain if len(plain) <= 80 else plain[:79] + "…"


def _complaint(message: str) -> MalformedError:
    return MalformedError(message, code="bad-samples")


def _bad_samples(message: str, expected: str) -> MalformedError:
    return MalformedError(message, code="bad-samples", context=f"expected: {expected}")
