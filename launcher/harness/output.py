"""What a harness left, read: its samples, what it claims about them, and in what the run is partial."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, field

from launcher.canonical import MAX_DEPTH, MAX_INTEGER
from launcher.errors import MalformedError
from launcher.spec.blueprint import Direction
from launcher.spec.imported import Harness
from launcher.spec.sample import Sample, SampleLimits, container_sample

MAX_SHOWN: Final = 200
_MAX_PARTS: Final = 256
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]")


class Claim(Struct, frozen=True):
    """One number that the harness itself reports, under the name by which it prints it.

    `score` names the samples' score whose plain mean the number is; None where it is something else.
    """

    task: str
    metric: str
    value: float
    score: str | None = None
    stderr: float | None = None
    n: int | None = None
    direction: Direction = "higher"


class HarnessOutput(Struct, frozen=True):
    """What one run of a harness came to.

    `partial` says why it is not a whole run, `notes` what else every view must show; `files` are the paths
    that were read, below the folder; `about` is what the harness says of itself, for the events. `task` is
    empty where there are several.
    """

    harness: Harness
    samples: tuple[Sample, ...]
    claims: tuple[Claim, ...] = ()
    partial: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    task: str = ""


def joined(harness: Harness, parts: Sequence[HarnessOutput]) -> HarnessOutput:
    """Return what one run left of several tasks; raises `MalformedError` where a task stands twice."""
    by_task: dict[str, HarnessOutput] = {}
    for part in parts:
        if part.task in by_task:
            raise bad_log(f"{harness} left two results of the task `{shown(part.task)}`")
        by_task[part.task] = part
    return HarnessOutput(
        harness,
        samples=tuple(sample for part in parts for sample in part.samples),
        claims=tuple(claim for part in parts for claim in part.claims),
        partial=tuple(reason for part in parts for reason in part.partial),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        files=tuple(dict.fromkeys(file for part in parts for file in part.files)),
        about={"tasks": {task: part.about for task, part in by_task.items()}},
    )


def bad_log(message: str, *, hint: str | None = None, code: str = "bad-harness-log") -> MalformedError:
    """Return the error for a log that cannot be read, or whose run failed: the candidate's fault."""
    return MalformedError(message, code=code, hint=hint)


def shown(value: Any) -> str:
    """Return what a log holds fit for one line of an error or of a view."""
    text = value if isinstance(value, str) else repr(value)
    plain = text if text.isprintable() else ascii(text)[1:-1]
    return plain if len(plain) <= MAX_SHOWN else plain[: MAX_SHOWN - 1] + "…"


def table_of(value: Any, what: str) -> dict[str, Any]:
    """Return `value`, which must be a JSON object; absent ones count as empty."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise bad_log(f"{what} is not an object")
    return value


def list_of(value: Any, what: str) -> list[Any]:
    """Return `value`, which must be a JSON list; absent ones count as empty."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise bad_log(f"{what} is not a list")
    return value


def count_of(value: Any) -> int | None:
    """Return `value` where it is a whole number of at least 0 that JSON holds exactly."""
    return value if type(value) is int and 0 <= value <= MAX_INTEGER else None


def number_of(value: Any) -> float | None:
    """Return `value` where it is a finite number that a double holds; true and false are 1 and 0."""
    if not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        return int(value) if abs(value) <= MAX_INTEGER else None
    return value if math.isfinite(value) else None


def plain(value: Any, depth: int = 0) -> Any:
    """Return `value` as canonical JSON can carry it: what it cannot becomes text."""
    if depth > MAX_DEPTH - 2:
        raise bad_log(f"a value is nested deeper than {MAX_DEPTH - 2} levels")
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {plain(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, bool) or value is None:
        return value
    return value if number_of(value) is not None else str(value)


def score_name(*parts: str) -> str:
    """Return a name that `of = "scores.NAME"` can say, made of what a harness calls it."""
    return plain_name(".".join(parts)) or "score"


def plain_name(text: str) -> str:
    """Return `text` with nothing in it that a blueprint's names may not hold; perhaps nothing stays."""
    return _ODD.sub("_", text).lstrip("._-")


def flat_scores(name: str, value: Any) -> Iterable[tuple[str, float]]:
    """Yield the numbers in a metric's value: itself, or each part of a short list or table; no others."""
    if isinstance(value, list | dict) and len(value) <= _MAX_PARTS:
        parts = value.items() if isinstance(value, dict) else ((str(i), v) for i, v in enumerate(value))
        for key, item in parts:
            if (number := number_of(item)) is not None:
                yield score_name(name, key), number
    elif (number := number_of(value)) is not None:
        yield score_name(name), number


def put_scores(scores: dict[str, float], found: Iterable[tuple[str, float]], where: str) -> None:
    """Add scores, refusing two of one name."""
    for name, number in found:
        if name in scores:
            raise bad_log(f"{where} has two scores that would both be `scores.{shown(name)}`")
        scores[name] = number


def sample_of(table: Mapping[str, Any], where: str, limits: SampleLimits = SampleLimits()) -> Sample:
    """Return the sample in `table`, whose absent fields are None, held to what a container may leave."""
    try:
        sample = container_sample({name: value for name, value in table.items() if value is not None})
        size = len(sample.line())
    except MalformedError as error:
        raise bad_log(f"{where}: {error.message}") from error
    except UnicodeEncodeError as error:
        raise bad_log(f"{where}: a name in it holds a lone surrogate") from error
    if size > limits.line:
        raise bad_log(f"{where}: it comes to more than {limits.line} bytes")
    return sample


def refuse_repeats(samples: Iterable[Sample], harness: str) -> None:
    """Refuse the same task, id and epoch twice."""
    seen = set()
    for sample in samples:
        if sample.key in seen:
            name = f"`{shown(sample.id)}` of `{shown(sample.task)}`"
            raise bad_log(f"the sample {name} stands twice in what {harness} left")
        seen.add(sample.key)
