"""`evalctl verify`."""

from datetime import UTC, datetime
from shlex import quote
from typing import Any

from launcher.cli.options import BundleName, Json, TrustedKey, TrustPolicy
from launcher.cli.output import hint, print_json, say, say_next
from launcher.cli.signing import read_verifying_policy
from launcher.report.findings import verification as render
from launcher.spec.bundle import SUMS
from launcher.store.bundles import find_bundle
from launcher.store.home import find_home
from launcher.verify import Verification
from launcher.verify import verify as verify_bundle

EXIT_CODES = {"verified": 0, "failed": 1, "untrusted": 3}


def verify(
    bundle: BundleName,
    key: TrustedKey = None,
    trust: TrustPolicy = None,
    as_json: Json = False,
) -> int:
    """Check a bundle offline: bytes, signatures, metrics.

    Every file is hashed, every signature checked against the policy, and every metric and interval
    computed again from the samples. Exit codes: 0 verified, 1 tampered with or malformed, 3 signed by
    nobody the policy trusts.
    """
    home = find_home()
    path = find_bundle(home, bundle)
    verification = verify_bundle(path, read_verifying_policy(home, trust, key), datetime.now(UTC))
    if as_json:
        print_json(_as_object(verification))
    else:
        print(_shown(verification))
        say_stranger(verification)
        if verification.digest is None and not (path / SUMS).exists():
            hint(f"`{path}` holds no `{SUMS}`, as every bundle does: `evalctl list` names those of this home")
        if verification.verdict == "verified":
            say_next(f"evalctl report {quote(bundle)} --out report.html")
    return EXIT_CODES[verification.verdict]


def _shown(verification: Verification) -> str:
    return render(verification.verdict, verification.digest, verification.checks, verification.reproductions)


def say_stranger(verification: Verification) -> None:
    """Say who signed a bundle that nobody here trusts, and what to do about it."""
    if verification.verdict != "untrusted":
        return
    for fingerprint in verification.unknown:
        say(f"signed by {fingerprint}, whom this machine does not know")
    if verification.unknown:
        hint("compare it with what its owner publishes, then `evalctl trust add NAME.pub`")
    else:
        hint("see who may sign what, and until when, with `evalctl trust show`")


def _as_object(verification: Verification) -> dict[str, Any]:
    contents = verification.contents
    return {
        "verdict": verification.verdict,
        "digest": verification.digest,
        "signers": list(verification.signers),
        "unknown": list(verification.unknown),
        "checks": [
            {"name": check.name, "status": check.status, "detail": check.detail}
            for check in verification.checks
        ],
        "attempt": contents.result.attempt if contents else None,
        "lock": contents.lock.digest if contents else None,
        "origin": contents.result.origin if contents else None,
        "reproductions": [
            {
                "signer": item.signer,
                "independent": item.independent,
                "verdict": item.statement.verdict,
                "bundle": item.statement.reproduced,
                "name": item.name,
                "environment": dict(item.statement.environment),
            }
            for item in verification.reproductions
        ],
        "reproduced": verification.tally.as_json(),
    }
