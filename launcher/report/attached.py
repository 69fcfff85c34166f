"""Count a bundle's reproductions by its attestations alone: what `show` and `list` say of them."""

from datetime import datetime
from pathlib import Path

from launcher.errors import CheckFailedError
from launcher.store.attested import has_reproductions, read_attested
from launcher.trust.attestations import check_attestations
from launcher.trust.policy import Policy
from launcher.trust.tally import Tally, tally


def count_reproductions(path: Path, policy: Policy, now: datetime) -> Tally | None:
    """Return what `policy` counts of the reproductions attached to the bundle at `path`.

    Their signatures are checked, and that they are about this bundle; its files are not looked at. None where
    nobody attached any. Raises `CheckFailedError` where the attestations do not stand.
    """
    if not has_reproductions(path):
        return None
    attested = read_attested(path)
    report = check_attestations(attested.digests, attested.files, policy, now)
    if report.verdict == "failed":
        wrong = next(check for check in report.checks if check.status == "failed")
        raise CheckFailedError("the attestations do not stand", code="bad-attestation", context=wrong.detail)
    return tally(report.reproductions, report.checks)
