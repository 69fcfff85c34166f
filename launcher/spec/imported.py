"""Imports: what stands in for blueprint, lock and provenance where a bundle was made of foreign logs.

Nobody launched anything under evalctl, so there is no image, code or command; a lock of this kind names the
logs by digest and the metrics computed from them. It cannot be launched, and every statement says so.
"""

from typing import Any, Final, Literal, Self

from msgspec import Struct

from launcher.canonical import MAX_INTEGER, canonical_bytes, parse_json
from launcher.digest import is_sha256_hex
from launcher.errors import CheckFailedError, MalformedError
from launcher.spec import fields
from launcher.spec.blueprint import About, Blueprint, Code, Direction, Image, Metric, Run
from launcher.spec.lock import MAX_BYTES, Lock, read_lock
from launcher.spec.predicates import (
    IMPORT_BUILD_TYPE,
    Dependency,
    EvaluationResult,
    Origin,
    Provenance,
    Suite,
)
from launcher.spec.toml_text import toml_value

SCHEMA: Final = "evalctl/imported/v1"
DEFINITION: Final = "mean@1"
ORIGIN: Final[Origin] = "unsigned"

Harness = Literal["lm-eval", "inspect"]


class Source(Struct, frozen=True):
    """One log by its name without folders, its SHA-256 in hex and its size in bytes."""

    name: str
    sha256: str
    size: int


class ImportedMetric(Struct, frozen=True):
    """The mean of one score over the samples, or over those that the harness completed."""

    name: str
    score: str
    direction: Direction = "higher"
    completed_only: bool = False

    def as_metric(self, *, primary: bool) -> Metric:
        """Return the metric as a blueprint would declare it."""
        where = {"completed": True} if self.completed_only else {}
        of = f"scores.{self.score}"
        return Metric(self.name, DEFINITION, of, where, primary=primary, direction=self.direction)


class Import(Struct, frozen=True):
    """What decides an import: the harness's task, the logs, and the metrics, the first one primary."""

    harness: Harness
    task: str
    suite: Suite
    metrics: tuple[ImportedMetric, ...]
    sources: tuple[Source, ...]

    @property
    def identity(self) -> dict[str, Any]:
        """Return the identity, as `lock.json` holds it."""
        return {
            "harness": self.harness,
            "task": self.task,
            "name": self.suite.name,
            "version": self.suite.version,
            "metrics": [
                {
                    "name": metric.name,
                    "score": metric.score,
                    "direction": metric.direction,
                    "completed_only": metric.completed_only,
                }
                for metric in self.metrics
            ],
            "sources": [
                {"name": item.name, "sha256": item.sha256, "size": item.size} for item in self.sources
            ],
        }

    @property
    def lock(self) -> "ImportedLock":
        """Return the lock that stands for it."""
        return ImportedLock(self.identity, self.text)

    @property
    def text(self) -> str:
        """Return `blueprint.toml`: the same facts for people, which no command launches."""
        lines = [
            f"# Imported from logs of {self.harness}, unsigned origin: evalctl launched nothing.",
            f"schema = {toml_value(SCHEMA)}",
            "",
            "[blueprint]",
            f"name = {toml_value(self.suite.name)}",
            f"version = {toml_value(self.suite.version)}",
        ]
        for item in self.sources:
            lines += [
                "",
                "[[source]]",
                f"name = {toml_value(item.name)}",
                f"sha256 = {toml_value(item.sha256)}",
            ]
        for metric in self.metrics:
            lines += [
                "",
                "[[metric]]",
                f"name = {toml_value(metric.name)}",
                f"definition = {toml_value(DEFINITION)}",
            ]
            lines += [
                f"of = {toml_value('scores.' + metric.score)}",
                f"direction = {toml_value(metric.direction)}",
            ]
            lines += ["where = { completed = true }"] if metric.completed_only else []
        return "\n".join(lines) + "\n"

    @property
    def blueprint(self) -> Blueprint:
        """Return a blueprint with the metrics and nothing that could be launched."""
        metrics = tuple(metric.as_metric(primary=index == 0) for index, metric in enumerate(self.metrics))
        about = About(self.suite.name, self.suite.version)
        return Blueprint(self.text, about, Image("", "", ()), Code("", ""), Run(()), metrics)

    @property
    def said(self) -> str:
        """Say where it comes from, in the words of every view."""
        return f"imported from logs of {self.harness}, unsigned origin: nothing was launched"

    @property
    def dependencies(self) -> tuple[Dependency, ...]:
        """Return the logs as provenance names them."""
        return tuple(Dependency(f"source/{item.name}", {"sha256": item.sha256}) for item in self.sources)

    @property
    def statement(self) -> "ImportStatement":
        """Return what is signed of it."""
        return ImportStatement(self.lock.digest, self.suite, self.harness, self.dependencies)

    @classmethod
    def from_identity(cls, value: Any) -> Self:
        """Read an identity; raises `CheckFailedError` for anything that `identity` does not give."""
        table = fields.table(value, "the identity", "harness task name version metrics sources")
        suite = Suite(fields.text(table["name"], "name"), fields.text(table["version"], "version"))
        return cls(
            harness=fields.one_of(table["harness"], "harness", Harness),
            task=fields.text(table["task"], "task"),
            suite=suite,
            metrics=tuple(map(_metric, fields.array(table["metrics"], "metrics"))),
            sources=tuple(map(_source, fields.array(table["sources"], "sources"))),
        )


class ImportedLock(Lock, frozen=True, dict=True):
    """The lock of an import: it says which logs there were, and nothing can be launched from it."""

    @property
    def imported(self) -> Import:
        """Return what it stands for."""
        return Import.from_identity(self.identity)

    @property
    def data(self) -> bytes:
        """The bytes of `lock.json`."""
        return canonical_bytes({"schema": SCHEMA, "identity": self.identity, "blueprint": self.blueprint})


class ImportStatement(Struct, frozen=True):
    """What `attestations/lock.sigstore.json` says of an import: who brought in which logs."""

    lock: str
    suite: Suite
    harness: Harness
    sources: tuple[Dependency, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the predicate."""
        return {
            "lock": self.lock,
            "blueprint": self.suite.as_json(),
            "harness": self.harness,
            "origin": ORIGIN,
            "sources": [source.as_json() for source in self.sources],
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read the predicate."""
        table = fields.table(value, "the import", "lock blueprint harness origin sources")
        fields.one_of(table["origin"], "origin", Origin)
        return cls(
            lock=fields.digest(table["lock"], "lock"),
            suite=Suite.from_json(table["blueprint"]),
            harness=fields.one_of(table["harness"], "harness", Harness),
            sources=tuple(map(Dependency.from_json, fields.array(table["sources"], "sources"))),
        )


def read_any_lock(data: bytes) -> Lock:
    """Read the `lock.json` of a bundle, an import's or another; raises `MalformedError`."""
    # Canonical JSON sorts its keys, so this is how the bytes end.
    imported = data.endswith(b'"schema":"' + SCHEMA.encode() + b'"}')
    return read_imported_lock(data) if imported else read_lock(data, what="lock.json")


def read_imported_lock(data: bytes) -> ImportedLock:
    """Read the lock of an import, which has exactly one form; raises `MalformedError` for anything else."""
    if len(data) > MAX_BYTES:
        raise _malformed(f"it is larger than {MAX_BYTES} bytes")
    value = parse_json(data, what="lock.json")
    if not isinstance(value, dict):
        raise _malformed("it is not an object")
    try:
        lock = Import.from_identity(value.get("identity")).lock
    except CheckFailedError as error:
        raise _malformed(error.message) from error
    if lock.data != data:
        raise _malformed("it is not what its own identity gives")
    return lock


def compare_import(
    imported: Import, statement: object, provenance: Provenance, signed: EvaluationResult
) -> None:
    """Raise `CheckFailedError` unless the signed statements speak of this import and own up to its origin."""
    if statement != imported.statement:
        raise _disagreement("the signed import names other logs than `lock.json`")
    if provenance.build_type != IMPORT_BUILD_TYPE or provenance.dependencies != imported.dependencies:
        raise _disagreement("the signed provenance is not that of importing these logs")
    if signed.origin != ORIGIN or signed.suite != imported.suite or signed.lock != imported.lock.digest:
        raise _disagreement("the signed result is not that of importing these logs")


def _metric(value: Any) -> ImportedMetric:
    table = fields.table(value, "a metric", "name score direction completed_only")
    return ImportedMetric(
        fields.text(table["name"], "name"),
        fields.text(table["score"], "score"),
        fields.one_of(table["direction"], "direction", Direction),
        fields.flag(table["completed_only"], "completed_only"),
    )


def _source(value: Any) -> Source:
    table = fields.table(value, "a source", "name sha256 size")
    sha256, size = fields.text(table["sha256"], "sha256"), table["size"]
    if not is_sha256_hex(sha256) or type(size) is not int or not 0 <= size <= MAX_INTEGER:
        raise fields.bad("a source has no SHA-256 in hex, or no size")
    return Source(fields.text(table["name"], "name"), sha256, size)


def _malformed(message: str) -> MalformedError:
    return MalformedError(f"`lock.json` is not that of an import: {message}", code="malformed-lock")


def _disagreement(message: str) -> CheckFailedError:
    return CheckFailedError(message, code="disagreement")
