"""A bundle as in-toto's `test-result/v0.1`: what CI that knows nothing of evalctl reads of it.

https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md. A metric with a threshold is
a test. Only a whole run that evalctl launched, with every threshold kept and nothing withheld, is PASSED.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from launcher.digest import sha256_hex
from launcher.spec import bundle
from launcher.spec.claims import dependencies
from launcher.spec.imported import ImportedLock
from launcher.spec.lock import pins_from
from launcher.spec.predicates import Dependency, Verdict
from launcher.spec.result import MetricResult, Result
from launcher.spec.statement import Statement, bundle_subjects
from launcher.verify import Contents

TEST_RESULT_TYPE: Final = "https://in-toto.io/attestation/test-result/v0.1"
Outcome = Literal["PASSED", "WARNED", "FAILED"]

_LISTS: Final[Mapping[Verdict, str]] = {
    "pass": "passedTests",
    "inconclusive": "warnedTests",
    "fail": "failedTests",
}


def test_result(contents: Contents, sums: bytes) -> dict[str, Any]:
    """Return the statement about the bundle's files; `sums` are the bytes of its SHA256SUMS."""
    tests: dict[str, list[str]] = {name: [] for name in _LISTS.values()}
    for metric in contents.result.metrics:
        if metric.threshold is not None:
            tests[_LISTS[metric.verdict]].append(_name(metric))
    predicate = {
        "result": _outcome(contents.result),
        "configuration": [item.as_json() for item in _configuration(contents)],
        **tests,
    }
    digests = {line[66:]: line[:64] for line in sums.decode().splitlines()}
    subjects = bundle_subjects({**digests, bundle.SUMS: sha256_hex(sums)})
    return Statement(subjects, TEST_RESULT_TYPE, predicate).as_json()


def _name(metric: MetricResult) -> str:
    return f"{metric.name} ({metric.definition})"


def _outcome(result: Result) -> Outcome:
    """Return FAILED for no score or a missed threshold, WARNED for all that is less than a whole pass."""
    missed = any(metric.threshold is not None and metric.verdict == "fail" for metric in result.metrics)
    if result.status == "failed" or result.verdict == "fail" or missed:
        return "FAILED"
    whole = not result.marks and result.origin is None and result.redaction is None
    sure = all(metric.verdict == "pass" for metric in result.metrics if metric.threshold is not None)
    return "PASSED" if result.verdict == "pass" and whole and sure else "WARNED"


def _configuration(contents: Contents) -> list[Dependency]:
    """Return what was run, by digest: the lock, and all that it pins."""
    lock = contents.lock
    own = Dependency(bundle.LOCK, {"sha256": sha256_hex(lock.data)})
    if isinstance(lock, ImportedLock):
        return [own, *lock.imported.dependencies]
    return [own, *dependencies(contents.blueprint, pins_from(lock.identity))]
