"""`evalctl attach`: put what others signed about a bundle into it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from launcher.attach import Attachment, Offered
from launcher.attach import attach as attach_files
from launcher.cli.options import BundleName, Json, TrustedKey, TrustPolicy
from launcher.cli.output import hint, print_json, say, say_next
from launcher.cli.signing import read_verifying_policy
from launcher.errors import CheckFailedError, MalformedError
from launcher.spec.bundle import MAX_ATTESTATION_BYTES
from launcher.store.bundles import find_bundle
from launcher.store.home import find_home


def attach(
    bundle: BundleName,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Attestations (*.sigstore.json) that others made about it."),
    ],
    key: TrustedKey = None,
    trust: TrustPolicy = None,
    as_json: Json = False,
) -> int:
    """Attach what others signed about a bundle.

    Takes co-signatures (`evalctl sign --out`) and statements of reproductions. Each must be well-formed,
    about this bundle and, where the policy knows its key, rightly signed; it gets the name that follows
    from what it is. What a key signed that the policy does not know is attached and not counted. All files
    are attached or none. Exit codes: 1 a file or the bundle is wrong, 4 the folder cannot be written.
    """
    home = find_home()
    path = find_bundle(home, bundle)
    policy = read_verifying_policy(home, trust, key)
    found = attach_files(path, [_read(file) for file in files], policy, datetime.now(UTC))
    if as_json:
        print_json({"bundle": str(path), "attached": [_as_object(each) for each in found]})
        return 0
    for each in found:
        kind = "the bundle's own" if each.kind == "own" else each.kind
        word = kind if each.is_new else f"{kind}, there already"
        print(f"{each.name}: {word}, by {each.by or each.signer}")
    _say_unknown(found)
    say_next(f"evalctl verify {quote(bundle)}")
    return 0


def _read(file: Path) -> Offered:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_ATTESTATION_BYTES + 1)
    except OSError as error:
        raise MalformedError(
            f"cannot read `{file}`", code="no-such-file", context=error.strerror, hint="check the path"
        ) from error
    if len(data) > MAX_ATTESTATION_BYTES:
        raise CheckFailedError(
            f"`{file}` has more than {MAX_ATTESTATION_BYTES} bytes: it is no attestation",
            code="file-too-large",
            hint="name a `*.sigstore.json` file",
        )
    return Offered(str(file), data)


def _as_object(each: Attachment) -> dict[str, object]:
    return {
        "file": each.file,
        "name": each.name,
        "kind": each.kind,
        "signer": each.signer,
        "by": each.by,
        "new": each.is_new,
    }


def _say_unknown(found: Sequence[Attachment]) -> None:
    unknown = sorted({each.signer for each in found if each.by is None})
    for fingerprint in unknown:
        say(f"{fingerprint} is not known to the trust policy: whether its signature holds was not checked")
    if unknown:
        hint("compare it with what its owner publishes, then `evalctl trust add NAME.pub`")
