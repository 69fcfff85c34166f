"""`evalctl verify`."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from launcher.cli.options import BundleName, Json, TrustedKey, TrustPolicy
from launcher.cli.output import hint, print_json, say, say_next
from launcher.cli.places import place_verified
from launcher.cli.signing import read_verifying_policy, under_policy
from launcher.errors import CheckFailedError, MalformedError
from launcher.report.findings import verification as render
from launcher.spec.bundle import SUMS
from launcher.store.bundles import bundle_digest, find_bundle
from launcher.store.home import Home, find_home
from launcher.trust.checks import Check
from launcher.trust.policy import Policy
from launcher.verify import Contents, Verification
from launcher.verify import verify as verify_bundle
from launcher.verify.remembered import remembered

EXIT_CODES = {"verified": 0, "failed": 1, "untrusted": 3}

_Outcomes = Annotated[
    list[str] | None,
    typer.Option(
        "--with",
        metavar="BUNDLE",
        help="The bundle of a reproduction, to be held against its statement; may be given again.",
    ),
]


def verify(
    bundle: BundleName,
    key: TrustedKey = None,
    trust: TrustPolicy = None,
    outcomes: _Outcomes = None,
    as_json: Json = False,
) -> int:
    """Check a bundle offline: bytes, signatures, metrics.

    Every file is hashed, every signature checked against the policy, and every metric and interval
    computed again from the samples. Of a reproduction its signed statement is checked; with its own bundle
    (`--with`) also that what it states follows from the two. Exit codes: 0 verified, 1 tampered with or
    malformed, 3 signed by nobody the policy trusts.
    """
    home = find_home()
    path = find_bundle(home, bundle)
    policy, now = read_verifying_policy(home, trust, key), datetime.now(UTC)
    verification = remembered(home, verify_bundle(path, policy, now))
    if outcomes:
        verification = _with_outcomes(home, verification, outcomes, policy, now)
    if as_json:
        place = place_verified(home, path, verification, policy) if verification.ledger else None
        print_json({**_as_object(verification), "ledger": place.as_json() if place else None})
    else:
        print(_shown(verification))
        say_stranger(verification, bundle, trust)
        if verification.digest is None and not (path / SUMS).exists():
            hint(f"`{path}` holds no `{SUMS}`, as every bundle does: `evalctl list` names those of this home")
        if any(check.wants_signers for check in _named(verification, "reproduction-")):
            signing = under_policy(f"evalctl sign {quote(bundle)} --role reproduction", trust)
            hint(f"another of those who may adds a signature with `{signing}`")
        if verification.reproductions and not outcomes:
            say("note: what the reproductions ran was not looked at: name their bundles with `--with`")
        if verification.verdict == "verified":
            say_next(f"evalctl report {quote(bundle)} --out report.html")
    return EXIT_CODES[verification.verdict]


def _with_outcomes(
    home: Home, verification: Verification, outcomes: list[str], policy: Policy, now: datetime
) -> Verification:
    """Hold the reproductions against their own bundles; each must be of a statement that counts."""
    from launcher.verify.outcomes import with_outcomes

    places = outcome_places(home, outcomes)
    if verification.digest is not None:
        named = {item.statement.reproduced for item in verification.reproductions}
        for digest in places.keys() - named:
            raise MalformedError(
                f"no reproduction that counts names the bundle {digest}",
                code="not-named",
                hint="see which are attached with `evalctl verify BUNDLE --json`",
            )
    return with_outcomes(verification, places, policy, now)


def outcome_places(home: Home, names: list[str]) -> dict[str, Path]:
    """Return the bundles of `--with` by their digests."""
    return {_digest_of(place): place for place in (find_bundle(home, name) for name in names)}


def _digest_of(place: Path) -> str:
    try:
        return bundle_digest(place)
    except OSError as error:
        raise CheckFailedError(
            f"`{place}` holds no `{SUMS}`, as every bundle does", code="missing-file", context=error.strerror
        ) from error


def _named(verification: Verification, start: str) -> Iterator[Check]:
    return (check for check in verification.checks if check.name.startswith(start))


def _shown(verification: Verification) -> str:
    return render(verification.verdict, verification.digest, verification.checks, verification.reproductions)


def say_stranger(verification: Verification, bundle: str, trust: Path | None = None) -> None:
    """Say who signed a bundle that nobody here trusts, and what to do about it.

    `bundle` and `trust` are what was typed, for the commands to type next.
    """
    if verification.verdict != "untrusted":
        return
    for fingerprint in verification.unknown:
        say(f"signed by {fingerprint}, whom this machine does not know")
    if verification.unknown:
        hint("compare it with what its owner publishes, then `evalctl trust add NAME.pub`")
    else:
        hint(f"see who may sign what, and until when, with `{under_policy('evalctl trust show', trust)}`")
        failed = [check for check in _named(verification, "trust:") if check.status == "failed"]
        if failed and all(check.wants_signers for check in failed):
            signing = under_policy(f"evalctl sign {quote(bundle)}", trust)
            hint(f"another of those signers adds a signature with `{signing}`")


def _redaction(contents: Contents | None) -> dict[str, Any] | None:
    redaction = contents.result.redaction if contents else None
    return redaction.as_json() if redaction else None


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
        "redaction": _redaction(contents),
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
