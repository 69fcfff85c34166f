"""`--secret NAME[=FILE]`: values of the secrets that a blueprint names, from files or the environment.

A blueprint is a stranger's: were every variable that it names handed over, it could name any of the user's
own, and a host to send it to. So each is given by name, here.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from launcher.errors import MalformedError
from launcher.runs.request import Secrets

_MAX_BYTES = 64 << 10

SecretFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--secret",
        metavar="NAME[=FILE]",
        help="Give a secret from FILE (- is stdin), else from the variable NAME; may be given again.",
    ),
]


def read_secrets(texts: list[str] | None) -> Mapping[str, str]:
    """Return the secrets that were given; one final line feed is no part of a file's.

    Raises `MalformedError`.
    """
    found = Secrets()
    for text in texts or []:
        name, equals, file = text.partition("=")
        if not name or (equals and not file) or name in found:
            raise MalformedError(
                f"`--secret {name}=...` does not say, once, where a secret is",
                code="bad-secret",
                context="expected NAME=FILE, or NAME for the variable of that name",
                hint="for example `--secret API_KEY=key.txt`",
            )
        found[name] = _read(name, file) if equals else _variable(name)
    return found


def _variable(name: str) -> str:
    if name not in os.environ:
        raise MalformedError(
            f"the secret `{name}` cannot be read",
            code="bad-secret",
            context=f"there is no environment variable {name}",
            hint=f"set it, or give a file with `--secret {name}=FILE`",
        )
    return os.environ[name]


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
