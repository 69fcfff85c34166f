"""Predicates: what a bundle's signed statements claim, as frozen values.

Each class writes and reads exactly one JSON shape, documented in `docs/predicates/`; a field that is not in
it is refused, because a field nobody checks is a place to hide a claim. Numbers are decimal strings.
https://slsa.dev/spec/v1.0/provenance
"""

import re
from collections.abc import Mapping
from typing import Any, Final, Literal, Self, get_args

from msgspec import Struct, field

from launcher.digest import is_sha256_hex
from launcher.spec import fields
from launcher.spec.redaction import Redaction

PREFIX: Final = "https://w3id.org/evalctl-launcher/"
PROVENANCE_TYPE: Final = "https://slsa.dev/provenance/v1"
RESULT_TYPE: Final = PREFIX + "evaluation-result/v1"
LOCK_TYPE: Final = PREFIX + "lock/v1"
REPRODUCTION_TYPE: Final = PREFIX + "reproduction/v1"
BUILD_TYPE: Final = PREFIX + "launch/v1"
IMPORT_BUILD_TYPE: Final = PREFIX + "import/v1"
IMPORTED_TYPE: Final = PREFIX + "imported/v1"
REDACT_BUILD_TYPE: Final = PREFIX + "redact/v1"
LOCAL_BUILDER: Final = PREFIX + "builders/local"

Verdict = Literal["pass", "fail", "inconclusive", "none"]
# How a run falls short of a whole one.
Mark = Literal["partial", "draft", "score-only", "not-re-runnable"]
# Whose word a result is where evalctl launched nothing: nobody's signature covered the logs it was read from.
Origin = Literal["unsigned"]
Failure = Literal[
    "candidate", "timeout", "out-of-memory", "disk", "sandbox", "engine", "image", "input", "interrupted"
]
# A later launch returns these instead of running again: the candidate's failure is an answer.
FINISHED_FAILURES: Final[frozenset[Failure]] = frozenset(
    {"candidate", "timeout", "out-of-memory", "disk", "sandbox"}
)
# After these another attempt goes on with what the last one had.
PASSING_FAILURES: Final[frozenset[Failure]] = frozenset(get_args(Failure)) - FINISHED_FAILURES

_GIT_ID = re.compile(r"[0-9a-f]{40}", re.ASCII)
_INVOCATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)


class Dependency(Struct, frozen=True):
    """One input of a run by digest: `sha256`, or `gitCommit` and `gitTree`, in hex; a uri if public."""

    name: str
    digest: Mapping[str, str]
    uri: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the in-toto resource descriptor."""
        descriptor: dict[str, Any] = {"name": self.name, "digest": dict(self.digest)}
        return descriptor if self.uri is None else {**descriptor, "uri": self.uri}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read a resource descriptor."""
        table = fields.table(value, "a dependency", "name digest", optional="uri")
        digest = fields.texts(table["digest"], "a dependency's digest")
        shapes = {"sha256": is_sha256_hex, "gitCommit": _is_git_id, "gitTree": _is_git_id}
        if not digest or any(kind not in shapes or not shapes[kind](text) for kind, text in digest.items()):
            raise fields.bad("a dependency's digest is neither `sha256` nor `gitCommit` and `gitTree`")
        uri = fields.text(table["uri"], "uri") if "uri" in table else None
        return cls(fields.text(table["name"], "name"), digest, uri)


class Suite(Struct, frozen=True):
    """The blueprint that was evaluated, by name and version."""

    name: str
    version: str

    def as_json(self) -> dict[str, Any]:
        """Return `{"name", "version"}`."""
        return {"name": self.name, "version": self.version}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read `{"name", "version"}`."""
        table = fields.table(value, "the suite", "name version")
        return cls(fields.text(table["name"], "name"), fields.text(table["version"], "version"))


class Builder(Struct, frozen=True):
    """Who ran it: a URI for the place that launches, and the versions of what launched there."""

    id: str
    version: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return `{"id", "version"}`."""
        return {"id": self.id, "version": dict(self.version)}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read `{"id", "version"}`."""
        table = fields.table(value, "the builder", "id version")
        return cls(fields.text(table["id"], "id"), fields.texts(table["version"], "version"))


class Provenance(Struct, frozen=True):
    """SLSA provenance v1: what ran, out of what, by whom and when.

    `lock` is the run's identity (`sha256:<hex>`); times are UTC as `YYYY-MM-DDTHH:MM:SS[.ffffff]Z`.
    """

    lock: str
    suite: Suite
    dependencies: tuple[Dependency, ...]
    builder: Builder
    invocation_id: str
    started_on: str
    finished_on: str
    internal: Mapping[str, str] = field(default_factory=dict)
    build_type: str = BUILD_TYPE

    def as_json(self) -> dict[str, Any]:
        """Return the predicate."""
        return {
            "buildDefinition": {
                "buildType": self.build_type,
                "externalParameters": {"lock": self.lock, "blueprint": self.suite.as_json()},
                "internalParameters": dict(self.internal),
                "resolvedDependencies": [dependency.as_json() for dependency in self.dependencies],
            },
            "runDetails": {
                "builder": self.builder.as_json(),
                "metadata": {
                    "invocationId": self.invocation_id,
                    "startedOn": self.started_on,
                    "finishedOn": self.finished_on,
                },
            },
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read the predicate."""
        top = fields.table(value, "the provenance", "buildDefinition runDetails")
        keys = "buildType externalParameters internalParameters resolvedDependencies"
        definition = fields.table(top["buildDefinition"], "buildDefinition", keys)
        if definition["buildType"] not in (BUILD_TYPE, IMPORT_BUILD_TYPE, REDACT_BUILD_TYPE):
            raise fields.bad("the provenance has another build type", f"expected `{BUILD_TYPE}`")
        external = fields.table(definition["externalParameters"], "externalParameters", "lock blueprint")
        details = fields.table(top["runDetails"], "runDetails", "builder metadata")
        metadata = fields.table(details["metadata"], "metadata", "invocationId startedOn finishedOn")
        provenance = cls(
            lock=fields.digest(external["lock"], "lock"),
            suite=Suite.from_json(external["blueprint"]),
            dependencies=tuple(
                map(
                    Dependency.from_json,
                    fields.array(definition["resolvedDependencies"], "resolvedDependencies"),
                )
            ),
            builder=Builder.from_json(details["builder"]),
            invocation_id=fields.text(metadata["invocationId"], "invocationId", _INVOCATION),
            started_on=fields.time(metadata["startedOn"], "startedOn"),
            finished_on=fields.time(metadata["finishedOn"], "finishedOn"),
            internal=fields.texts(definition["internalParameters"], "internalParameters"),
            build_type=definition["buildType"],
        )
        if fields.instant(provenance.started_on) > fields.instant(provenance.finished_on):
            raise fields.bad("the provenance says the run finished before it started")
        return provenance


class Claim(Struct, frozen=True):
    """One metric as measured; numbers are decimal strings, `n` a count of sample ids.

    `comparator` says how the value (`on`: value, ci-lower or ci-upper) must stand to `threshold`.
    """

    metric: str
    definition: str
    value: str | None
    ci: tuple[str, str] | None
    n: str
    verdict: Verdict
    threshold: str | None = None
    comparator: Literal["gte", "lte"] | None = None
    on: Literal["value", "ci-lower", "ci-upper"] | None = None
    primary: bool = False

    @property
    def passed(self) -> bool | None:
        """Repeat the verdict in the words of in-toto's draft."""
        return {"pass": True, "fail": False}.get(self.verdict)

    def as_json(self) -> dict[str, Any]:
        """Return the claim."""
        return {
            "metric": self.metric,
            "definition": self.definition,
            "value": self.value,
            "ci": None if self.ci is None else list(self.ci),
            "n": self.n,
            "threshold": self.threshold,
            "comparator": self.comparator,
            "on": self.on,
            "primary": self.primary,
            "verdict": self.verdict,
            "passed": self.passed,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read the claim."""
        keys = "metric definition value ci n threshold comparator on primary verdict passed"
        table = fields.table(value, "a claim", keys)
        ends = None if table["ci"] is None else fields.array(table["ci"], "ci", 2)
        if ends is not None and len(ends) != 2:
            raise fields.bad("`ci` of a claim does not have two ends")
        claim = cls(
            metric=fields.text(table["metric"], "metric"),
            definition=fields.text(table["definition"], "definition"),
            value=fields.optional_decimal(table["value"], "value"),
            ci=None if ends is None else (fields.decimal(ends[0], "ci"), fields.decimal(ends[1], "ci")),
            n=fields.count(table["n"], "n"),
            verdict=fields.one_of(table["verdict"], "verdict", Verdict),
            threshold=fields.optional_decimal(table["threshold"], "threshold"),
            comparator=fields.one_of(table["comparator"], "comparator", Literal["gte", "lte", None]),
            on=fields.one_of(table["on"], "on", Literal["value", "ci-lower", "ci-upper", None]),
            primary=fields.flag(table["primary"], "primary"),
        )
        if len({claim.threshold is None, claim.comparator is None, claim.on is None}) != 1:
            raise fields.bad("a claim has a threshold without `comparator` and `on`, or these without it")
        if table["passed"] is not claim.passed:
            raise fields.bad("a claim's `passed` is not what its verdict says")
        return claim


class EvaluationResult(Struct, frozen=True):
    """What came out of one attempt, in words that follow in-toto's draft `eval-result`."""

    invocation_id: str
    verifier: Builder
    evaluated_at: str
    suite: Suite
    lock: str
    status: Literal["succeeded", "failed"]
    failure: Failure | None
    verdict: Verdict
    sample_size: str
    claims: tuple[Claim, ...]
    deviations: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    origin: Origin | None = None
    redaction: Redaction | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the predicate.

        `marks` are in it where there are any, `origin` where it was imported, `redaction` where redacted.
        """
        marks = {"marks": list(self.marks)} if self.marks else {}
        origin = {"origin": self.origin} if self.origin else {}
        redaction = {"redaction": self.redaction.as_claim()} if self.redaction else {}
        return {
            **marks,
            **origin,
            **redaction,
            "invocationId": self.invocation_id,
            "verifier": self.verifier.as_json(),
            "evaluatedAt": self.evaluated_at,
            "suite": self.suite.as_json(),
            "lock": self.lock,
            "assuranceLevel": "self_attested",
            "status": self.status,
            "failure": self.failure,
            "verdict": self.verdict,
            "sampleSize": self.sample_size,
            "claims": [claim.as_json() for claim in self.claims],
            "deviations": list(self.deviations),
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read the predicate."""
        keys = "invocationId verifier evaluatedAt suite lock assuranceLevel status failure verdict"
        table = fields.table(
            value, "the result", keys + " sampleSize claims deviations", optional="marks origin redaction"
        )
        if table["assuranceLevel"] != "self_attested":
            raise fields.bad("the result has another assurance level", "expected `self_attested`")
        result = cls(
            invocation_id=fields.text(table["invocationId"], "invocationId", _INVOCATION),
            verifier=Builder.from_json(table["verifier"]),
            evaluated_at=fields.time(table["evaluatedAt"], "evaluatedAt"),
            suite=Suite.from_json(table["suite"]),
            lock=fields.digest(table["lock"], "lock"),
            status=fields.one_of(table["status"], "status", Literal["succeeded", "failed"]),
            failure=fields.one_of(table["failure"], "failure", Literal[Failure, None]),
            verdict=fields.one_of(table["verdict"], "verdict", Verdict),
            sample_size=fields.count(table["sampleSize"], "sampleSize"),
            claims=tuple(map(Claim.from_json, fields.array(table["claims"], "claims"))),
            deviations=tuple(
                fields.text(item, "deviations") for item in fields.array(table["deviations"], "deviations")
            ),
            marks=_some_marks(table),
            origin=read_origin(table),
            redaction=Redaction.from_claim(table["redaction"]) if "redaction" in table else None,
        )
        if (result.status == "succeeded") != (result.failure is None):
            raise fields.bad("the result's status and failure contradict each other")
        return result


class LockStatement(Struct, frozen=True):
    """Whoever signs this wants the lock launched; the subject is `lock.json`."""

    lock: str
    suite: Suite

    def as_json(self) -> dict[str, Any]:
        """Return the predicate."""
        return {"lock": self.lock, "blueprint": self.suite.as_json()}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read the predicate."""
        table = fields.table(value, "the lock statement", "lock blueprint")
        return cls(fields.digest(table["lock"], "lock"), Suite.from_json(table["blueprint"]))


def _some_marks(table: Mapping[str, Any]) -> tuple[Mark, ...]:
    """Read the `marks` of a statement, which leaves them out where there are none."""
    if table.get("marks") == []:
        raise fields.bad("`marks` is empty; leave it out")
    return read_marks(table)


def read_marks(table: Mapping[str, Any]) -> tuple[Mark, ...]:
    """Read the `marks` of a result or of a statement about one; absent, it is a whole run's."""
    marks = tuple(
        fields.one_of(mark, "marks", Mark) for mark in fields.array(table.get("marks", []), "marks")
    )
    if len(set(marks)) != len(marks):
        raise fields.bad("`marks` names one twice")
    return marks


def read_origin(table: Mapping[str, Any]) -> Origin | None:
    """Read the `origin` of a result or of a statement about one; absent, evalctl launched it."""
    return fields.one_of(table["origin"], "origin", Origin) if "origin" in table else None


def _is_git_id(text: str) -> bool:
    return _GIT_ID.fullmatch(text) is not None
