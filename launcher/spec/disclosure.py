"""What is left of a bundle of which parts are withheld: its files, made of the values given out."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from launcher.canonical import canonical_bytes
from launcher.spec.commitments import Entry, Header, bad, object_bytes
from launcher.spec.redaction import SAMPLE_FIELDS, Redaction
from launcher.spec.sample import Sample, bundle_sample

# Of every sample these stay: what its contributions to the metrics are added up with.
FIXED: Final = ("failed", "item", "replicate", "seed", "weight")
DISCREPANCIES: Final = "discrepancies-count"
# Parts of result.json that hold what samples say.
_TELLING: Final = frozenset({"tables", "discrepancies"})
_UNSAID: Final = "a claim of the container was not confirmed; its words are withheld"
_METRIC: Final = "metric."
_OURS: Final = frozenset({"failed", "item"})


class Choice(Struct, frozen=True):
    """What is to be withheld: words of `WITHHOLDABLE`, and the samples of these ids as a whole."""

    withheld: frozenset[str]
    ids: frozenset[str] = frozenset()

    @property
    def takes_samples(self) -> bool:
        """Say whether anything of a sample is withheld."""
        return bool(self.ids) or any(word in SAMPLE_FIELDS for word in self.withheld)


def metric_column(index: int) -> str:
    """Return the column of the samples' contributions to the metric in this place of the blueprint."""
    return f"{_METRIC}{index}"


def require_columns(header: Header, metrics: int) -> None:
    """Raise `CheckFailedError` unless there are columns for so many metrics, and those of every sample."""
    found = {column for column in header.columns if column.startswith(_METRIC)}
    if found != {metric_column(index) for index in range(metrics)}:
        raise bad("there are not commitments to the contributions to each metric")
    if lacking := {*FIXED, "id"} - {*header.columns}:
        raise bad(f"there is no commitment to the samples' `{min(lacking)}`")


def bare_event(event: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return a step of the launcher without its details; None for one that a container told of."""
    if event.get("source") != "launcher":
        return None
    return {name: value for name, value in event.items() if name != "detail"}


def disclosed(openings: Iterable[Entry], choice: Choice) -> Iterator[Entry]:
    """Yield the openings that are given out where `choice` is withheld."""
    for entry in openings:
        if entry.kind == "sample":
            yield _disclosed_sample(entry, choice)
        elif _is_disclosed(entry, choice):
            yield entry


def left_of(samples: Iterable[Sample], choice: Choice) -> Iterator[Sample]:
    """Yield what is left of the samples of which at least the id is given out."""
    gone = dict.fromkeys(withheld_columns(choice.withheld))
    return (replace(sample, **gone) for sample in samples if sample.id not in choice.ids)


def _is_disclosed(entry: Entry, choice: Choice) -> bool:
    if entry.kind == "event":
        return "event-details" in choice.withheld
    return entry.kind == "result" and not (choice.takes_samples and entry.name in _TELLING)


def _disclosed_sample(entry: Entry, choice: Choice) -> Entry:
    gone = withheld_columns(choice.withheld)
    if is_whole(entry) or entry.cells["id"][1] in choice.ids:
        cells = {column: cell for column, cell in entry.cells.items() if _stays(column)}
    else:
        cells = {column: cell for column, cell in entry.cells.items() if column not in gone}
    return Entry(entry.kind, entry.name, cells)


def withheld_columns(withheld: Collection[str]) -> frozenset[str]:
    """Return the columns that are taken from every sample."""
    return frozenset(name for word in withheld for name in SAMPLE_FIELDS.get(word, ()))


def _stays(column: str) -> bool:
    return column in FIXED or column.startswith(_METRIC)


def is_whole(entry: Entry) -> bool:
    """Say whether the sample is withheld as a whole: not even its id is given out."""
    return "id" not in entry.cells


def check_sample_columns(entry: Entry, columns: Sequence[str], withheld: Collection[str]) -> None:
    """Raise `CheckFailedError` unless a sample gives out what one must where `withheld` is said to be."""
    given = entry.cells.keys()
    expected = {column for column in columns if _stays(column)}
    if not is_whole(entry):
        expected = {*columns} - withheld_columns(withheld)
    if given != expected:
        odd = min(given ^ expected)
        raise bad(
            f"a sample {'gives out' if odd in given else 'withholds'} its {odd!a}, against what is said"
        )


def sample_left(entry: Entry) -> Sample | None:
    """Return the sample as far as it is given out; None where not even its id is.

    Raises `MalformedError` for values that no sample has.
    """
    return None if is_whole(entry) else bundle_sample(_fields(entry))


def left_line(entry: Entry) -> bytes:
    """Return the line of samples.jsonl for a sample of which at least the id is given out."""
    return object_bytes(_fields(entry)) + b"\n"


def _fields(entry: Entry) -> dict[str, Any]:
    return {
        column: value
        for column, value in entry.cells.items()
        if value is not None and column not in _OURS and not column.startswith(_METRIC)
    }


def event_line(event: Mapping[str, Any]) -> bytes:
    """Return the line of events.jsonl for a step that is left."""
    return canonical_bytes(event) + b"\n"


def result_json(values: Mapping[str, Any], redaction: Redaction) -> dict[str, Any]:
    """Return result.json of the parts that are given out; raises `CheckFailedError` where one is missing."""
    table = {name: value for name, value in values.items() if name != DISCREPANCIES}
    if redaction.takes_samples:
        count = values.get(DISCREPANCIES)
        if _TELLING & table.keys() or type(count) is not int or not 0 <= count <= 4096:
            raise bad("the parts of the result that are given out are not those that should be")
        table |= {"tables": {}, "discrepancies": [_UNSAID] * count}
    return {**table, "redaction": redaction.as_json()}
