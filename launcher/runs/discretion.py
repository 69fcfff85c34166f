"""Keep the words of a redactable run's program out of what is signed for ever: events, which can go, tell.

A signed statement stays with every bundle that is made of the one it is about.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from launcher.harness.output import HarnessOutput
from launcher.runs.events import now
from launcher.spec.blueprint import Blueprint

_ELSEWHERE = "the words are in events.jsonl"


def public_reason(blueprint: Blueprint, failure: str, reason: str) -> str:
    """Return why there is no score, as it may be signed."""
    return f"{failure}: {_ELSEWHERE}" if blueprint.redactable else reason


def public_notes(blueprint: Blueprint, output: HarnessOutput) -> Iterator[str]:
    """Yield what a harness says of its run that every view must show, as it may be signed."""
    if not blueprint.redactable:
        yield from (f"partial: {reason}" for reason in output.partial)
        yield from output.notes
        return
    if output.partial:
        yield f"partial: {_ELSEWHERE}"
    if output.notes:
        yield f"{len(output.notes)} remarks of the harness: {_ELSEWHERE}"


def private_words(
    blueprint: Blueprint, reason: str, harness: Sequence[HarnessOutput]
) -> tuple[Mapping[str, Any], ...]:
    """Return the event that has the words which what is signed leaves out, where there are any."""
    said = [words for output in harness for words in (*output.partial, *output.notes)]
    if not blueprint.redactable or not (reason or said):
        return ()
    detail: dict[str, Any] = {"reason": reason} if reason else {}
    if said:
        detail["harness"] = said
    return ({"source": "launcher", "at": now(), "step": "words", "detail": detail},)
