"""Redacted bundles by launchers and redactors with a trusted key, who lie where nobody can look."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from launcher.spec.disclosure import Choice
from tests.bundles.case import Case, leave, rows
from tests.bundles.forging import signed_rows
from tests.bundles.honest import Files
from tests.bundles.redacting import KEY, RUN, USUAL, Lie, change_samples, redacted
from tests.bundles.redactions import EVERY, MACRO, SOME, openings_file, some

_UNTRUE = "something else than its fields say"
_RANKED = RUN.but(metric=MACRO)
_INPUTS = Choice(USUAL | {"inputs"})
_TARGETS = Choice(USUAL | {"predictions"})


def cases() -> Iterator[Case]:
    """Yield the bundles."""
    for title, (said, words, base) in _LAUNCHERS.items():
        yield Case(
            title=title,
            group="redaction",
            attack=said,
            forge=leave,
            refused_by="metrics",
            words=words,
            base=cache(base),
        )
    yield from rows("redaction", "contents", signed_rows(_OPENINGS), base=some)
    yield from rows("redaction", "withheld", signed_rows(_RESULTS), base=some)


def _lying(lie: Lie, choice: Choice, run: Any = RUN) -> Callable[[], Files]:
    return lambda: redacted(choice, run, lie)


def _failed_and_right(cells: dict[str, Any]) -> None:
    cells["metric.0"] = [True, True]


def _nothing(cells: dict[str, Any]) -> None:
    if cells["id"] == "item-0004":
        cells["metric.0"] = None


def _another_rank(cells: dict[str, Any]) -> None:
    failed, target, answer = cells["metric.0"]
    if cells["id"] == "item-0004":
        cells["metric.0"] = [failed, target + 7, answer + 7 if target == answer else answer]


def _turned_ranks(cells: dict[str, Any]) -> None:
    failed, *ranks = cells["metric.0"]
    cells["metric.0"] = [failed, *(9 - rank if rank else 0 for rank in ranks)]


def _two_names(cells: dict[str, Any]) -> None:
    if cells["id"] == "item-0004":
        cells["item"] = KEY.item(None, f"item-0004 of {cells['replicate']}")


_LAUNCHERS: dict[str, tuple[str, str, Callable[[], Files]]] = {
    "withheld-failures-that-are-right": (
        "committed to failed samples that were right, and withheld them",
        "a failed sample contributed an answer",
        _lying(change_samples(_failed_and_right), EVERY),
    ),
    "a-withheld-sample-that-does-not-count": (
        "committed to a sample that contributes nothing, and withheld it",
        "contributed nothing to",
        _lying(change_samples(_nothing), EVERY),
    ),
    "a-label-of-two-ranks": (
        "committed to another rank of a label in one sample, so that a class more is averaged",
        _UNTRUE,
        _lying(change_samples(_another_rank), _INPUTS, _RANKED),
    ),
    "ranks-in-another-order": (
        "committed to ranks that are not in the order of the labels, which the bootstrap draws by",
        _UNTRUE,
        _lying(change_samples(_turned_ranks), _INPUTS, _RANKED),
    ),
    "a-rank-beside-its-target": (
        "committed to another rank of a target that is given out, and withheld predictions",
        _UNTRUE,
        _lying(change_samples(_another_rank), _TARGETS, _RANKED),
    ),
    "an-item-of-two-names": (
        "gave the samples of one item two names, so that replicates are of other items",
        _UNTRUE,
        _lying(change_samples(_two_names), SOME),
    ),
}


def _under_another_name(lines: list[Any]) -> None:
    one, other, *_ = (line for line in lines if "sample" in line and "id" in line["opening"])
    one["opening"], other["opening"] = other["opening"], one["opening"]


def _salt_of_another(lines: list[Any]) -> None:
    one, other, *_ = (line["opening"] for line in lines if "sample" in line and "id" in line["opening"])
    one["id"][0] = other["id"][0]


def _tables(lines: list[Any]) -> None:
    place = next(place for place, line in enumerate(lines) if line.get("result") == "verdict")
    lines.insert(place, {"result": "tables", "opening": ["0" * 32, {}]})


def _without_count(lines: list[Any]) -> None:
    lines.remove(next(line for line in lines if line.get("result") == "discrepancies-count"))


_OPENINGS = {
    "openings-of-another-sample": (
        "gave out the values of two samples under each other's names",
        openings_file(_under_another_name),
        "is not what was committed to",
    ),
    "the-salt-of-another-sample": (
        "opened a value with the salt of another sample's",
        openings_file(_salt_of_another),
        "is not what was committed to",
    ),
    "tables-given-out": (
        "gave out tables beside samples that are withheld",
        openings_file(_tables),
        "is not what was committed to",
    ),
}
_RESULTS = {
    "claims-not-counted": (
        "did not give out how many claims of the program did not hold",
        openings_file(_without_count),
        "are not those that should be",
    ),
}
