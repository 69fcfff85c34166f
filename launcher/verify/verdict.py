"""The whole answer about one bundle: files, then signatures, and only then what is in them."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from launcher.errors import CheckFailedError
from launcher.ledger.proof import Proof
from launcher.spec import bundle
from launcher.store.directory import Inventory, walk
from launcher.trust.attestations import AttestationReport, check_attestations
from launcher.trust.checks import Check, checked, failed
from launcher.trust.policy import Policy
from launcher.trust.reproductions import CountedReproduction
from launcher.trust.tally import Tally, tally
from launcher.verify.commitments import check_commitments
from launcher.verify.contents import Contents
from launcher.verify.examination import check_contents
from launcher.verify.ledger import check_original_proof, check_pins, check_proof, compare_attempt
from launcher.verify.reading import read_parsed, read_signed
from launcher.verify.records import check_records
from launcher.verify.redacted import check_redacted, read_original, together
from launcher.verify.samples import sample_source


class Verification(Struct, frozen=True):
    """The whole answer about one bundle; `contents` are there once they can be trusted.

    `ledger` is the proof that its attempt (a redacted bundle's original's) stands in the ledger it names.
    """

    verdict: Literal["verified", "failed", "untrusted"]
    digest: str | None
    checks: tuple[Check, ...]
    signers: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    reproductions: tuple[CountedReproduction, ...] = ()
    contents: "Contents | None" = None
    ledger: Proof | None = None

    @property
    def tally(self) -> Tally:
        """How many keys got the result again, on how many machine kinds."""
        return tally(self.reproductions, self.checks)


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
    digests, found = read_signed(inventory)
    kept = {path: data for path, data in found.items() if bundle.is_original_attestation(path)}
    signed = {path: data for path, data in found.items() if path not in kept}
    report = check_attestations(digests, signed, policy, now)
    digest = f"sha256:{digests[bundle.SUMS]}"
    checks = [Check("files", "ok", f"{len(digests)} files"), *report.checks]
    if kept or bundle.ORIGINAL_SUMS in digests or (report.result and report.result.redaction):
        return _verify_redacted((inventory, digests, kept), checks, report, (policy, now))
    proof, counted = check_proof(signed.get(bundle.LEDGER_PROOF), digest, report, policy)
    checks.extend([counted, *check_pins(proof, report, policy)])
    if report.verdict == "failed" or not report.is_read:
        checks.append(Check("contents", "skipped", "nothing is parsed before its signature holds"))
        return _answer(report, digest, tuple(checks), None)
    files = read_parsed(inventory, digests)
    source = sample_source(inventory, digests[bundle.SAMPLES])
    contents, more = check_contents(files, source, digests, report)
    more.append(check_records(inventory, digests))
    if contents is not None and report.provenance is not None:
        more.extend(check_commitments(contents, inventory, files, digests))
    if contents is not None and proof is not None:
        more.append(checked("ledger-entry", partial(compare_attempt, proof, contents)))
    return replace(_answer(report, digest, (*checks, *more), contents), ledger=proof)


def _verify_redacted(
    found: tuple[Inventory, Mapping[str, str], Mapping[str, bytes]],
    checks: list[Check],
    report: AttestationReport,
    judged: tuple[Policy, datetime],
) -> Verification:
    """Check a bundle that another one was redacted to: both signers' word, then what is left."""
    inventory, digests, kept = found
    digest = f"sha256:{digests[bundle.SUMS]}"
    try:
        original = read_original(inventory, digests, kept, *judged)
    except CheckFailedError as error:
        return _answer(report, digest, (*checks, failed("original", error)), None)
    both = together(report, original.report)
    proof, counted = check_original_proof(kept, original, judged[0])
    if bundle.LEDGER_PROOF in inventory.files:
        checks.append(
            Check("ledger-proof", "failed", "a redacted bundle stands in no ledger: its original may")
        )
    checks.extend([*original.checks, counted, *check_pins(proof, original.report, judged[0])])
    if both.verdict == "failed" or not (report.is_read and original.report.is_read):
        checks.append(Check("contents", "skipped", "nothing is parsed before its signatures hold"))
        return _answer(both, digest, tuple(checks), None)
    contents, more = check_redacted(inventory, digests, report, original)
    if contents is not None and proof is not None:
        more.append(checked("original:ledger-entry", partial(compare_attempt, proof, contents)))
    return replace(_answer(both, digest, (*checks, *more), contents), ledger=proof)


def _answer(
    report: AttestationReport, digest: str, checks: tuple[Check, ...], contents: Contents | None
) -> Verification:
    tampered = any(check.status == "failed" and not check.name.startswith("trust:") for check in checks)
    verdict = report.verdict
    if verdict == "verified" and any(check.status == "failed" for check in checks):
        verdict = "untrusted"
    return Verification(
        "failed" if tampered else verdict,
        digest,
        checks,
        report.signers,
        report.unknown,
        report.reproductions,
        contents,
    )
