"""`--model SLOT=URI`: fill a model's slot from the command line."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from launcher.errors import MalformedError

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.ASCII)

Models = Annotated[
    list[str] | None,
    typer.Option(metavar="SLOT=URI", help="Fill a model slot with this file or folder; may be given again."),
]


def read_models(texts: list[str] | None) -> Mapping[str, str]:
    """Return what fills each slot; a path means the folder in which the command was typed.

    Raises `MalformedError` for anything but `SLOT=URI` and `SLOT=PATH`, or a slot that is filled twice.
    """
    filled: dict[str, str] = {}
    for text in texts or []:
        slot, equals, uri = text.partition("=")
        if not equals or not slot or not uri or slot in filled:
            raise MalformedError(
                f"`--model {text}` does not say, once, what fills a slot",
                code="bad-slot",
                context="expected SLOT=URI or SLOT=PATH",
                hint="for example `--model candidate=./checkpoint`",
            )
        filled[slot] = uri if _SCHEME.match(uri) else str(Path(uri).absolute())
    return filled
