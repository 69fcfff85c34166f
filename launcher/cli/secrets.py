"""`--secret NAME=FILE`: values of the secrets that a blueprint names, from files or the environment."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from launcher.errors import MalformedError
from launcher.runs.request import Secrets
from launcher.spec.blueprint import Blueprint

_MAX_BYTES = 64 << 10

SecretFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="NAME=FILE",
        help="Take a secret from FILE (- is stdin); may be given again. Default: the variable NAME.",
    ),
]


def read_secrets(blueprint: Blueprint, texts: list[str] | None) -> Mapping[str, str]:
    """Return the secrets that were given: by option, else from the variable of a name in the blueprint.

    One final line feed is no part of a file's secret. Raises `MalformedError`.
    """
    found = Secrets()
    for text in texts or []:
        name, equals, file = text.partition("=")
        if not equals or not name or not file or name in found:
            raise MalformedError(
                f"`--secret {name}=...` does not say, once, where a secret is",
                code="bad-secret",
                context="expected NAME=FILE",
                hint="for example `--secret API_KEY=key.txt`",
            )
        found[name] = _read(name, file)
    for name in blueprint.sandbox.secrets:
        if name not in found and name in os.environ:
            found[name] = os.environ[name]
    return found


def _read(name: str, file: str) -> str:
    try:
        if file == "-":
            data = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with Path(file).open("rb") as stream:
                data = stream.read(_MAX_BYTES + 1)
        text = data.decode().removesuffix("\n")
    except (OSError, ValueError) as error:
        # What a decoder quotes is the secret itself.
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise _unreadable(name, file, str(reason)) from None
    if len(data) > _MAX_BYTES:
        raise _unreadable(name, file, f"it has more than {_MAX_BYTES} bytes")
    return text


def _unreadable(name: str, file: str, reason: str) -> MalformedError:
    return MalformedError(
        f"the secret `{name}` cannot be read",
        code="bad-secret",
        context=f"{'standard input' if file == '-' else file}: {reason}",
        hint="see that the file is there and holds the secret as text",
    )
