"""Demand of a bundle that it verified: what comes next would make no sense, or would be a lie, otherwise."""

from pathlib import Path

from launcher.errors import CheckFailedError, TrustError
from launcher.verify.contents import Contents
from launcher.verify.verdict import Verification


def demand_verified(path: Path, verification: Verification, purpose: str) -> Contents:
    """Return what the bundle at `path` says; `purpose` is what it was verified for, such as `to reproduce`.

    Raises `CheckFailedError` where it does not verify, `TrustError` where nobody trusted signed it.
    """
    demand_whole(path, verification, purpose)
    if verification.contents is None or verification.verdict != "verified":
        raise TrustError(
            f"`{path}` is signed by nobody this machine trusts",
            code="untrusted",
            context=f"signed by {', '.join(verification.unknown) or 'a key without that role'}",
            hint="compare it with what its owner publishes, then `evalctl trust add NAME.pub`",
        )
    return verification.contents


def demand_whole(path: Path, verification: Verification, purpose: str) -> str:
    """Return the digest of the bundle at `path`, whose signers may be strangers.

    Raises `CheckFailedError` where something about it is wrong, with the first thing that is.
    """
    if verification.verdict != "failed" and verification.digest is not None:
        return verification.digest
    wrong = [check for check in verification.checks if check.status == "failed"]
    raise CheckFailedError(
        f"`{path}` does not verify, so there is nothing {purpose}",
        code="not-verified",
        context="; ".join(f"{check.name}: {check.detail}" for check in wrong[:1]) or None,
        hint=f"see what is wrong with `evalctl verify {path}`",
    )
