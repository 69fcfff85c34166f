"""Signed statements: in-toto Statement v1, and the ones evalctl makes about a bundle's files.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md. Subjects are matched by digest; the
digest set is `sha256` alone.
"""

from collections.abc import Mapping
from typing import Any, Final, Self

from msgspec import Struct

from launcher.digest import is_sha256_hex
from launcher.spec import fields
from launcher.spec.bundle import LOCK, MAX_LISTED_SUBJECTS, SUMS
from launcher.spec.predicates import (
    LOCK_TYPE,
    PROVENANCE_TYPE,
    REPRODUCTION_TYPE,
    RESULT_TYPE,
    EvaluationResult,
    LockStatement,
    Provenance,
)
from launcher.spec.reproduction import Reproduction

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
_MAX_SUBJECTS: Final = 1024


class Statement(Struct, frozen=True):
    """Say something (`predicate`) about artefacts: `subjects` are `(name, hex SHA-256)`, sorted by name."""

    subjects: tuple[tuple[str, str], ...]
    predicate_type: str
    predicate: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        """Return the in-toto Statement v1."""
        return {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": name, "digest": {"sha256": sha256}} for name, sha256 in self.subjects],
            "predicateType": self.predicate_type,
            "predicate": self.predicate,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read a statement; its predicate is still opaque."""
        table = fields.table(value, "the statement", "_type subject predicateType predicate")
        if table["_type"] != STATEMENT_TYPE:
            raise fields.bad("the payload is not an in-toto Statement v1")
        subjects = tuple(_subject(item) for item in fields.array(table["subject"], "subject", _MAX_SUBJECTS))
        if not subjects or [name for name, _ in subjects] != sorted({name for name, _ in subjects}):
            raise fields.bad(
                "the subjects of a statement are not sorted, or one stands twice, or there is none"
            )
        predicate = table["predicate"]
        if not isinstance(predicate, dict):
            raise fields.bad("the predicate is not an object")
        return cls(subjects, fields.text(table["predicateType"], "predicateType"), predicate)


def bundle_subjects(digests: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the subjects of a bundle's own statements, sorted by name.

    `digests` maps the path of every file outside `attestations/`, SHA256SUMS included, to its hex SHA-256.
    Above 1,000 files SHA256SUMS stands for all: generic verifiers take at most 1,024 subjects.
    """
    if len(digests) - 1 > MAX_LISTED_SUBJECTS:
        return ((SUMS, digests[SUMS]),)
    return tuple(sorted(digests.items()))


def provenance_statement(digests: Mapping[str, str], provenance: Provenance) -> dict[str, Any]:
    """Return the statement of `attestations/provenance.sigstore.json`; `digests` as for `bundle_subjects`."""
    return Statement(bundle_subjects(digests), PROVENANCE_TYPE, provenance.as_json()).as_json()


def result_statement(digests: Mapping[str, str], result: EvaluationResult) -> dict[str, Any]:
    """Return the statement of `attestations/result.sigstore.json`; `digests` as for `bundle_subjects`."""
    return Statement(bundle_subjects(digests), RESULT_TYPE, result.as_json()).as_json()


def lock_statement(sha256: str, lock: LockStatement) -> dict[str, Any]:
    """Return the statement about the `lock.json` whose bytes have this hex SHA-256."""
    return Statement(((LOCK, sha256),), LOCK_TYPE, lock.as_json()).as_json()


def reproduction_statement(reproduction: Reproduction) -> dict[str, Any]:
    """Return the statement about the original bundle's SHA256SUMS."""
    original = reproduction.original.removeprefix("sha256:")
    return Statement(((SUMS, original),), REPRODUCTION_TYPE, reproduction.as_json()).as_json()


def _subject(value: Any) -> tuple[str, str]:
    table = fields.table(value, "a subject", "name digest")
    sha256 = fields.text(fields.table(table["digest"], "a subject's digest", "sha256")["sha256"], "sha256")
    if not is_sha256_hex(sha256):
        raise fields.bad("a subject's digest is not 64 lowercase hex digits")
    return fields.text(table["name"], "name"), sha256
