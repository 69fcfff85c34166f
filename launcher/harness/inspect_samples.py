"""One sample of an Inspect log as one of ours: answer, scores as numbers, tokens, error."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from launcher.canonical import canonical_bytes
from launcher.digest import sha256_hex
from launcher.harness.output import (
    bad_log,
    count_of,
    flat_scores,
    number_of,
    plain,
    put_scores,
    sample_of,
    score_name,
    shown,
    table_of,
)
from launcher.spec.sample import Sample

_ATTACHMENT: Final = "attachment://"
_MAX_ERROR: Final = 4000
_MAX_GROUPS: Final = 64
_MAX_GROUP: Final = 256
_TOKENS: Final = ("input_tokens", "output_tokens", "total_tokens")
# https://inspect.aisi.org.uk/reference/inspect_ai.scorer.html#value_to_float, with its defaults.
_LETTERS: Final = {"C": 1, "I": 0, "P": 0.5, "N": 0}
_WORDS: Final = {"yes": 1, "true": 1, "no": 0, "false": 0}


class Counts:
    """What is told of a log as a whole, counted while its samples are read."""

    def __init__(self) -> None:
        self.scores: set[str] = set()
        self.errors = 0
        self.retried = 0
        self.limits: dict[str, int] = {}

    def notes(self, task: str) -> Iterator[str]:
        """Yield what every view must show."""
        if self.retried:
            yield f"{self.retried} samples of `{shown(task)}` were retried by Inspect after an error"
        for limit, count in sorted(self.limits.items()):
            yield f"{count} samples of `{shown(task)}` were stopped at Inspect's {shown(limit)} limit"


def inspect_sample(value: Any, task: str, counts: Counts) -> Sample:
    """Return the sample; raises `MalformedError` where it is none."""
    table = table_of(value, f"a sample of `{shown(task)}`")
    name = table.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int):
        raise bad_log(f"a sample of `{shown(task)}` has neither text nor a number as `id`")
    where = f"the sample `{shown(str(plain(name)))}` of `{shown(task)}`"
    error = _error(table, where)
    scores = _scores(table, where)
    counts.scores.update(scores)
    counts.errors += error is not None
    counts.retried += bool(table.get("error_retries"))
    if isinstance(limit := table_of(table.get("limit"), f"`limit` of {where}").get("type"), str):
        counts.limits[limit] = counts.limits.get(limit, 0) + 1
    _count_tokens(table, scores, where)
    return sample_of(
        {
            "id": str(plain(name)),
            "task": task,
            "epoch": count_of(table.get("epoch")),
            "prediction": None if error else _prediction(table, where),
            "target": _target(table),
            "scores": scores or None,
            "groups": {**_metadata(table, where), "task": task, "completed": error is None},
            "input_sha256": sha256_hex(canonical_bytes(plain(_input(table)))),
            "seconds": _seconds(table),
            "error": error,
        },
        where,
    )


def value_to_number(value: Any) -> Any:
    """Return one value of a score as Inspect's `value_to_float` gives it, else `value` itself."""
    if not isinstance(value, str):
        return value
    if value in _LETTERS:
        return _LETTERS[value]
    if value.lower() in _WORDS:
        return _WORDS[value.lower()]
    try:
        return float(value)
    except ValueError:
        return value


def _scores(table: Mapping[str, Any], where: str) -> dict[str, float]:
    scores: dict[str, float] = {}
    for name, score in table_of(table.get("scores"), f"`scores` of {where}").items():
        value = table_of(score, f"a score of {where}").get("value")
        put_scores(scores, flat_scores(name, _shallow(value)), where)
    return scores


def _shallow(value: Any) -> Any:
    """Return `value` with its parts as numbers."""
    if isinstance(value, dict):
        return {key: value_to_number(item) for key, item in value.items()}
    if isinstance(value, list):
        return [value_to_number(item) for item in value]
    return value_to_number(value)


def _count_tokens(table: Mapping[str, Any], scores: dict[str, float], where: str) -> None:
    used = table_of(table.get("model_usage"), f"`model_usage` of {where}")
    for kind in _TOKENS:
        found = [count_of(table_of(usage, "a model's usage").get(kind)) for usage in used.values()]
        if any(count is not None for count in found):
            scores.setdefault(score_name("usage", kind), sum(count or 0 for count in found))


def _error(table: Mapping[str, Any], where: str) -> str | None:
    if table.get("invalidation") is not None:
        return "Inspect's log says that this sample is invalid"
    if table.get("error") is None:
        return None
    message = table_of(table["error"], f"`error` of {where}").get("message")
    text = str(plain(message)) if message else "Inspect does not say which error"
    return text if len(text) <= _MAX_ERROR else text[: _MAX_ERROR - 1] + "…"


def _prediction(table: Mapping[str, Any], where: str) -> Any:
    """Return the answer that the first scorer found in the output, or else the whole output."""
    for score in table_of(table.get("scores"), f"`scores` of {where}").values():
        if isinstance(answer := table_of(score, f"a score of {where}").get("answer"), str):
            return _resolved(answer, table)
    completion = table_of(table.get("output"), f"`output` of {where}").get("completion")
    return _resolved(completion, table) if isinstance(completion, str) else None


def _target(table: Mapping[str, Any]) -> Any:
    target = table.get("target")
    if isinstance(target, list) and len(target) == 1:
        target = target[0]
    return _resolved(target, table) if isinstance(target, str) else plain(target)


def _input(table: Mapping[str, Any]) -> Any:
    """Return what was asked, without the ids that Inspect draws anew for each message."""
    asked, choices = table.get("input"), table.get("choices")
    if isinstance(asked, list):
        asked = [
            {key: value for key, value in message.items() if key != "id"}
            if isinstance(message, dict)
            else message
            for message in asked
        ]
    return {"input": asked} if choices is None else {"input": asked, "choices": choices}


def _resolved(text: str, table: Mapping[str, Any]) -> str:
    """Return the text, looked up where Inspect moved it out of place."""
    if text.startswith(_ATTACHMENT):
        found = table_of(table.get("attachments"), "`attachments`").get(text.removeprefix(_ATTACHMENT))
        if isinstance(found, str):
            text = found
    return str(plain(text))


def _metadata(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the short values of a sample's metadata, by which metrics may tell samples apart."""
    groups: dict[str, Any] = {}
    for key, value in table_of(table.get("metadata"), f"`metadata` of {where}").items():
        fits = isinstance(value, str) or number_of(value) is not None
        if (
            fits
            and key
            and len(key) <= _MAX_GROUP
            and len(str(value)) <= _MAX_GROUP
            and len(groups) < _MAX_GROUPS
        ):
            groups[f"metadata.{plain(key)}"] = plain(value)
    return groups


def _seconds(table: Mapping[str, Any]) -> float | None:
    seconds = number_of(table.get("total_time"))
    return seconds if seconds is not None and seconds >= 0 else None
