"""The attempts of a ledger as people read them: what counts together stands together."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from launcher.ledger.checkpoint import Checkpoint
from launcher.ledger.count import Row
from launcher.ledger.looks import Looks
from launcher.report.text import one_line, table, wrapped

_HEADER = ("attempt", "began (UTC)", "outcome", "bundle", "what for")
_MOST_SHOWN = 6


def listing(rows: Sequence[Row]) -> list[str]:
    """Return a table for each signer, blueprint and data, and what they were measured by."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[Row]] = {}
    for row in rows:
        attempt = row.attempt
        groups.setdefault((attempt.signer, attempt.suite.name, attempt.data), []).append(row)
    lines: list[str] = []
    for (signer, name, data), together in groups.items():
        inputs = f"{len(data)} input{'' if len(data) == 1 else 's'}"
        lines += [*wrapped(f"{name} over {inputs}, by {signer}")]
        others = max(row.others for row in together)
        if others:
            lines += [*wrapped(f"and {others} by other keys, at the same", indent=2)]
        lines += [*wrapped(f"metrics: {_metrics(together)}", indent=2)]
        lines += [*table([_HEADER, *map(_row, together)]), ""]
    return lines


def attempt_object(row: Row) -> dict[str, Any]:
    """Return an attempt as `ledger show --json` prints it."""
    attempt, outcome = row.attempt, row.outcome
    ended = outcome is not None and outcome.status != "interrupted"
    return {
        "lock": attempt.lock,
        "attempt": attempt.attempt,
        "outcome": outcome.status if outcome is not None and ended else "unfinished",
        "bundle": outcome.bundle if outcome else None,
        "entry": row.index,
        "position": row.position,
        "of": row.total,
        "others": row.others,
        "interrupted": outcome is not None and not ended,
        "failure": outcome.failure if outcome else None,
        "verdict": outcome.verdict if outcome else None,
        "blueprint": attempt.suite.as_json(),
        "data": list(attempt.data),
        "metrics": {definition: list(names) for definition, names in attempt.metrics.items()},
        "signer": attempt.signer,
        "purpose": attempt.purpose,
        "marks": list(attempt.marks),
        "began": attempt.time,
        "ended": outcome.time if outcome else None,
    }


def checkpoint_object(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a ledger's state as its commands print it."""
    return {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}


def state_lines(checkpoint: Checkpoint, cosigned: Checkpoint | None, looks: Looks) -> list[str]:
    """Return which ledger it is, what it holds, and who looked at how much of it, and when."""
    said = looks.in_words
    if cosigned is not None and cosigned.size < checkpoint.size:
        said += f", when it had {cosigned.size} of its {checkpoint.size} entries"
    if (moment := looked_at(looks)) is not None:
        said += f", at {moment[:16].replace('T', ' ')} UTC as they say"
    return [
        f"ledger {checkpoint.origin}",
        f"{checkpoint.size} entries, root {checkpoint.root.hex()}",
        *wrapped(said),
    ]


def looked_at(looks: Looks) -> str | None:
    """Return when the last witness says that it looked, in RFC 3339; None where none did."""
    if looks.last is None:
        return None
    try:
        return datetime.fromtimestamp(looks.last, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return None


def _metrics(rows: Sequence[Row]) -> str:
    counts: dict[str, int] = {}
    for row in rows:
        for definition, names in row.attempt.metrics.items():
            for name in names:
                label = one_line(f"{name} ({definition})")
                counts[label] = counts.get(label, 0) + 1
    all_of_them = {*counts.values()} == {len(rows)}
    if all_of_them and len(counts) > _MOST_SHOWN:
        return f"{', '.join([*counts][: _MOST_SHOWN - 1])} and {len(counts) - _MOST_SHOWN + 1} more"
    return ", ".join(label if all_of_them else f"{label}: {count} of them" for label, count in counts.items())


def _row(row: Row) -> tuple[str, ...]:
    attempt, outcome = row.attempt, row.outcome
    ended = "unfinished" if outcome is None else outcome.failure or outcome.status
    bundle = (outcome.bundle if outcome and outcome.bundle else "none").removeprefix("sha256:")[:12]
    what = ", ".join(["reproduction" if attempt.purpose == "reproduce" else "launch", *attempt.marks])
    began = attempt.time[:16].replace("T", " ")
    return f"{row.position} of {row.total}", began, ended, bundle, what
