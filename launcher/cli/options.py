"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on stdout; an error is one on stderr.")
]
BundleName = Annotated[
    str,
    typer.Argument(
        metavar="BUNDLE", help="A bundle's folder, or its digest (8 digits are enough) in this home's store."
    ),
]
TargetFile = Annotated[Path, typer.Argument(metavar="FILE", help="A blueprint (TOML) or a lock (JSON).")]
Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Copy the bundle here, to a folder that is absent or empty."),
]
SigningKey = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What signs: a private key; a public one, for ssh-agent; the TOML file of a program. Default:"
        " this home's key, made when it is missing.",
    ),
]
OwnKey = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What signs: a private key; a public one, for ssh-agent; the TOML file of a program. Default:"
        " this home's key.",
    ),
]
PassphraseDescriptor = Annotated[
    int | None,
    typer.Option(
        "--passphrase-fd",
        metavar="N",
        help="Read the key's passphrase from this open descriptor; default: the terminal asks.",
    ),
]
TimestampUrl = Annotated[
    str | None,
    typer.Option(
        "--timestamp",
        metavar="URL",
        help="Have each signature timestamped by this RFC 3161 authority; default: the site's, or none.",
    ),
]
BlueprintFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Where relative paths in the blueprint start; default: its file's folder."
    ),
]
Offline = Annotated[
    bool, typer.Option("--offline", help="Use no network: only local files and what the cache holds.")
]
LeastRuntime = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="At least this isolation: runc or runsc; default: the blueprint's."),
]
TrustedKey = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Trust this public key alone; no policy is read.")
]
BundleSigner = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Trust this public key alone as BUNDLE's signer; no policy is read."),
]
TrustPolicy = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The policy to apply; default: this home's trust.toml.")
]
