"""Check a bundle that was made of foreign logs."""

from collections.abc import Mapping

from launcher.environment.agreement import refuse_launch
from launcher.errors import CheckFailedError
from launcher.spec.imported import Import, compare_import
from launcher.trust.attestations import AttestationReport
from launcher.trust.checks import Check, checked
from launcher.verify.claims import compare_claims
from launcher.verify.contents import Contents
from launcher.verify.pinned import compare_names, compare_replicates


def check_import(
    contents: Contents,
    files: Mapping[str, bytes],
    digests: Mapping[str, str],
    report: AttestationReport,
    numbers: Check,
) -> list[Check]:
    """Check a bundle that was made of foreign logs, and say that it was; `numbers` is the check of those."""
    signed, provenance, imported = (
        report.result,
        report.provenance,
        Import.from_identity(contents.lock.identity),
    )
    assert signed and provenance  # noqa: S101 - as in the caller

    def compare_lock() -> None:
        compare_names(contents, signed)
        compare_import(imported, report.lock, provenance, signed)
        compare_replicates(contents)
        if contents.result.status != "succeeded" or not {*contents.result.marks} <= {"partial"}:
            raise CheckFailedError("an import has no failure or mark of a launch", code="disagreement")

    return [
        Check("origin", "skipped", imported.said),
        checked("lock", compare_lock),
        checked("environment", lambda: refuse_launch(files, digests)),
        numbers,
        checked("claims", lambda: compare_claims(contents, signed)),
    ]
