"""Check a redacted bundle: the original's signatures, and everything that is given out against them.

What is left is tied to the original in three ways: a file by its digest in the original's SHA256SUMS, a part
of a file by the commitment in the original's commitments.jsonl, the numbers by the original's signed result.
"""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from launcher.canonical import canonical_bytes
from launcher.digest import sha256_hex
from launcher.environment.agreement import compare_environment, compare_probes
from launcher.errors import CheckFailedError, EvalctlError
from launcher.metrics.contributions import what_stays
from launcher.metrics.judgement import combine_verdicts
from launcher.spec import bundle
from launcher.spec.claims import evaluation_result
from launcher.spec.commitments import (
    Entry,
    bad,
    read_commitments,
    read_header,
)
from launcher.spec.disclosure import (
    event_line,
    require_columns,
    result_json,
)
from launcher.spec.imported import ImportedLock
from launcher.spec.openings import check_opening, read_openings
from launcher.spec.predicates import EvaluationResult, Provenance
from launcher.spec.redaction import ADDED, Redaction, is_withheld_file, redacted_files
from launcher.spec.result import Result
from launcher.store.directory import Inventory
from launcher.trust.attestations import AttestationReport, check_attestations
from launcher.trust.checks import Check, checked, failed
from launcher.trust.policy import Policy
from launcher.verify.claims import compare_claims
from launcher.verify.commitments import checked_lines, paired
from launcher.verify.contents import Contents, beyond_this_version, read_contents
from launcher.verify.given_out import GivenSamples
from launcher.verify.marks import shortcomings, widenings
from launcher.verify.metrics import compare_metric, compare_numbers
from launcher.verify.pinned import compare_lock
from launcher.verify.reading import MAX_SUMS_BYTES, read_parsed
from launcher.verify.records import check_records
from launcher.verify.samples import sample_source


class Original(Struct, frozen=True):
    """What is known of the bundle that a redacted one was made of: its digests, and who signed what of it."""

    digests: Mapping[str, str]
    report: AttestationReport

    @property
    def checks(self) -> tuple[Check, ...]:
        """Its checks, named as the original's."""
        return tuple(replace(check, name=_original_name(check.name)) for check in self.report.checks)


class _GivenOut(Struct, frozen=True):
    """Every value that is given out, each the one that was committed to; of events the SHA-256."""

    result: Mapping[str, Any]
    events: str | None
    samples: GivenSamples


def _original_name(name: str) -> str:
    return (
        f"trust:original:{name.removeprefix('trust:')}" if name.startswith("trust:") else f"original:{name}"
    )


def read_original(
    inventory: Inventory, digests: Mapping[str, str], kept: Mapping[str, bytes], policy: Policy, now: datetime
) -> Original:
    """Check the original's listing and attestations (`kept`, by their names here) as `verify` did once.

    Raises `CheckFailedError` where the listing is none.
    """
    data = inventory.read(bundle.ORIGINAL_SUMS, MAX_SUMS_BYTES)
    if sha256_hex(data) != digests[bundle.ORIGINAL_SUMS]:
        raise CheckFailedError(f"`{bundle.ORIGINAL_SUMS}` changed while it was read", code="changed-file")
    listed = bundle.read_sums(data)
    bundle.refuse_collisions(listed)
    if ADDED & listed.keys():
        raise CheckFailedError("the original is a redacted bundle itself", code="bad-redaction")
    found = {**listed, bundle.SUMS: sha256_hex(data)}
    files = {bundle.from_original(path): attestation for path, attestation in kept.items()}
    return Original(found, check_attestations(found, {**files, bundle.SUMS: data}, policy, now))


def together(new: AttestationReport, original: AttestationReport) -> AttestationReport:
    """Return what a redacted bundle's own attestations and its original's are worth together.

    Both must be trusted. Who signed it is the redactor; reproductions of either count.
    """
    verdicts = (new.verdict, original.verdict)
    return replace(
        new,
        verdict="failed" if "failed" in verdicts else "untrusted" if "untrusted" in verdicts else "verified",
        unknown=tuple(sorted({*new.unknown, *original.unknown})),
        reproductions=(*new.reproductions, *original.reproductions),
    )


def check_redacted(
    inventory: Inventory, digests: Mapping[str, str], report: AttestationReport, original: Original
) -> tuple[Contents | None, list[Check]]:
    """Return what a redacted bundle, whose signatures hold, says, and each check of it."""
    files = read_parsed(inventory, digests)
    try:
        contents = read_contents(files, sample_source(inventory, digests[bundle.SAMPLES]))
        redaction = contents.result.redaction
        if redaction is None or isinstance(contents.lock, ImportedLock) or not contents.blueprint.redactable:
            raise CheckFailedError("the bundle is redacted, and no launch allowed that", code="bad-redaction")
        given = _read_given_out(inventory, (digests, original), contents, redaction)
    except EvalctlError as error:
        return None, [failed("contents", error)]
    signed, provenance = original.report.result, original.report.provenance
    assert signed and provenance and report.result and report.provenance  # noqa: S101 - known to the caller
    new = report.result

    def compare_signed() -> None:
        compare_claims(contents, new)
        _compare_original(contents, signed, provenance, report.provenance)

    return contents, [
        Check("contents", "ok", "what is left is well-formed, and was committed to"),
        *_not_understood(contents),
        checked("redaction", lambda: _compare_files(digests, original.digests, redaction)),
        checked("withheld", lambda: _compare_left(contents, (inventory, files, digests), given, redaction)),
        checked("lock", lambda: compare_lock(contents, signed, provenance)),
        *widenings(contents),
        checked(
            "environment",
            lambda: compare_environment(files, contents.lock.identity, provenance, contents.result),
        ),
        checked(
            "probe", lambda: compare_probes(files[bundle.ENVIRONMENT], contents.blueprint, contents.result)
        ),
        _check_numbers(contents, given, redaction),
        checked("claims", compare_signed),
        *shortcomings(contents, original.digests),
        check_records(inventory, digests),
        *_skipped(contents, redaction),
    ]


def _not_understood(contents: Contents) -> list[Check]:
    said = beyond_this_version(contents)
    return [Check("features", "skipped", said)] if said else []


def _skipped(contents: Contents, redaction: Redaction) -> Iterator[Check]:
    """Name what nobody can check any more, and what of it is not hidden."""
    left = what_stays(contents.blueprint.metrics) if redaction.takes_samples else ()
    said = "; of each sample stays ".join((redaction.said.removeprefix("redacted: "), *left))
    yield Check("redacted", "skipped", said)
    if redaction.takes_samples:
        reason = "withheld: tables and claims of the container cannot be held against the samples"
        yield Check("tables", "skipped", reason)


def _read_given_out(
    inventory: Inventory,
    signed: tuple[Mapping[str, str], Original],
    contents: Contents,
    redaction: Redaction,
) -> _GivenOut:
    """Read what is given out, line by line beside the commitments that the original's signer signed."""
    digests, original = signed
    for name in (bundle.COMMITMENTS, bundle.OPENINGS):
        if name not in digests:
            raise CheckFailedError(f"the bundle has no `{name}`", code="missing-file")
    if original.digests.get(bundle.COMMITMENTS) != digests[bundle.COMMITMENTS]:
        raise CheckFailedError("the commitments are not the original's", code="bad-redaction")
    lines = checked_lines(inventory, bundle.COMMITMENTS, digests)
    header = read_header(lines)
    require_columns(header, len(header.metrics))
    openings = read_openings(checked_lines(inventory, bundle.OPENINGS, digests))
    samples = GivenSamples(contents, header, redaction)
    result: dict[str, Any] = {}
    events, has_events, size = hashlib.sha256(), False, 0
    for committed, opening in paired(read_commitments(header, lines), openings):
        if opening is None:
            _refuse_missing(committed, redaction)
            continue
        values = check_opening(committed, opening)
        if values.kind == "sample":
            samples.add(values)
        elif values.kind == "event":
            events.update(event_line(values.cells[""]))
            has_events = True
        elif values.kind == "result":
            result[values.name] = values.cells[""]
            size += len(canonical_bytes(values.cells[""]))
            if size > bundle.MAX_RECORD_BYTES:
                raise bad("more is given out of the result than a result holds")
        else:
            raise bad("files are not given out by openings")
    return _GivenOut(result, events.hexdigest() if has_events else None, samples)


def _refuse_missing(committed: Entry, redaction: Redaction) -> None:
    if committed.kind == "sample":
        raise CheckFailedError("a sample is missing from what is given out", code="missing-sample")
    if committed.kind == "event" and "event-details" in redaction.withheld:
        raise CheckFailedError("a step is missing from what is given out", code="missing-event")


def _compare_files(found: Mapping[str, str], original: Mapping[str, str], redaction: Redaction) -> None:
    """Check that each file is original, redacted or withheld, as the redaction says."""
    if redaction.original != f"sha256:{original[bundle.SUMS]}":
        raise _contradiction("the redaction names another original than the one whose listing is here")
    if redaction.redacted != redacted_files(redaction.withheld, redaction.samples):
        raise _contradiction("the files said to be redacted are not those that must be")
    if found.keys() - original.keys() != ADDED:
        odd = min((found.keys() - original.keys()) ^ ADDED)
        raise _contradiction(f"`{odd}` was not in the original")
    for path, sha256 in original.items():
        if path in redaction.redacted or path == bundle.SUMS:
            continue
        if (path not in found) != is_withheld_file(path, redaction.withheld):
            raise _contradiction(
                f"`{path}` is {'not ' if path not in found else ''}there, against what is said"
            )
        if path in found and found[path] != sha256:
            raise _contradiction(f"`{path}` is not the original's")


def _compare_left(
    contents: Contents,
    found: tuple[Inventory, Mapping[str, bytes], Mapping[str, str]],
    given: _GivenOut,
    redaction: Redaction,
) -> None:
    """Check that samples, events and result are what the values given out make, and what is counted."""
    inventory, files, digests = found
    withheld = given.samples.whole
    if withheld != redaction.samples:
        raise _contradiction(f"{withheld} samples are withheld, and {redaction.samples} are said to be")
    if not given.samples.are_in(checked_lines(inventory, bundle.SAMPLES, digests)):
        raise _contradiction("`samples.jsonl` is not what the values given out make")
    for _ in contents.source.blocks():
        # Read strictly: the lines are the right ones, and must be in their order.
        pass
    if "event-details" in redaction.withheld:
        if (given.events or sha256_hex(b"")) != digests[bundle.EVENTS]:
            raise _contradiction("`events.jsonl` is not what the values given out make")
    elif given.events:
        raise _contradiction("steps are given out that are not withheld")
    expected = canonical_bytes(result_json(given.result, redaction)) + b"\n"
    if expected != files[bundle.RESULT]:
        raise _contradiction("`result.json` is not what the values given out make")


def _check_numbers(contents: Contents, given: _GivenOut, redaction: Redaction) -> Check:
    """Check every number; where each sample is there as it was, the tables too."""
    try:
        if not redaction.takes_samples and (whole := compare_numbers(contents)).status == "failed":
            return whole
    except EvalctlError as error:
        return failed("metrics", error)
    return checked("metrics", lambda: _compare_numbers(contents, given))


def _compare_numbers(contents: Contents, given: _GivenOut) -> None:
    """Compute every number again from what each sample contributed."""
    result = contents.result
    if result.status == "failed":
        if result.metrics or result.verdict != "none" or given.samples.count:
            raise CheckFailedError("a failed run has samples or a score", code="disagreement")
        return
    found, counts = given.samples.evaluate()
    if len(found) != len(result.metrics):
        raise CheckFailedError("the result has other metrics than the blueprint", code="disagreement")
    for expected, got in zip(found, result.metrics, strict=True):
        compare_metric(expected, got)
    if combine_verdicts(found) != result.verdict:
        raise CheckFailedError("the verdict does not follow from the metrics", code="disagreement")
    if counts != result.samples:
        raise CheckFailedError("the counts of samples do not follow from the samples", code="disagreement")


def _compare_original(
    contents: Contents, signed: EvaluationResult, before: Provenance, after: Provenance | None
) -> None:
    """Check that the original's signed statement says the same, but for what is withheld."""
    bare: Result = replace(contents.result, redaction=None)
    if evaluation_result(bare, signed.verifier, signed.evaluated_at) != signed:
        raise CheckFailedError("the original's signed statement says something else", code="disagreement")
    if after is None or (before.lock, before.dependencies) != (after.lock, after.dependencies):
        raise CheckFailedError("the redactor signed the provenance of another run", code="disagreement")


def _contradiction(message: str) -> CheckFailedError:
    return CheckFailedError(message, code="bad-redaction")
