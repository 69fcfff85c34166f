"""Verify a bundle offline: its files, its signatures, the policy, and every number from the samples again."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from launcher.canonical import canonical_bytes, parse_json
from launcher.digest import sha256_hex, sums_text
from launcher.environment.agreement import compare_environment, compare_probes, refuse_launch
from launcher.errors import CheckFailedError, EvalctlError, MalformedError
from launcher.metrics.confusion import confusion
from launcher.metrics.evaluation import evaluate, sample_counts
from launcher.metrics.judgement import combine_verdicts
from launcher.metrics.reference import references
from launcher.spec import bundle
from launcher.spec.blueprint import Blueprint
from launcher.spec.claims import dependencies, evaluation_result
from launcher.spec.imported import Import, ImportedLock, compare_import, read_any_lock
from launcher.spec.lock import Lock, check_lock, pins_from
from launcher.spec.predicates import EvaluationResult, Provenance
from launcher.spec.reading import read_blueprint
from launcher.spec.result import MetricResult, Result, round12
from launcher.spec.sample import Sample, read_bundle_samples
from launcher.spec.widenings import widened
from launcher.store.directory import Inventory, walk
from launcher.trust.attestations import AttestationReport, CountedReproduction, check_attestations
from launcher.trust.checks import Check, checked, failed
from launcher.trust.policy import Policy

MAX_SUMS_BYTES = 64 << 20

_PARSED = (bundle.BLUEPRINT, bundle.LOCK, bundle.RESULT, bundle.ENVIRONMENT, bundle.SBOM, bundle.SAMPLES)


class Verification(Struct, frozen=True):
    """The whole answer about one bundle; `result` and `samples` are there once they can be trusted."""

    verdict: Literal["verified", "failed", "untrusted"]
    digest: str | None
    checks: tuple[Check, ...]
    signers: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    reproductions: tuple[CountedReproduction, ...] = ()
    contents: "Contents | None" = None


class Contents(Struct, frozen=True):
    """What a bundle says, read strictly."""

    blueprint: Blueprint
    lock: Lock
    result: Result
    samples: tuple[Sample, ...]


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
    digests, signed = _read_signed(inventory)
    report = check_attestations(digests, signed, policy, now)
    checks = [Check("files", "ok", f"{len(digests)} files"), *report.checks]
    digest = f"sha256:{digests[bundle.SUMS]}"
    if report.verdict == "failed" or None in (report.provenance, report.result, report.lock):
        checks.append(Check("contents", "skipped", "nothing is parsed before its signature holds"))
        return _answer(report, digest, tuple(checks), None)
    contents, more = _check_contents(_read_parsed(inventory, digests), digests, report)
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


def _read_signed(inventory: Inventory) -> tuple[dict[str, str], dict[str, bytes]]:
    """Return the SHA-256 of every file outside `attestations/`, and the bytes of SHA256SUMS and attestations.

    Anybody may have made the bundle, so nothing else is held in memory yet.
    """
    attestations = [name for name in inventory.files if bundle.is_attestation(name)]
    bundle.refuse_many_attestations(len(attestations))
    files = {name: inventory.read(name, bundle.MAX_ATTESTATION_BYTES) for name in attestations}
    files[bundle.SUMS] = inventory.read(bundle.SUMS, MAX_SUMS_BYTES)
    hashed = inventory.files.keys() - files.keys()
    digests = {name: inventory.sha256(name) for name in sorted(hashed)}
    return {**digests, bundle.SUMS: sha256_hex(files[bundle.SUMS])}, files


def _read_parsed(inventory: Inventory, digests: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """Return the bytes of the files that are parsed: the very bytes that have these digests, where given."""
    files = {}
    for name in _PARSED:
        files[name] = inventory.read(name, bundle.parsed_limit(name))
        if digests is not None and sha256_hex(files[name]) != digests[name]:
            raise CheckFailedError(f"`{name}` changed while it was read", code="changed-file")
        bundle.refuse_swollen(name, files[name])
    return files


def load_contents(path: Path) -> Contents:
    """Return what the bundle at `path` says, read strictly; its signatures are not looked at.

    Raises `EvalctlError` where it is not well-formed.
    """
    with walk(path) as inventory:
        return read_contents(_read_parsed(inventory))


def read_contents(files: Mapping[str, bytes]) -> Contents:
    """Read blueprint, lock, result and samples strictly, and check lock against blueprint.

    Raises `EvalctlError` where one is not well-formed or they contradict each other.
    """
    lock = read_any_lock(files[bundle.LOCK])
    if lock.blueprint.encode() != files[bundle.BLUEPRINT]:
        raise CheckFailedError("`blueprint.toml` is not the text inside `lock.json`", code="disagreement")
    blueprint = _blueprint(lock)
    value = parse_json(files[bundle.RESULT], what=bundle.RESULT)
    if canonical_bytes(value) + b"\n" != files[bundle.RESULT]:
        raise CheckFailedError("`result.json` is not in canonical form", code="bad-result")
    samples = tuple(read_bundle_samples(files[bundle.SAMPLES]))
    result = Result.from_json(value)
    if (result.origin is None) == isinstance(lock, ImportedLock):
        raise CheckFailedError("`result.json` and `lock.json` differ in the origin", code="disagreement")
    return Contents(blueprint, lock, result, samples)


def _blueprint(lock: Lock) -> Blueprint:
    """Return the blueprint in a lock after checking that the lock is what it gives."""
    if isinstance(lock, ImportedLock):
        return lock.imported.blueprint
    text = lock.blueprint.encode()
    blueprint = read_blueprint(text, file=bundle.BLUEPRINT, definitions=references(), supported_only=False)
    check_lock(lock, blueprint)
    return blueprint


def _check_contents(
    files: Mapping[str, bytes], digests: Mapping[str, str], report: AttestationReport
) -> tuple[Contents | None, list[Check]]:
    try:
        contents = read_contents(files)
    except EvalctlError as error:
        return None, [failed("contents", error)]
    signed, provenance = report.result, report.provenance
    assert signed and provenance  # noqa: S101 - the caller asks only about statements that were read
    fit = Check("contents", "ok", "blueprint, lock, result and samples are well-formed and fit")
    if isinstance(contents.lock, ImportedLock):
        return contents, [fit, *_check_import(contents, files, digests, report)]
    return contents, [
        fit,
        *_not_understood(contents),
        checked("lock", lambda: _compare_lock(contents, signed, provenance)),
        *_widenings(contents),
        checked(
            "environment",
            lambda: compare_environment(files, contents.lock.identity, provenance, contents.result),
        ),
        checked(
            "probe",
            lambda: compare_probes(files[bundle.ENVIRONMENT], contents.blueprint, contents.result),
        ),
        checked("metrics", lambda: _compare_metrics(contents)),
        checked("claims", lambda: _compare_claims(contents, signed)),
        *_shortcomings(contents, digests),
    ]


def _widenings(contents: Contents) -> list[Check]:
    """Count the widenings that the lock pins, each of which the signed result must name; none: no check."""
    names = tuple(contents.lock.identity["sandbox"]["widenings"])
    if not names:
        return []

    def compare() -> None:
        for said in widened(names):
            if said not in contents.result.deviations:
                raise CheckFailedError(
                    "the result does not name a widening of the sandbox", code="disagreement", context=said
                )

    check = checked("sandbox", compare)
    said = f"{len(names)} widening{'' if len(names) == 1 else 's'}: {', '.join(names)}"
    return [check if check.status == "failed" else Check("sandbox", "ok", said)]


def _check_import(
    contents: Contents, files: Mapping[str, bytes], digests: Mapping[str, str], report: AttestationReport
) -> list[Check]:
    """Check a bundle that was made of foreign logs, and say that it was."""
    signed, provenance, imported = (
        report.result,
        report.provenance,
        Import.from_identity(contents.lock.identity),
    )
    assert signed and provenance  # noqa: S101 - as in the caller

    def compare_lock() -> None:
        _compare_names(contents, signed)
        compare_import(imported, report.lock, provenance, signed)
        _compare_replicates(contents)
        if contents.result.status != "succeeded" or not {*contents.result.marks} <= {"partial"}:
            raise CheckFailedError("an import has no failure or mark of a launch", code="disagreement")

    return [
        Check("origin", "skipped", imported.said),
        checked("lock", compare_lock),
        checked("environment", lambda: refuse_launch(files, digests)),
        checked("metrics", lambda: _compare_metrics(contents)),
        checked("claims", lambda: _compare_claims(contents, signed)),
    ]


def beyond_this_version(contents: Contents) -> str:
    """Say what the blueprint asks for that this version does not do; empty where it does everything."""
    try:
        read_blueprint(contents.lock.blueprint.encode(), file=bundle.BLUEPRINT)
    except MalformedError as error:
        return "; ".join(map(str, error.problems)) or error.message
    return ""


def _not_understood(contents: Contents) -> list[Check]:
    """Name what nothing here checked, because this version does not know what it would mean."""
    said = beyond_this_version(contents)
    return [Check("features", "skipped", said)] if said else []


def _shortcomings(contents: Contents, digests: Mapping[str, str]) -> list[Check]:
    """Check and name what makes the run less than a whole one."""
    if not contents.result.marks and not pins_from(contents.lock.identity).marks:
        return []
    check = checked("marks", lambda: _compare_marks(contents, digests))
    return [check if check.status == "failed" else Check("marks", "ok", ", ".join(contents.result.marks))]


def _compare_marks(contents: Contents, digests: Mapping[str, str]) -> None:
    """Check that the result owns up to what its lock says it is, and that what it ran with is there."""
    pins, marks = pins_from(contents.lock.identity), contents.result.marks
    # A harness may say of itself that it ran a part only.
    if {*marks} - {"partial"} != {*pins.marks} - {"partial"} or not {*pins.marks} <= {*marks}:
        raise CheckFailedError(
            "the result is not marked as its lock demands",
            code="disagreement",
            context=f"expected {', '.join(pins.marks) or 'no mark'}, got {', '.join(marks) or 'none'}",
        )
    if pins.limit is not None and contents.result.samples.n > pins.limit:
        raise CheckFailedError(f"there are more than {pins.limit} items", code="disagreement")
    if pins.patch is not None and digests.get(bundle.DRAFT_PATCH) != pins.patch:
        raise CheckFailedError(f"`{bundle.DRAFT_PATCH}` is not the patch of the lock", code="disagreement")
    if pins.predictions is not None and not _has_predictions(contents, digests, pins.predictions):
        raise CheckFailedError("the predictions are not those that the lock names", code="disagreement")


def _has_predictions(contents: Contents, digests: Mapping[str, str], pinned: tuple[str, ...]) -> bool:
    """Say whether each replicate's predictions are the pinned ones; a failed run may not have got to them."""
    found = _prediction_digests(contents, digests)
    lacks = {sha256_hex(sums_text(()))} if contents.result.status == "failed" else set()
    return all(one == wanted or one in lacks for one, wanted in zip(found, pinned, strict=True))


def _prediction_digests(contents: Contents, digests: Mapping[str, str]) -> tuple[str, ...]:
    """Return the tree digest of each replicate's `predictions/`."""
    places = (f"{bundle.PREDICTIONS}/{replicate}/" for replicate in range(len(contents.blueprint.run.seeds)))
    return tuple(
        sha256_hex(
            sums_text(
                (path.removeprefix(place), sha256)
                for path, sha256 in digests.items()
                if path.startswith(place)
            )
        )
        for place in places
    )


def _compare_lock(contents: Contents, signed: EvaluationResult, provenance: Provenance) -> None:
    """Check that everything in the bundle speaks of the run that the lock pins."""
    _compare_names(contents, signed)
    _compare_inputs(contents, provenance)
    _compare_replicates(contents)


def _compare_names(contents: Contents, signed: EvaluationResult) -> None:
    digest, result = contents.lock.digest, contents.result
    if not digest == result.lock == signed.lock:
        raise CheckFailedError(
            "lock, result and signed statement name different runs",
            code="disagreement",
            context=f"lock.json {digest}, result.json {result.lock}, signed {signed.lock}",
        )
    if (result.blueprint.name, result.blueprint.version) != (
        contents.blueprint.about.name,
        contents.blueprint.about.version,
    ):
        raise CheckFailedError("result and blueprint name different evaluations", code="disagreement")


def _compare_inputs(contents: Contents, provenance: Provenance) -> None:
    """Check that the signed provenance names what the lock pins, all of it and nothing else."""
    expected = tuple(dependencies(contents.blueprint, pins_from(contents.lock.identity)))
    if expected == provenance.dependencies:
        return
    named = {item.name: item for item in provenance.dependencies}
    odd = [item.name for item in expected if named.get(item.name) != item]
    raise CheckFailedError(
        "the signed provenance names other inputs than the lock pins",
        code="disagreement",
        context=f"of those that are pinned, `{odd[0]}` differs" if odd else "it names more than are pinned",
    )


def _compare_replicates(contents: Contents) -> None:
    """Check that there is one outcome for each seed, and none that failed behind a score."""
    result, seeds = contents.result, contents.blueprint.run.seeds
    if [(run.replicate, run.seed) for run in result.replicates] != list(enumerate(seeds)):
        raise CheckFailedError("the replicates are not those of the lock's seeds", code="disagreement")
    if any(run.attempt is not None and run.attempt >= result.attempt for run in result.replicates):
        raise CheckFailedError("a replicate is of an attempt that came later", code="disagreement")
    if result.status == "succeeded" and any(run.failure or run.exit_code for run in result.replicates):
        raise CheckFailedError("one of the replicates of a run with a score failed", code="disagreement")


def _compare_metrics(contents: Contents) -> None:
    """Compute everything again from the samples and compare it at 12 significant digits."""
    result, samples = contents.result, contents.samples
    if result.status == "failed" and (result.metrics or result.verdict != "none" or samples):
        raise CheckFailedError("a failed run has samples or a score", code="disagreement")
    if result.status == "succeeded":
        _compare_scores(contents)
    if sample_counts(samples) != result.samples:
        raise CheckFailedError("the counts of samples do not follow from the samples", code="disagreement")
    tables = {"confusion": table} if (table := confusion(samples)) else {}
    if canonical_bytes(tables) != canonical_bytes(result.tables):
        raise CheckFailedError("the tables do not follow from the samples", code="disagreement")


def _compare_scores(contents: Contents) -> None:
    result, samples = contents.result, contents.samples
    seeds = contents.blueprint.run.seeds
    metrics = evaluate(contents.blueprint.metrics, samples, seeds)
    if len(metrics) != len(result.metrics):
        raise CheckFailedError("the result has other metrics than the blueprint", code="disagreement")
    for expected, got in zip(metrics, result.metrics, strict=True):
        _compare_metric(expected, got)
    if combine_verdicts(metrics) != result.verdict:
        raise CheckFailedError("the verdict does not follow from the metrics", code="disagreement")


def _compare_metric(expected: MetricResult, got: MetricResult) -> None:
    ours, theirs = _rounded(expected.as_json()), _rounded(got.as_json())
    if ours != theirs:
        key = min(key for key in ours if ours[key] != theirs[key])
        raise CheckFailedError(
            f"the metric `{expected.name}` does not follow from the samples",
            code="metric-mismatch",
            context=f"`{key}`: recomputed {ours[key]}, the bundle says {theirs[key]}",
        )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round12(value)
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return value


def _compare_claims(contents: Contents, signed: EvaluationResult) -> None:
    """Check that the signed statement says what result.json says."""
    expected = evaluation_result(contents.result, signed.verifier, signed.evaluated_at)
    if expected != signed:
        raise CheckFailedError(
            "the signed statement does not say what `result.json` says", code="disagreement"
        )
