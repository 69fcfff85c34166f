"""The redaction: what a redacted bundle says is withheld, in result.json and in its signed statement."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, Self, get_args

from msgspec import Struct

from launcher.spec import fields
from launcher.spec.bundle import (
    ARTIFACTS,
    EVENTS,
    LOGS,
    OPENINGS,
    ORIGINAL_SUMS,
    PREDICTIONS,
    RESULT,
    SAMPLES,
)

Withheld = Literal[
    "inputs", "predictions", "targets", "artifacts", "event-details", "logs", "prediction-files"
]

WITHHOLDABLE: Final[tuple[Withheld, ...]] = get_args(Withheld)
# The fields of a sample that each of the first three takes away.
SAMPLE_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "inputs": ("groups", "input_sha256"),
    "predictions": ("error", "prediction", "scores"),
    "targets": ("target",),
}
# The folders that the others take away; details of events are no folder.
FOLDERS: Final[Mapping[str, str]] = {
    "artifacts": ARTIFACTS,
    "logs": LOGS,
    "prediction-files": PREDICTIONS,
}
# What a redacted bundle has and its original had not.
ADDED: Final = frozenset({OPENINGS, ORIGINAL_SUMS})
_WORDS: Final[Mapping[str, str]] = {"event-details": "details of events", "prediction-files": "predictions/"}


class Redaction(Struct, frozen=True):
    """Which bundle this was (`original`, its digest), and what is withheld: of `samples`, everything.

    `withheld` is in the order of `WITHHOLDABLE`. `redacted` names the files of which a part is left; what
    the original had and this bundle has not is withheld, all else is original.
    """

    original: str
    withheld: tuple[Withheld, ...]
    samples: int
    redacted: tuple[str, ...]

    @property
    def takes_samples(self) -> bool:
        """Say whether anything of a sample is withheld."""
        return self.samples > 0 or any(word in SAMPLE_FIELDS for word in self.withheld)

    @property
    def said(self) -> str:
        """What every view says: `redacted: withheld predictions, targets; 12 samples`."""
        words = ", ".join(_WORDS.get(word, word) for word in self.withheld)
        whole = f"{self.samples} sample{'' if self.samples == 1 else 's'} whole" if self.samples else ""
        return f"redacted: withheld {'; '.join(filter(None, (words, whole))) or 'nothing'}"

    def as_json(self) -> dict[str, Any]:
        """Return the object `redaction` of result.json."""
        return {
            "original": self.original,
            "withheld": list(self.withheld),
            "samples": self.samples,
            "redacted": list(self.redacted),
        }

    def as_claim(self) -> dict[str, Any]:
        """Return the object `redaction` of the signed statement, its number a decimal string."""
        return {**self.as_json(), "samples": str(self.samples)}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read the object of result.json; raises `CheckFailedError`."""
        table = fields.table(value, "the redaction", "original withheld samples redacted")
        count = table["samples"]
        if type(count) is not int or count < 0:
            raise fields.bad("`samples` of the redaction is not a whole number of at least 0")
        return cls._read(table, count)

    @classmethod
    def from_claim(cls, value: Any) -> Self:
        """Read the object of the signed statement; raises `CheckFailedError`."""
        table = fields.table(value, "the redaction", "original withheld samples redacted")
        return cls._read(table, int(fields.count(table["samples"], "samples")))

    @classmethod
    def _read(cls, table: Mapping[str, Any], samples: int) -> Self:
        withheld = tuple(
            fields.one_of(word, "withheld", Withheld) for word in fields.array(table["withheld"], "withheld")
        )
        redacted = tuple(
            fields.text(name, "redacted") for name in fields.array(table["redacted"], "redacted", 8)
        )
        if withheld != in_order(withheld) or redacted != tuple(sorted(set(redacted))):
            raise fields.bad("what is withheld is out of order or stands twice")
        return cls(fields.digest(table["original"], "original"), withheld, samples, redacted)


def in_order(words: Sequence[str]) -> tuple[Withheld, ...]:
    """Return each of `words` once, in the one order."""
    return tuple(word for word in WITHHOLDABLE if word in words)


def redacted_files(withheld: Sequence[str], samples: int) -> tuple[str, ...]:
    """Return the files of which a part is left where so much is withheld."""
    parts = {RESULT}
    if samples or any(word in SAMPLE_FIELDS for word in withheld):
        parts.add(SAMPLES)
    if "event-details" in withheld:
        parts.add(EVENTS)
    return tuple(sorted(parts))


def is_withheld_file(path: str, withheld: Sequence[str]) -> bool:
    """Say whether the original's file at `path` is gone where so much is withheld."""
    return any(path.startswith(f"{FOLDERS[word]}/") for word in withheld if word in FOLDERS)
