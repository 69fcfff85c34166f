"""The whole answer about one bundle: files, then signatures, and only then what is in them."""

from datetime import datetime
from pathlib import Path
from typing import Literal

from msgspec import Struct

from launcher.errors import CheckFailedError
from launcher.spec import bundle
from launcher.store.directory import Inventory, walk
from launcher.trust.attestations import AttestationReport, check_attestations
from launcher.trust.checks import Check, failed
from launcher.trust.policy import Policy
from launcher.trust.reproductions import CountedReproduction
from launcher.verify.contents import Contents
from launcher.verify.examination import check_contents
from launcher.verify.reading import read_parsed, read_signed


class Verification(Struct, frozen=True):
    """The whole answer about one bundle; `result` and `samples` are there once they can be trusted."""

    verdict: Literal["verified", "failed", "untrusted"]
    digest: str | None
    checks: tuple[Check, ...]
    signers: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    reproductions: tuple[CountedReproduction, ...] = ()
    contents: "Contents | None" = None


def verify(path: Path, policy: Policy, now: datetime) -> Verification:
    """Check the bundle at `path`; nothing outside it is read and no network is used.

    Raises `MalformedError` only where `path` is no directory: whatever is in it is a verdict.
    """
    try:
        with walk(path) as inventory:
            return _verify(inventory, policy, now)
    except CheckFailedError as error:
        return Verification("failed", None, (failed("files", error),))


def _verify(inventory: Inventory, policy: Policy, now: datetime) -> Verification:
    digests, signed = read_signed(inventory)
    report = check_attestations(digests, signed, policy, now)
    checks = [Check("files", "ok", f"{len(digests)} files"), *report.checks]
    digest = f"sha256:{digests[bundle.SUMS]}"
    if report.verdict == "failed" or None in (report.provenance, report.result, report.lock):
        checks.append(Check("contents", "skipped", "nothing is parsed before its signature holds"))
        return _answer(report, digest, tuple(checks), None)
    contents, more = check_contents(read_parsed(inventory, digests), digests, report)
    return _answer(report, digest, (*checks, *more), contents)


def _answer(
    report: AttestationReport, digest: str, checks: tuple[Check, ...], contents: Contents | None
) -> Verification:
    tampered = any(check.status == "failed" and not check.name.startswith("trust:") for check in checks)
    return Verification(
        "failed" if tampered else report.verdict,
        digest,
        checks,
        report.signers,
        report.unknown,
        report.reproductions,
        contents,
    )
