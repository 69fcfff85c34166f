"""Options of the commands about a trust policy: which one, who signs it, and what is said of a key."""

from pathlib import Path
from typing import Annotated

import typer

from launcher.spec.roles import ROLES

PolicyFile = Annotated[
    Path | None, typer.Option("--trust", metavar="FILE", help="The policy; default: this home's trust.toml.")
]
RootKey = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The private key that signs a signed policy; default: this home's."),
]
PublicKeyFile = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="A public key: an OpenSSH line (NAME.pub), or PEM."),
]
Published = Annotated[
    str | None,
    typer.Option("--from", metavar="URL", help="Take published SSH keys, such as https://HOST/USER.keys."),
]
Fingerprints = Annotated[
    list[str] | None,
    typer.Option(metavar="SHA256:...", help="With --from: the key to take; repeat for more."),
]
TakeAll = Annotated[bool, typer.Option("--yes", help="With --from https://: take every key that is there.")]
OwnerName = Annotated[
    str, typer.Option(metavar="NAME", help="What to call its owner; default: the file's name.")
]
KeyRoles = Annotated[
    list[str] | None,
    typer.Option(metavar="ROLE", help=f"What it may sign: {', '.join(ROLES)}; default: all but root."),
]
ValidFrom = Annotated[
    str | None, typer.Option(metavar="TIME", help="From when it counts, such as 2027-01-31.")
]
ValidUntil = Annotated[
    str | None, typer.Option(metavar="TIME", help="Until when it counts; default: for ever.")
]
Builders = Annotated[
    list[str] | None,
    typer.Option(metavar="URI", help="A builder it may sign for; default: any. Repeat for more."),
]
KeyName = Annotated[str, typer.Argument(metavar="NAME", help="What the policy calls the key's owner.")]
Reason = Annotated[
    str,
    typer.Option(
        metavar="REASON",
        help="key-compromise: it never counts; superseded: what is proven to be earlier does.",
    ),
]
Since = Annotated[str | None, typer.Option("--from", metavar="TIME", help="From when on; default: now.")]
RuleRole = Annotated[str, typer.Argument(metavar="ROLE", help=f"What is signed: {', '.join(ROLES)}.")]
Threshold = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="How many of its keys must sign; default: as it is."),
]
Members = Annotated[
    list[str] | None,
    typer.Option("--add", metavar="NAME", help="A key of the policy that may; repeat for more."),
]
MaxAge = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="How old evidence may be, such as 24h, or any; default: as it is."),
]
Removed = Annotated[
    list[str] | None,
    typer.Option("--remove", metavar="NAME", help="A key that may no more; repeat for more."),
]
Predicates = Annotated[
    list[str] | None,
    typer.Option(
        "--predicate",
        metavar="TYPE",
        help="The only type of statement that counts, or any; repeat for more; default: as it is.",
    ),
]
Until = Annotated[
    str | None, typer.Option("--until", metavar="TIME", help="When it expires; default: five years from now.")
]
LedgerName = Annotated[str, typer.Argument(metavar="NAME", help="What the policy calls the ledger.")]
LedgerKey = Annotated[
    Path | None,
    typer.Argument(metavar="FILE", help="Its public key, `keys/ledger.pub` of its home; once is enough."),
]
Witnesses = Annotated[
    list[str] | None,
    typer.Option("--witness", metavar="LINE", help="Who must have co-signed it; repeat for more."),
]
Counted = Annotated[
    list[str] | None,
    typer.Option("--for", metavar="NAME", help="A key whose attempts it must count; repeat for more."),
]
