"""Make, change, sign and install a trust policy: under a lock, each file by one rename.

A signature lies beside the policy before the policy takes its place: one that is about other bytes is no harm
there. So a crash leaves a policy with its signatures, the old or the new one.
"""

import os
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from launcher.errors import MalformedError, TrustError
from launcher.store.files import sweep, write_atomically
from launcher.store.home import make_private
from launcher.store.policies import (
    SIGNATURE,
    PolicyPlace,
    accept,
    locked,
    read_offered,
    read_seen,
    signatures_beside,
)
from launcher.trust.keys import Signer, fingerprint_hex
from launcher.trust.policy import refuse_rollback
from launcher.trust.policy_file import read_policy
from launcher.trust.policy_signature import OfferedPolicy, refuse_policy, root_signers
from launcher.trust.sigstore import seal_payload


def create(
    place: PolicyPlace, text: Callable[[int], str], signer: Signer | None, now: datetime
) -> OfferedPolicy:
    """Write a first policy, of the version that `text` is called with; nothing is overwritten."""
    make_private(place.path.parent)
    with locked(place.path.parent):
        if os.path.lexists(place.path):
            raise MalformedError(
                f"`{place.path}` exists already",
                code="file-exists",
                hint="change it with `evalctl trust add`, `revoke`, `rule`, `renew` and `ledger`",
            )
        seen = read_seen(place)
        data = text(seen.policy.version + 1 if seen else 1).encode()
        offered = OfferedPolicy(data, read_policy(data, file=str(place.path)))
        if seen is not None and seen.is_signed and not offered.is_signed:
            raise TrustError(
                "the trust policy was signed before; an unsigned one does not take its place",
                code="policy-downgrade",
                context=f"version {seen.policy.version} counted here, and `{place.path}` is gone",
                hint="put the policy and its signatures back, or begin with another EVALCTL_HOME",
            )
        _write(place, offered, signer)
        return _counted(place, now)


def change(
    place: PolicyPlace, edit: Callable[[str], str], signer: Callable[[], Signer | None], now: datetime
) -> OfferedPolicy:
    """Change the policy's text; sign the outcome where the signer is a root of it or of what counted before.

    What `edit` gives back as it is is left alone. What neither counted nor was signed by that key
    is not signed with the change: somebody else may have put it there. Edits wait for each other; a crash
    leaves the old policy with its signatures, or the new one.
    """
    with locked(place.path.resolve().parent):
        before, seen = read_offered(place), read_seen(place)
        if seen is not None:
            refuse_rollback(before.policy, seen.policy.version)
        data = edit(before.data.decode()).encode()
        if data == before.data:
            return before
        offered = OfferedPolicy(data, read_policy(data, file=str(place.path)))
        root = signer() if offered.is_signed else None
        known = root_signers(offered.policy, seen.policy if seen else None)
        if root is not None and (
            root.public.fingerprint not in known or not _is_vouched_for(before, seen, root, now)
        ):
            root = None
        _write(place, offered, root)
        return _counted(place, now)


def sign(
    place: PolicyPlace,
    signer: Signer,
    now: datetime,
    show: Callable[[OfferedPolicy, OfferedPolicy | None], None] = lambda offered, seen: None,
) -> OfferedPolicy:
    """Put a root key's signature beside the policy.

    Before it signs, `show` is told what is signed and what counted here last.
    """
    with locked(place.path.resolve().parent):
        offered, seen = read_offered(place), read_seen(place)
        if seen is not None:
            refuse_rollback(offered.policy, seen.policy.version)
        if signer.public.fingerprint not in root_signers(offered.policy, seen.policy if seen else None):
            raise MalformedError(
                f"{signer.public.fingerprint} is no root key of the trust policy",
                code="not-a-root-key",
                context=None if offered.is_signed else "it has no `[rules.root]`: it counts unsigned",
                hint="name a root with `evalctl trust rule root --add NAME`, or sign with another `--key`",
            )
        show(offered, seen)
        data = seal_payload(offered.payload, signer)
        write_atomically(place.signature(signer.public.key_hex), data)
        _tidy(place, offered)
        return _counted(place, now)


def install(place: PolicyPlace, source: PolicyPlace, digest: str | None, now: datetime) -> OfferedPolicy:
    """Put the policy from `source`, with its signatures, at `place`: a first one, or one that may follow.

    With `digest` it must be that very one. Raises `TrustError` where it does not count.
    """
    offered = read_offered(source)
    if digest is not None and digest != offered.digest:
        raise TrustError(
            f"`{source.path}` is not the policy that was asked for",
            code="policy-digest",
            context=f"expected {digest}, got {offered.digest}",
            hint="get the policy again from whoever keeps it, and compare the digest on another way",
        )
    make_private(place.path.parent)
    with locked(place.path.parent):
        seen = read_seen(place)
        if os.path.lexists(place.path) and not (seen and seen.is_signed):
            raise MalformedError(
                f"`{place.path}` exists already",
                code="file-exists",
                hint="only a signed policy is replaced, by a newer one that its root keys signed",
            )
        refuse_policy(offered, seen, now)
        for path, envelope in signatures_beside(source).items():
            if offered.is_signed and envelope.payload == offered.payload:
                write_atomically(place.signature(fingerprint_hex(envelope.keyid)), path.read_bytes())
        write_atomically(place.path, offered.data)
        _tidy(place, offered)
        return _counted(place, now)


def _is_vouched_for(before: OfferedPolicy, seen: OfferedPolicy | None, signer: Signer, now: datetime) -> bool:
    """Say whether the policy counts as it is, or the signer signed it as it is."""
    if signer.public.fingerprint in before.signers(before.policy):
        return True
    try:
        refuse_policy(before, seen, now)
    except TrustError:
        return False
    return True


def _counted(place: PolicyPlace, now: datetime) -> OfferedPolicy:
    """Read what was written, and remember it where it counts already."""
    offered = read_offered(place)
    with suppress(TrustError):
        accept(place, offered, now)
    return offered


def _write(place: PolicyPlace, offered: OfferedPolicy, signer: Signer | None) -> None:
    """Write the policy behind its signature: what lies beside an older one and is not about it is no harm."""
    if signer is not None and offered.is_signed:
        signature = seal_payload(offered.payload, signer)
        write_atomically(place.signature(signer.public.key_hex), signature)
    write_atomically(place.path.resolve(), offered.data)
    _tidy(place, offered)


def _tidy(place: PolicyPlace, offered: OfferedPolicy) -> None:
    """Remove what killed edits left, and others' signatures; one of the rest gets the plain name if free."""
    # Behind a link the lock is on another folder.
    if not place.path.is_symlink():
        sweep(place.path.parent, rf"{re.escape(place.path.name)}(?:{SIGNATURE})?")
    if not offered.is_signed:
        return
    kept = []
    for path, envelope in signatures_beside(place).items():
        if envelope.payload == offered.payload:
            kept.append(path)
        else:
            path.unlink(missing_ok=True)
    if kept and place.signature() not in kept:
        min(kept).rename(place.signature())
