"""`evalctl key`: make and show signing keys."""

from pathlib import Path
from typing import Annotated

import typer

from launcher.cli.options import Json
from launcher.cli.output import print_json
from launcher.cli.signing import read_public_key
from launcher.trust.key_files import new_key


def new(
    name: Annotated[
        Path, typer.Argument(metavar="NAME", help="The private key's file; NAME.pub is written beside it.")
    ],
    as_json: Json = False,
) -> int:
    """Make a key pair for signing.

    An Ed25519 key as OpenSSH writes it, readable by its owner alone. No file is ever overwritten.
    """
    public = new_key(name)
    if as_json:
        print_json({"key": str(name), "public": f"{name}.pub", "fingerprint": public.fingerprint})
    else:
        print(f"{public.fingerprint}\nwrote {name} (keep it secret) and {name}.pub (give it away)")
    return 0


def show(
    name: Annotated[
        Path | None, typer.Argument(metavar="NAME", help="A key's file; default: this home's own.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Print a key's fingerprint and public line."""
    public = read_public_key(name)
    if as_json:
        print_json({"fingerprint": public.fingerprint, "public": public.openssh})
    else:
        print(f"{public.fingerprint}\n{public.openssh}")
    return 0
