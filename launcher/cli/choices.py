"""What a person decides beside a blueprint: slots, a limit, a draft; a lock leaves little of it open."""

from typing import Annotated

import typer
from msgspec.structs import replace

from launcher.cli.models import read_models
from launcher.cli.targets import Target
from launcher.errors import MalformedError
from launcher.resolve import Choices, choices_of

Limit = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="Keep the first N items only; the result is marked partial."),
]
Draft = Annotated[
    bool, typer.Option("--draft", help="Run the working tree with its changes; the result is marked draft.")
]


def read_choices(target: Target, models: list[str] | None, limit: int | None, *, draft: bool) -> Choices:
    """Return what the command line decides; raises `MalformedError` for what no lock leaves open."""
    filled = read_models(models)
    if target.lock is None:
        return Choices(models=filled, limit=limit, draft=draft)
    if limit is not None or draft:
        raise MalformedError(
            "a lock is launched as it is",
            code="lock-is-fixed",
            context="`--limit` and `--draft` make another run than the one it pins",
            hint="launch the blueprint with them",
        )
    return replace(choices_of(target.lock, target.blueprint), models=filled)
