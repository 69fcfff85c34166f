"""Hold signed reproductions against their own bundles: does what is stated follow from the two of them?"""

from collections.abc import Iterator, Mapping, Sequence, Set
from datetime import datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from launcher.digest import sha256_hex
from launcher.environment.facts import read_environment
from launcher.errors import CheckFailedError
from launcher.metrics.agreement import Agreement, Evidence, compare_runs
from launcher.metrics.partial_agreement import compare_redacted
from launcher.metrics.streaming import evaluate_blocks
from launcher.spec import bundle
from launcher.spec.machine_kind import machine_kind, stated_kind
from launcher.spec.reproduction import MetricReproduction, ReproductionVerdict
from launcher.spec.result import MetricResult, decimal_string
from launcher.spec.sample import MAX_BUNDLE_SAMPLES, Sample
from launcher.store.attested import read_attested
from launcher.trust.checks import Check, checked
from launcher.trust.policy import Policy, single_key_policy
from launcher.trust.reproductions import CountedReproduction
from launcher.verify.contents import Contents
from launcher.verify.verdict import Verification, verify


class Finding(Struct, frozen=True):
    """What a reproduction's statement says of two runs; `samples` is (compared, equal) as counts."""

    verdict: ReproductionVerdict
    metrics: tuple[MetricReproduction, ...] = ()
    samples: tuple[str, str] = ("0", "0")


def compare(contents: Contents, again: Contents, samples: int | None = None) -> Agreement | None:
    """Compare two runs of a lock, or of its first `samples` items; None where the second failed.

    Where fewer came than were asked for, those that are missing count as well.
    """
    if again.result.failure is not None:
        return None
    ours, redaction = contents.samples, contents.result.redaction
    metrics: Sequence[MetricResult] = contents.result.metrics
    if samples is not None:
        items = {(sample.task, sample.id) for sample in again.samples}
        if len(items) >= min(samples, contents.result.samples.n):
            ours = (sample for sample in contents.samples if (sample.task, sample.id) in items)
            metrics = _metrics_of(contents, items)
    before, after = Evidence(ours, metrics), Evidence(again.samples, again.result.metrics)
    asked = (contents.blueprint.metrics, contents.blueprint.run.determinism)
    if redaction is not None:
        return compare_redacted(before, after, asked, redaction)
    return compare_runs(before, after, *asked)


def _metrics_of(contents: Contents, items: Set[tuple[str | None, str]]) -> Sequence[MetricResult]:
    """Compute the metrics over the samples of these items alone."""

    def blocks() -> Iterator[Sequence[Sample]]:
        for block in contents.source.blocks():
            if some := [sample for sample in block if (sample.task, sample.id) in items]:
                yield some

    blueprint = contents.blueprint
    return evaluate_blocks(blueprint.metrics, blocks, blueprint.run.seeds, MAX_BUNDLE_SAMPLES).metrics


def finding(agreement: Agreement | None, *, whole: bool = True) -> Finding:
    """Return what is to be signed; over a part of the items the original's result claims other figures."""
    if agreement is None:
        return Finding("diverged")
    compared = agreement.metrics if whole else ()
    metrics = tuple(
        MetricReproduction(item.name, _decimal(item.original), _decimal(item.reproduced), item.verdict)
        for item in compared
    )
    return Finding(agreement.verdict, metrics, (str(agreement.samples.n), str(agreement.samples.equal)))


def with_outcomes(
    verification: Verification, outcomes: Mapping[str, Path], policy: Policy, now: datetime
) -> Verification:
    """Return `verification` with one check more for each reproduction whose own bundle is in `outcomes`.

    They are by digest, and each must be signed by the key that signed the statement.
    """
    checks = [
        _check(item, outcomes[item.statement.reproduced], verification, policy, now)
        for item in verification.reproductions
        if item.statement.reproduced in outcomes
    ]
    failed = any(check.status == "failed" for check in checks)
    return replace(
        verification,
        verdict="failed" if failed else verification.verdict,
        checks=(*verification.checks, *checks),
    )


def _check(
    item: CountedReproduction, path: Path, verification: Verification, policy: Policy, now: datetime
) -> Check:
    name, contents = f"outcome:{item.statement.reproduced.removeprefix('sha256:')}", verification.contents
    if contents is None:
        return Check(name, "skipped", "the original was not read, so there is nothing to compare with")
    if item.statement.original != verification.digest:
        return Check(name, "skipped", "it is stated of the bundle that this one was redacted from")
    check = checked(name, lambda: _refuse_outcome(item, path, contents, policy, now))
    if check.status == "failed":
        return check
    return Check(name, "ok", f"{path.name[:12]} verifies, and what {item.name or item.signer} states follows")


def _refuse_outcome(
    item: CountedReproduction, path: Path, contents: Contents, policy: Policy, now: datetime
) -> None:
    """Raise `CheckFailedError` where the bundle at `path` is not what the statement says."""
    key, statement = policy.key_for(item.signer), item.statement
    if key is None:
        raise CheckFailedError(f"{item.signer} is not in the trust policy", code="unknown-key")
    again = verify(path, single_key_policy(key.public, key.name), now)
    if again.verdict != "verified" or again.contents is None:
        wrong = next((check for check in again.checks if check.status == "failed"), None)
        raise CheckFailedError(
            f"the bundle of the reproduction does not verify under the key of `{key.name}`",
            code="not-verified",
            context=f"{wrong.name}: {wrong.detail}" if wrong else None,
        )
    if again.digest != statement.reproduced or again.contents.lock.digest != statement.lock:
        raise CheckFailedError("the bundle is of another run than is stated", code="disagreement")
    found = finding(compare(contents, again.contents))
    if found != Finding(statement.verdict, statement.metrics, statement.samples):
        raise CheckFailedError(
            "what is stated does not follow from the two bundles",
            code="disagreement",
            context=f"stated {statement.verdict}, {_equal(statement.samples)}; "
            f"found {found.verdict}, {_equal(found.samples)}",
        )
    if stated_kind(statement.environment) != stated_kind(_kind_of(path, statement.reproduced)):
        raise CheckFailedError("the machine's kind is not what the bundle has signed", code="disagreement")


def _kind_of(path: Path, digest: str) -> Mapping[str, str]:
    attested, data = read_attested(path), (path / bundle.ENVIRONMENT).read_bytes()
    if attested.digest != digest or attested.digests[bundle.ENVIRONMENT] != sha256_hex(data):
        raise CheckFailedError("the bundle changed while it was read", code="changed-file")
    return machine_kind(read_environment(data))


def _equal(samples: tuple[str, str]) -> str:
    return f"{samples[1]} of {samples[0]} samples equal"


def _decimal(value: float | None) -> str | None:
    return None if value is None else decimal_string(value)
