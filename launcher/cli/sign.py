"""`evalctl sign`: one more key stands behind a bundle's bytes."""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from launcher.cli.options import (
    BundleName,
    BundleSigner,
    Json,
    PassphraseDescriptor,
    SigningKey,
    TimestampUrl,
    TrustPolicy,
)
from launcher.cli.output import print_json, say, say_next
from launcher.cli.signing import (
    authority_for,
    missing_timestamps,
    read_signer,
    read_verifying_policy,
    under_policy,
)
from launcher.cli.site import SiteFile, site_authority
from launcher.cli.verify import outcome_places
from launcher.cosign import CoSignature, CoSigning, SignedRole, cosign
from launcher.errors import MalformedError
from launcher.store.bundles import find_bundle
from launcher.store.home import Home, find_home


class SignRole(StrEnum):
    """What a co-signature is for."""

    result = "result"
    lock = "lock"
    reproduction = "reproduction"


DEFAULT = (SignRole.result, SignRole.lock)

_Roles = Annotated[
    list[SignRole] | None,
    typer.Option(
        metavar="ROLE",
        help="What to sign: result (with provenance), lock, reproduction. Repeat for more; default: the"
        " first two.",
    ),
]
_Outcomes = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="BUNDLE",
        help="With --role reproduction: the bundle that it ran, held against its statement.",
    ),
]
_Out = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Write the co-signatures here, to be attached by whoever keeps it."),
]


def sign(
    bundle: BundleName,
    key: SigningKey = None,
    passphrase_fd: PassphraseDescriptor = None,
    timestamp: TimestampUrl = None,
    site: SiteFile = None,
    role: _Roles = None,
    outcomes: _Outcomes = None,
    out: _Out = None,
    signer: BundleSigner = None,
    trust: TrustPolicy = None,
    as_json: Json = False,
) -> int:
    """Co-sign a bundle: stand behind its bytes.

    The bundle is verified first, as `evalctl verify` does it, but for the number of signers. Then your key
    signs the very bytes that its maker signed. It says: I verified this and stand behind it. It does not
    say that the result came out again: only `evalctl reproduce` finds that out. `--role reproduction` signs
    the statements of those who did, where a policy asks for more than one signature under them. Exit
    codes: 1 the bundle is broken, 2 your key made it, 3 its signer is not trusted, 4 its folder cannot be
    written.
    """
    home = find_home()
    path = find_bundle(home, bundle)
    policy = read_verifying_policy(home, trust, signer)
    roles: tuple[SignedRole, ...] = tuple(dict.fromkeys(each.value for each in role or DEFAULT))
    places = _places(home, outcomes, roles)
    own = read_signer(home, key, passphrase_fd, authority_for(timestamp, site_authority(site)))
    done = cosign(CoSigning(path, policy, roles, out, places), own, datetime.now(UTC))
    # Under `--signer` nobody is asked whether the co-signature counts.
    withheld = (done.redaction.said,) if done.redaction else ()
    remarks = (*withheld, *missing_timestamps(own), *(() if signer else map(_not_counted, done.refusals)))
    if as_json:
        print_json(_as_object(path, done, own.public.fingerprint, remarks))
        return 0
    _show(done, remarks)
    if done.written:
        next_one = f"evalctl verify {quote(bundle)}"
        say_next(f"evalctl attach BUNDLE {quote(str(out))}/*" if out else under_policy(next_one, trust))
    return 0


def _places(home: Home, outcomes: list[str] | None, roles: tuple[SignedRole, ...]) -> dict[str, Path]:
    if outcomes and "reproduction" not in roles:
        raise MalformedError(
            "`--with` goes with `--role reproduction`",
            code="usage",
            hint="type `evalctl sign BUNDLE --role reproduction --with BUNDLE`",
        )
    return outcome_places(home, outcomes or [])


def _as_object(path: Path, done: CoSignature, signer: str, remarks: Sequence[str]) -> dict[str, Any]:
    return {
        "bundle": str(path),
        "digest": done.digest,
        "signer": signer,
        "written": [str(each) for each in done.written],
        "present": list(done.present),
        "own": list(done.own),
        "remarks": list(remarks),
    }


def _not_counted(refusal: str) -> str:
    return f"it does not count under the policy applied here: {refusal}"


def _show(done: CoSignature, remarks: Sequence[str]) -> None:
    for name in done.own:
        say(f"`{name}` is signed by this key already: it is its maker's")
    for name in done.present:
        say(f"`{name}` was there already")
    for remark in remarks:
        say(f"note: {remark}")
    for place in done.written:
        print(place)
    if done.written:
        say(
            "note: this stands behind the bytes; whether the result comes out again only a reproduction shows"
        )
