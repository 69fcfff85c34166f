"""The documents of one lm-eval task: its lines, one for each document and filter, put together."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from launcher.canonical import canonical_bytes
from launcher.digest import sha256_hex
from launcher.harness.output import (
    bad_log,
    flat_scores,
    list_of,
    number_of,
    plain,
    put_scores,
    sample_of,
    score_name,
    shown,
    table_of,
)
from launcher.spec.sample import Sample

_MAX_CHOICES: Final = 256


class _Answer(Struct, frozen=True):
    """What one line says beside the document: the filtered response and the numbers."""

    prediction: Any
    scores: Mapping[str, float]


class _Document(Struct, frozen=True):
    """One document: what it shares under all filters, and the answer under each."""

    shared: Mapping[str, Any]
    likelihoods: Mapping[str, float]
    answers: dict[str, _Answer]


class Documents:
    """Collects the lines of one task."""

    def __init__(self, task: str, output_type: str) -> None:
        self.task = task
        self.output_type = output_type
        self._filters: dict[str, None] = {}
        self.score_names: set[str] = set()
        self._documents: dict[str, _Document] = {}

    @property
    def filters(self) -> list[str]:
        """The filters, in the order in which they first stood."""
        return list(self._filters)

    def __len__(self) -> int:
        return len(self._documents)

    def add(self, line: Mapping[str, Any], what: str) -> None:
        """Take one line; raises `MalformedError` where it does not fit with the others."""
        name, filtered = str(line.get("doc_id")), line.get("filter", "none")
        if type(line.get("doc_id")) is not int or not isinstance(filtered, str):
            raise bad_log(f"{what} has no whole number as `doc_id`, or no text as `filter`")
        responses = list_of(line.get("filtered_resps"), f"`filtered_resps` in {what}")
        self._filters[filtered] = None
        if name not in self._documents:
            shared = _shared(line, self.task, name, what)
            self._documents[name] = _Document(shared, _likelihoods(self.output_type, responses), {})
        answers = self._documents[name].answers
        if filtered in answers:
            raise bad_log(f"{what}: the document {name} stands twice under the filter `{shown(filtered)}`")
        answers[filtered] = _Answer(_prediction(self.output_type, line, responses), _scores(line, what))

    def samples(self) -> tuple[Sample, ...]:
        """Return one sample for each document; `score_names` then has what all of them are scored by."""
        samples = tuple(self._sample(name, document) for name, document in self._documents.items())
        self.score_names = set().union(*(sample.scores or {} for sample in samples))
        return samples

    def _sample(self, name: str, document: _Document) -> Sample:
        where = f"document {name} of `{shown(self.task)}`"
        scores: dict[str, float] = {}
        several = len(self._filters) > 1
        for filtered in self._filters:
            if filtered not in document.answers:
                raise bad_log(f"{where} is not there under the filter `{shown(filtered)}`")
            found = document.answers[filtered].scores.items()
            put_scores(
                scores, ((score_name(key, filtered), v) if several else (key, v) for key, v in found), where
            )
        scores = {**document.likelihoods, **scores}
        prediction = document.answers[next(iter(self._filters))].prediction
        return sample_of({**document.shared, "prediction": prediction, "scores": scores or None}, where)


def _shared(line: Mapping[str, Any], task: str, name: str, what: str) -> dict[str, Any]:
    arguments = plain(table_of(line.get("arguments"), f"`arguments` in {what}"))
    return {
        "id": name,
        "task": task,
        "target": plain(line.get("target")),
        "groups": {"task": task},
        "input_sha256": sha256_hex(canonical_bytes(arguments)),
    }


def _scores(line: Mapping[str, Any], what: str) -> dict[str, float]:
    scores: dict[str, float] = {}
    for metric in list_of(line.get("metrics"), f"`metrics` in {what}"):
        if isinstance(metric, str):
            put_scores(scores, flat_scores(metric, line.get(metric)), what)
    return scores


def _likelihoods(output_type: str, responses: list[Any]) -> dict[str, float]:
    """Return the log-likelihoods, which lm-eval writes as text: of the continuation, or of each choice."""
    found = [_likelihood(response) for response in responses]
    if output_type == "generate_until" or len(found) > _MAX_CHOICES:
        return {}
    if len(found) == 1:
        return {} if found[0] is None else {"loglikelihood": found[0]}
    return {f"loglikelihood.{index}": value for index, value in enumerate(found) if value is not None}


def _likelihood(response: Any) -> float | None:
    text = response[0] if isinstance(response, list) and response else response
    try:
        return number_of(float(text)) if isinstance(text, str | float | int) else None
    except (ValueError, OverflowError):
        return None


def _prediction(output_type: str, line: Mapping[str, Any], responses: list[Any]) -> Any:
    """Return the filtered response of a generation, or the choice of the largest log-likelihood."""
    if output_type in ("loglikelihood", "loglikelihood_rolling") or not responses:
        return None
    if output_type != "multiple_choice":
        response = plain(responses[0] if len(responses) == 1 else responses)
        return response[0] if isinstance(response, list) and len(response) == 1 else response
    return _choice(line, responses)


def _choice(line: Mapping[str, Any], responses: list[Any]) -> str | None:
    """Return the choice taken, said as `target` says the right one: by its place or by its text.

    Where both could be meant, `acc` tells which.
    """
    metrics = line.get("metrics")
    doubled = isinstance(metrics, list) and "acc_mutual_info" in metrics
    likelihoods = [_likelihood(r) for r in (responses[: len(responses) // 2] if doubled else responses)]
    known = [value for value in likelihoods if value is not None]
    if not known or len(known) < len(likelihoods):
        return None
    best = known.index(max(known))
    target, texts = str(plain(line.get("target"))), _choice_texts(line, len(known))
    text = texts[best] if best < len(texts) else ""
    text = target if text.strip() == target.strip() else text.strip()
    by_place = target.isdecimal() and len(target) < 10 and int(target) < len(known)
    is_text = target.strip() in (choice.strip() for choice in texts)
    if by_place and is_text and number_of(line.get("acc")) is not None:
        right = line["acc"] == 1
        return str(best) if (str(best) == target) == right else text
    return text if is_text and not by_place else str(best)


def _choice_texts(line: Mapping[str, Any], count: int) -> list[str]:
    arguments = table_of(line.get("arguments"), "`arguments`")
    entries = [arguments.get(f"gen_args_{index}") for index in range(count)]
    return [
        plain(entry["arg_1"]) if isinstance(entry, dict) and isinstance(entry.get("arg_1"), str) else ""
        for entry in entries
    ]
