"""`evalctl trust init`, `evalctl trust sign`: begin with a policy, and sign one."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from launcher.cli.options import Json, PassphraseDescriptor
from launcher.cli.output import hint, say
from launcher.cli.policies import changed, place_named
from launcher.cli.signing import owner_of, read_existing_signer, read_public_key, read_signer
from launcher.cli.trust_options import PolicyFile
from launcher.digest import is_digest
from launcher.errors import MalformedError
from launcher.spec.roles import EVIDENCE_ROLES
from launcher.store.home import find_home
from launcher.store.policies import PolicyPlace, place_of
from launcher.store.policy_changes import create, install, sign
from launcher.trust.policy import TrustedKey
from launcher.trust.policy_edit import first_policy
from launcher.trust.policy_signature import OfferedPolicy

_FirstKey = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The key to trust; default: this home's, made when it is missing."),
]
_Owner = Annotated[
    str, typer.Option(metavar="NAME", help="What to call its owner; default: the file's name, or me.")
]
_Signed = Annotated[
    bool, typer.Option("--signed", help="Make it a signed policy with this (private) key as its root.")
]
_Source = Annotated[
    Path | None,
    typer.Option("--from", metavar="FILE", help="Install this policy and the signatures beside it."),
]
_Digest = Annotated[
    str | None, typer.Option(metavar="DIGEST", help="With --from: what the policy's digest must be.")
]


def init(
    key: _FirstKey = None,
    name: _Owner = "",
    signed: _Signed = False,
    source: _Source = None,
    digest: _Digest = None,
    trust: PolicyFile = None,
    passphrase_fd: PassphraseDescriptor = None,
    as_json: Json = False,
) -> int:
    """Begin with a policy: one key, or one from elsewhere.

    Nothing is overwritten, but that `--from` puts a newer version of a signed policy in the place of the one
    that is there, where the root keys of both signed it.
    """
    home, now = find_home(), datetime.now(UTC)
    place = place_of(home, trust)
    if source is not None:
        if key is not None or name or signed:
            raise MalformedError("`--from` takes a policy as it is", code="usage", hint="leave the rest out")
        offered = _installed(place, place_of(home, source), digest, now)
    else:
        if digest is not None:
            raise MalformedError("`--digest` goes with `--from`", code="usage")
        signer = read_signer(home, key, passphrase_fd, trusting=False) if signed or key is None else None
        public = signer.public if signer else read_public_key(key, passphrase_fd)
        owner = name or (owner_of(key) if key else "me")
        roles = (*EVIDENCE_ROLES, "root") if signed else EVIDENCE_ROLES
        text = partial(first_policy, TrustedKey(owner, public, frozenset(roles)), now)
        offered = create(place, text, signer if signed else None, now)
    keys = ", ".join(f"`{key.name}` ({key.public.fingerprint})" for key in offered.policy.keys.values())
    line = f"wrote `{place.path}`, version {offered.policy.version}: {keys}\n{offered.digest}"
    return changed(place, offered, now).report({}, line, as_json=as_json)


def _installed(place: PolicyPlace, source: PolicyPlace, digest: str | None, now: datetime) -> OfferedPolicy:
    if digest is not None and not is_digest(digest):
        raise MalformedError("`--digest` takes sha256: and 64 lowercase hex digits", code="usage")
    offered = install(place, source, digest, now)
    if digest is None:
        say("compare the digest with what whoever keeps the policy publishes")
    if not offered.is_signed:
        hint("it is not signed: whoever can write the file decides who is trusted")
    return offered


def _say_changes(offered: OfferedPolicy, seen: OfferedPolicy | None) -> None:
    """Say how the policy differs from the one that counted here last."""
    from difflib import unified_diff

    if seen is None:
        say("no version of this policy counted here before: read all of it")
        return
    before, after = (item.data.decode().splitlines() for item in (seen, offered))
    names = (f"version {seen.policy.version}", f"version {offered.policy.version}")
    for line in unified_diff(before, after, *names, lineterm="", n=0):
        say(line)


def sign_policy(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The policy; default: this home's trust.toml.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The private root key; default: this home's.")
    ] = None,
    passphrase_fd: PassphraseDescriptor = None,
    as_json: Json = False,
) -> int:
    """Sign a policy with one of its root keys.

    Says how it differs from the version that counted here last. The signature lies beside the policy; once
    the root keys of this version and of the one before have signed, it counts.
    """
    home, now = find_home(), datetime.now(UTC)
    place = place_named(home, file)
    signer = read_existing_signer(home, key, passphrase_fd)
    if signer is None:
        raise MalformedError(
            "this home has no key yet", code="no-key", hint=f"evalctl trust sign {place.path} --key FILE"
        )
    offered = sign(place, signer, now, _say_changes)
    fingerprint = signer.public.fingerprint
    line = f"signed `{place.path}`, version {offered.policy.version}, as {fingerprint}"
    return changed(place, offered, now).report({"fingerprint": fingerprint}, line, as_json=as_json)
