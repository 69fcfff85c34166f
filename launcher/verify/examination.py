"""Check what a bundle says against its signed statements, its lock and its own samples, family by family."""

from collections.abc import Mapping

from launcher.environment.agreement import compare_environment, compare_probes
from launcher.errors import EvalctlError
from launcher.spec import bundle
from launcher.spec.imported import ImportedLock
from launcher.trust.attestations import AttestationReport
from launcher.trust.checks import Check, checked, failed
from launcher.verify.claims import compare_claims
from launcher.verify.contents import Contents, beyond_this_version, read_contents
from launcher.verify.imports import check_import
from launcher.verify.marks import shortcomings, widenings
from launcher.verify.metrics import compare_numbers
from launcher.verify.pinned import compare_lock
from launcher.verify.samples import SampleSource


def check_contents(
    files: Mapping[str, bytes], source: SampleSource, digests: Mapping[str, str], report: AttestationReport
) -> tuple[Contents | None, list[Check]]:
    """Return what `files`, whose signatures hold, say (None: not well-formed), and each check of it."""
    try:
        contents = read_contents(files, source)
        numbers = compare_numbers(contents)
    except EvalctlError as error:
        if error.code == "changed-file":
            raise
        return None, [failed("contents", error)]
    signed, provenance = report.result, report.provenance
    assert signed and provenance  # noqa: S101 - the caller asks only about statements that were read
    fit = Check("contents", "ok", "blueprint, lock, result and samples are well-formed and fit")
    if isinstance(contents.lock, ImportedLock):
        return contents, [fit, *check_import(contents, files, digests, report, numbers)]
    return contents, [
        fit,
        *_not_understood(contents),
        checked("lock", lambda: compare_lock(contents, signed, provenance)),
        *widenings(contents),
        checked(
            "environment",
            lambda: compare_environment(files, contents.lock.identity, provenance, contents.result),
        ),
        checked(
            "probe",
            lambda: compare_probes(files[bundle.ENVIRONMENT], contents.blueprint, contents.result),
        ),
        numbers,
        checked("claims", lambda: compare_claims(contents, signed)),
        *shortcomings(contents, digests),
    ]


def _not_understood(contents: Contents) -> list[Check]:
    """Name what nothing here checked, because this version does not know what it would mean."""
    said = beyond_this_version(contents)
    return [Check("features", "skipped", said)] if said else []
