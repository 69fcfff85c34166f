"""What is left of a bundle of which parts are withheld: its files, made of the values given out."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from launcher.canonical import canonical_bytes
from launcher.errors import MalformedError
from launcher.spec.commitments import Entry, Header, bad
from launcher.spec.redaction import SAMPLE_FIELDS, Redaction
from launcher.spec.sample import Sample, bundle_sample

# Of every sample these stay: what its contributions to the metrics are added up with.
FIXED: Final = ("failed", "item", "replicate", "seed", "weight")
DISCREPANCIES: Final = "discrepancies-count"
# Parts of result.json that hold what samples say.
_TELLING: Final = frozenset({"tables", "discrepancies"})
_UNSAID: Final = "a claim of the container was not confirmed; its words are withheld"
_METRIC: Final = "metric."


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


def disclosed(openings: Iterable[Entry], choice: Choice) -> list[Entry]:
    """Return the openings that are given out where `choice` is withheld."""
    left = []
    for entry in openings:
        if entry.kind == "sample":
            left.append(_disclosed_sample(entry, choice))
        elif _is_disclosed(entry, choice):
            left.append(entry)
    return left


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


def samples_left(entries: Iterable[Entry]) -> tuple[Sample, ...]:
    """Return the samples of which at least the id is given out, in their order.

    Raises `CheckFailedError` for values that no sample has.
    """
    try:
        samples = [bundle_sample(_fields(entry)) for entry in entries if not is_whole(entry)]
    except MalformedError as error:
        raise bad(error.message) from error
    return tuple(sorted(samples, key=lambda sample: sample.place))


def _fields(entry: Entry) -> dict[str, Any]:
    ours = {"failed", "item"}
    return {
        column: value
        for column, value in entry.cells.items()
        if value is not None and column not in ours and not column.startswith(_METRIC)
    }


def samples_bytes(samples: Iterable[Sample]) -> bytes:
    """Return samples.jsonl of what is left."""
    return b"".join(sample.line() for sample in samples)


def events_bytes(entries: Iterable[Entry]) -> bytes:
    """Return events.jsonl of the steps that are left."""
    return b"".join(canonical_bytes(entry.cells[""]) + b"\n" for entry in entries)


def result_json(values: Mapping[str, Any], redaction: Redaction) -> dict[str, Any]:
    """Return result.json of the parts that are given out; raises `CheckFailedError` where one is missing."""
    table = {name: value for name, value in values.items() if name != DISCREPANCIES}
    if redaction.takes_samples:
        count = values.get(DISCREPANCIES)
        if _TELLING & table.keys() or type(count) is not int or not 0 <= count <= 4096:
            raise bad("the parts of the result that are given out are not those that should be")
        table |= {"tables": {}, "discrepancies": [_UNSAID] * count}
    return {**table, "redaction": redaction.as_json()}
