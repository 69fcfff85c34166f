"""How many attempts count together: by one signer, of one blueprint, over the same data, for one metric."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct

from launcher.canonical import canonical_bytes
from launcher.digest import sha256_hex
from launcher.errors import CheckFailedError
from launcher.ledger.entries import Attempt, Entry, Outcome


class Group(Struct, frozen=True):
    """What attempts are counted together for; a blueprint without a metric is counted under empty names."""

    signer: str
    blueprint: str
    data: tuple[str, ...]
    definition: str
    metric: str

    @property
    def key(self) -> str:
        """Return an opaque name of the group."""
        parts = [self.signer, self.blueprint, list(self.data), self.definition, self.metric]
        return sha256_hex(canonical_bytes(parts))


def group_keys(attempt: Attempt) -> tuple[str, ...]:
    """Return the names of the groups that an attempt counts for."""
    metrics = tuple(attempt.metrics.items())
    return _group_keys(attempt.signer, attempt.suite.name, attempt.data, metrics)


def question_keys(attempt: Attempt) -> tuple[str, ...]:
    """Return the names of the same groups whoever signed: one for each name of `group_keys`, in its order."""
    metrics = tuple(attempt.metrics.items())
    return _group_keys("", attempt.suite.name, attempt.data, metrics)


@lru_cache(maxsize=1024)
def _group_keys(
    signer: str, blueprint: str, data: tuple[str, ...], metrics: tuple[tuple[str, tuple[str, ...]], ...]
) -> tuple[str, ...]:
    pairs = [(definition, name) for definition, names in metrics for name in names]
    named = (Group(signer, blueprint, data, *pair) for pair in pairs or [("", "")])
    return tuple(group.key for group in named)


class OpenAttempt(Struct, frozen=True, gc=False):
    """An attempt without an outcome, and where its journal is."""

    index: int
    of: str
    lock: str
    attempt: int
    invocation_id: str


class Counts(Struct, frozen=True):
    """What the first `size` entries of a ledger add up to.

    `groups` counts attempts by their `group_keys`, and by their `question_keys`.
    """

    size: int = 0
    groups: Mapping[str, int] = {}
    open: Mapping[int, OpenAttempt] = {}

    def added(self, entries: Iterable[Entry]) -> "Counts":
        """Return the counts with the entries that follow."""
        size, groups, unfinished = self.size, dict(self.groups), dict(self.open)
        for entry in entries:
            if isinstance(entry, Outcome):
                close(unfinished, entry)
            else:
                for key in (*group_keys(entry), *question_keys(entry)):
                    groups[key] = groups.get(key, 0) + 1
                unfinished[size] = OpenAttempt(
                    size, entry.sha256, entry.lock, entry.attempt, entry.invocation_id
                )
            size += 1
        return Counts(size, groups, unfinished)

    def total(self, attempt: Attempt) -> int:
        """Return how many attempts are counted together with this one, over the metric that has the most."""
        return self.total_of(group_keys(attempt))

    def others(self, attempt: Attempt) -> int:
        """Return how many attempts other keys made at the same, over the metric that has the most."""
        return self.others_of(group_keys(attempt), question_keys(attempt))

    def total_of(self, keys: Iterable[str]) -> int:
        """Return what `total` does, of an attempt with these `group_keys`."""
        return max((self.groups.get(key, 0) for key in keys), default=0)

    def others_of(self, keys: Sequence[str], questions: Sequence[str]) -> int:
        """Return what `others` does, of an attempt with these `group_keys` and `question_keys`."""
        both = zip(keys, questions, strict=False)
        return max((self.groups.get(whole, 0) - self.groups.get(own, 0) for own, whole in both), default=0)

    def as_json(self) -> dict[str, Any]:
        """Return the counts for a file."""
        rows = [
            [each.index, each.of, each.lock, each.attempt, each.invocation_id] for each in self.open.values()
        ]
        return {"size": self.size, "groups": dict(self.groups), "open": rows}

    @classmethod
    def from_json(cls, value: Any) -> "Counts":
        """Read what `as_json` returned; raises `ValueError`, `KeyError` or `TypeError` for anything else."""
        rows = [OpenAttempt(*row) for row in value["open"]]
        return cls(int(value["size"]), dict(value["groups"]), {row.index: row for row in rows})


def close(unfinished: dict[int, OpenAttempt], outcome: Outcome) -> None:
    """Take an attempt from those that are open; raises `CheckFailedError` where there is none such."""
    found = unfinished.pop(outcome.index, None)
    if found is None or found.of != outcome.of:
        raise CheckFailedError(
            "an outcome in the ledger is of no attempt that was open",
            code="bad-ledger",
            context=f"it names entry {outcome.index}",
        )


class Row(Struct, frozen=True, gc=False):
    """One attempt as it is listed: `position` of `total` that count together, for the most tried metric.

    `others` is how many attempts other keys made at the same.
    """

    index: int
    attempt: Attempt
    outcome: Outcome | None
    position: int
    total: int
    others: int


def rows(entries: Iterable[Entry]) -> list[Row]:
    """Return every attempt with what became of it, in the ledger's order.

    Raises `CheckFailedError` for outcomes without an attempt, and for a position that is not the right one.
    """
    attempts: dict[int, tuple[Attempt, tuple[str, ...], tuple[str, ...]]] = {}
    outcomes: dict[int, Outcome] = {}
    groups: dict[str, int] = {}
    unfinished: dict[int, OpenAttempt] = {}
    for index, entry in enumerate(entries):
        if isinstance(entry, Outcome):
            close(unfinished, entry)
            outcomes[entry.index] = entry
            continue
        keys, questions = group_keys(entry), question_keys(entry)
        position = 0
        for key in keys:
            groups[key] = count = groups.get(key, 0) + 1
            position = max(position, count)
        for key in questions:
            groups[key] = groups.get(key, 0) + 1
        if position != entry.position:
            raise CheckFailedError(
                "the ledger counts its attempts wrongly",
                code="bad-ledger",
                context=f"entry {index} says {entry.position}, and is number {position}",
            )
        attempts[index] = (entry, keys, questions)
        unfinished[index] = OpenAttempt(index, entry.sha256, entry.lock, entry.attempt, entry.invocation_id)
    counts = Counts(groups=groups)
    totals = {
        keys: (counts.total_of(keys), counts.others_of(keys, questions))
        for _, keys, questions in attempts.values()
    }
    return [
        Row(index, attempt, outcomes.get(index), attempt.position, *totals[keys])
        for index, (attempt, keys, _) in attempts.items()
    ]
