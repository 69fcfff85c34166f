"""`evalctl key`: make and show signing keys."""

from pathlib import Path
from typing import Annotated

import typer

from launcher.cli.options import Json, PassphraseDescriptor
from launcher.cli.output import print_json
from launcher.cli.signing import read_public_key
from launcher.errors import MalformedError
from launcher.signing.passphrase import new_passphrase
from launcher.trust.key_files import KEY_TYPES, KeyType, new_key, refuse_existing


def new(
    name: Annotated[
        Path, typer.Argument(metavar="NAME", help="The private key's file; NAME.pub is written beside it.")
    ],
    kind: Annotated[str, typer.Option("--type", metavar="TYPE", help="ed25519 or p256 (ECDSA).")] = "ed25519",
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Encrypt the private key under a passphrase.")
    ] = False,
    passphrase_fd: PassphraseDescriptor = None,
    as_json: Json = False,
) -> int:
    """Make a key pair for signing.

    A key as OpenSSH writes it, readable by its owner alone. No file is ever overwritten. The passphrase of
    `--encrypt` is typed twice, or read from a descriptor.
    """
    if passphrase_fd is not None and not encrypt:
        raise MalformedError(
            "there is no use for a passphrase here", code="usage", hint="add `--encrypt`, or leave it out"
        )
    chosen = _key_type(kind)
    refuse_existing(name)
    public = new_key(name, chosen, new_passphrase(str(name), passphrase_fd) if encrypt else None)
    if as_json:
        print_json({"key": str(name), "public": f"{name}.pub", "fingerprint": public.fingerprint})
    else:
        print(f"{public.fingerprint}\nwrote {name} (keep it secret) and {name}.pub (give it away)")
    return 0


def show(
    name: Annotated[
        Path | None,
        typer.Argument(metavar="NAME", help="What `--key` takes; default: this home's own key."),
    ] = None,
    passphrase_fd: PassphraseDescriptor = None,
    as_json: Json = False,
) -> int:
    """Print a key's fingerprint and public line."""
    public = read_public_key(name, passphrase_fd)
    if as_json:
        print_json({"fingerprint": public.fingerprint, "public": public.openssh})
    else:
        print(f"{public.fingerprint}\n{public.openssh}")
    return 0


def _key_type(text: str) -> KeyType:
    for kind in KEY_TYPES:
        if text == kind:
            return kind
    raise MalformedError(
        f"`{text}` is no type of key",
        code="usage",
        context=f"expected {' or '.join(KEY_TYPES)}",
        hint="for example `--type p256`",
    )
