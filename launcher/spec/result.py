"""The result: what one attempt came to, as result.json says it.

Metrics are what the launcher computed from the samples. `as_json` gives JSON numbers at full double
precision; signed statements hold `decimal_string` of the same numbers.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, Literal, Self

from msgspec import Struct, field

from launcher.canonical import canonical_bytes
from launcher.errors import CheckFailedError
from launcher.spec import fields
from launcher.spec.blueprint import MAX_DECIMALS, Direction, Published, Threshold
from launcher.spec.predicates import Failure, Mark, Origin, Suite, Verdict, read_marks, read_origin
from launcher.spec.redaction import Redaction

SCHEMA: Final = "evalctl/result/v1"
SIGNIFICANT_DIGITS: Final = 12

Status = Literal["succeeded", "failed"]

_METRIC_KEYS: Final = (
    "name definition value ci ci_method ci_level n errors per_replicate spread direction primary"
    " threshold verdict published published_met reason"
)
_RESULT_KEYS: Final = (
    "schema lock attempt invocation_id blueprint status failure verdict metrics tables samples"
    " replicates deviations discrepancies"
)


def round12(value: float) -> float:
    """Return `value` rounded half-even to 12 significant decimal digits: what is signed and compared."""
    return float(format(value, f".{SIGNIFICANT_DIGITS}g")) + 0.0


def decimal_string(value: float) -> str:
    """Return `round12(value)` as signed statements hold it: the text RFC 8785 gives that double."""
    return canonical_bytes(round12(value)).decode()


class ConfidenceInterval(Struct, frozen=True):
    """An interval with the method that made it and its nominal level."""

    lower: float
    upper: float
    method: str
    level: float


class MetricResult(Struct, frozen=True):
    """One metric as computed; where the samples give no `value` or `ci`, that is None and `reason` says why.

    `n` counts the distinct items (task and id) behind the value, `errors` the failed samples among them.
    `per_replicate` has one value a seed, `spread` is their sample standard deviation.
    """

    name: str
    definition: str
    value: float | None
    ci: ConfidenceInterval | None
    n: int
    verdict: Verdict
    direction: Direction = "higher"
    primary: bool = False
    per_replicate: tuple[float | None, ...] = ()
    spread: float | None = None
    errors: int = 0
    threshold: Threshold | None = None
    published: Published | None = None
    published_met: bool | None = None
    reason: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the item of `metrics` in result.json and in `--json`."""
        ci = self.ci
        return {
            "name": self.name,
            "definition": self.definition,
            "value": self.value,
            "ci": None if ci is None else [ci.lower, ci.upper],
            "ci_method": None if ci is None else ci.method,
            "ci_level": None if ci is None else ci.level,
            "n": self.n,
            "errors": self.errors,
            "per_replicate": list(self.per_replicate),
            "spread": self.spread,
            "direction": self.direction,
            "primary": self.primary,
            "threshold": _threshold_json(self.threshold),
            "verdict": self.verdict,
            "published": _published_json(self.published),
            "published_met": self.published_met,
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read the item; raises `CheckFailedError` for anything `as_json` does not give."""
        table = fields.table(value, "a metric", _METRIC_KEYS)
        return cls(
            name=fields.text(table["name"], "name"),
            definition=fields.text(table["definition"], "definition"),
            value=_optional_number(table["value"], "value"),
            ci=_interval(table),
            n=_count(table["n"], "n"),
            verdict=fields.one_of(table["verdict"], "verdict", Verdict),
            direction=fields.one_of(table["direction"], "direction", Direction),
            primary=fields.flag(table["primary"], "primary"),
            per_replicate=_optional_numbers(table["per_replicate"], "per_replicate"),
            spread=_optional_number(table["spread"], "spread"),
            errors=_count(table["errors"], "errors"),
            threshold=_threshold(table["threshold"]),
            published=_published(table["published"]),
            published_met=_optional_flag(table["published_met"], "published_met"),
            reason=_optional_text(table["reason"], "reason"),
        )


class SampleCounts(Struct, frozen=True):
    """How many distinct items (task and id) were answered, and how many samples are failed ones."""

    n: int
    errors: int


class ReplicateOutcome(Struct, frozen=True):
    """How one seed's container ended; `exit_code` is None where it never started or was not seen to end.

    `attempt` is the earlier attempt that ran it, None where it was this one.
    """

    replicate: int
    seed: int
    status: Status
    failure: Failure | None = None
    exit_code: int | None = None
    attempt: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the item of `replicates`."""
        earlier = {} if self.attempt is None else {"attempt": self.attempt}
        return {
            **earlier,
            "replicate": self.replicate,
            "seed": self.seed,
            "status": self.status,
            "failure": self.failure,
            "exit_code": self.exit_code,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read the item; raises `CheckFailedError` for anything `as_json` does not give."""
        table = fields.table(
            value, "a replicate", "replicate seed status failure exit_code", optional="attempt"
        )
        status, failure = _ending(table)
        code = table["exit_code"]
        if code is not None and type(code) is not int:
            raise fields.bad("`exit_code` is not a whole number")
        return cls(
            _count(table["replicate"], "replicate"),
            _count(table["seed"], "seed"),
            status,
            failure,
            code,
            _count(table["attempt"], "attempt") if "attempt" in table else None,
        )


class Result(Struct, frozen=True):
    """Everything result.json says; `lock` is the run's identity (`sha256:<hex>`), `attempt` counts from 1.

    `tables` holds views of the samples by name, such as `confusion`. `deviations` name what differed from
    the plan, `discrepancies` where a container's claim differs from what was computed, `marks` how the run
    falls short of a whole one: `partial`, `draft`, `score-only`, `not-re-runnable`. `origin` is there where
    it was imported, `redaction` where something was taken away.
    """

    lock: str
    attempt: int
    invocation_id: str
    blueprint: Suite
    status: Status
    failure: Failure | None
    verdict: Verdict
    metrics: tuple[MetricResult, ...] = ()
    tables: Mapping[str, Any] = field(default_factory=dict)
    samples: SampleCounts = SampleCounts(0, 0)
    replicates: tuple[ReplicateOutcome, ...] = ()
    deviations: tuple[str, ...] = ()
    discrepancies: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    origin: Origin | None = None
    redaction: Redaction | None = None

    def as_json(self) -> dict[str, Any]:
        """Return result.json."""
        return {
            **({"redaction": self.redaction.as_json()} if self.redaction else {}),
            **({"origin": self.origin} if self.origin else {}),
            "schema": SCHEMA,
            "lock": self.lock,
            "attempt": self.attempt,
            "invocation_id": self.invocation_id,
            "blueprint": self.blueprint.as_json(),
            "status": self.status,
            "failure": self.failure,
            "verdict": self.verdict,
            "metrics": [metric.as_json() for metric in self.metrics],
            "tables": dict(self.tables),
            "samples": {"n": self.samples.n, "errors": self.samples.errors},
            "replicates": [replicate.as_json() for replicate in self.replicates],
            "deviations": list(self.deviations),
            "discrepancies": list(self.discrepancies),
            "marks": list(self.marks),
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read result.json; raises `CheckFailedError` for anything `as_json` does not give."""
        try:
            return cls._read(
                fields.table(value, "the result", _RESULT_KEYS, optional="marks origin redaction")
            )
        except CheckFailedError as error:
            raise CheckFailedError(
                "`result.json` does not say what a result says", code="bad-result", context=error.message
            ) from error

    @classmethod
    def _read(cls, table: Mapping[str, Any]) -> Self:
        fields.one_of(table["schema"], "schema", Literal["evalctl/result/v1"])
        samples = fields.table(table["samples"], "samples", "n errors")
        status, failure = _ending(table)
        return cls(
            lock=fields.digest(table["lock"], "lock"),
            attempt=_count(table["attempt"], "attempt"),
            invocation_id=fields.text(table["invocation_id"], "invocation_id"),
            blueprint=Suite.from_json(table["blueprint"]),
            status=status,
            failure=failure,
            verdict=fields.one_of(table["verdict"], "verdict", Verdict),
            metrics=tuple(map(MetricResult.from_json, fields.array(table["metrics"], "metrics"))),
            tables=_tables(table["tables"]),
            samples=SampleCounts(_count(samples["n"], "n"), _count(samples["errors"], "errors")),
            replicates=tuple(
                map(ReplicateOutcome.from_json, fields.array(table["replicates"], "replicates"))
            ),
            deviations=_texts(table["deviations"], "deviations"),
            discrepancies=_texts(table["discrepancies"], "discrepancies"),
            marks=read_marks(table),
            origin=read_origin(table),
            redaction=Redaction.from_json(table["redaction"]) if "redaction" in table else None,
        )


def _threshold_json(threshold: Threshold | None) -> dict[str, Any] | None:
    if threshold is None:
        return None
    bounds = {"min": threshold.min, "max": threshold.max}
    return {name: bound for name, bound in bounds.items() if bound is not None} | {"on": threshold.on}


def _threshold(value: Any) -> Threshold | None:
    if value is None:
        return None
    table = fields.table(value, "threshold", "on", optional="min max")
    bounds = {name: _number(table[name], name) for name in ("min", "max") if name in table}
    return Threshold(**bounds, on=fields.one_of(table["on"], "on", Literal["value", "ci-lower", "ci-upper"]))


def _published_json(published: Published | None) -> dict[str, Any] | None:
    if published is None:
        return None
    return {"value": published.value, "decimals": published.decimals, "source": published.source}


def _published(value: Any) -> Published | None:
    if value is None:
        return None
    table = fields.table(value, "published", "value decimals source")
    return Published(
        _number(table["value"], "value"),
        _decimals(table["decimals"]),
        fields.text(table["source"], "source"),
    )


def _decimals(value: Any) -> int:
    if (decimals := _count(value, "decimals")) > MAX_DECIMALS:
        raise fields.bad(f"`decimals` is more than {MAX_DECIMALS}")
    return decimals


def _interval(table: Mapping[str, Any]) -> ConfidenceInterval | None:
    if table["ci"] is None and table["ci_method"] is None and table["ci_level"] is None:
        return None
    ends = fields.array(table["ci"], "ci", 2)
    if len(ends) != 2:
        raise fields.bad("`ci` does not have two ends")
    lower, upper = (_number(end, "ci") for end in ends)
    method = fields.text(table["ci_method"], "ci_method")
    return ConfidenceInterval(lower, upper, method, _number(table["ci_level"], "ci_level"))


def _ending(table: Mapping[str, Any]) -> tuple[Status, Failure | None]:
    status: Status = fields.one_of(table["status"], "status", Status)
    failure: Failure | None = fields.one_of(table["failure"], "failure", Literal[Failure, None])
    if (status == "succeeded") != (failure is None):
        raise fields.bad("`status` and `failure` contradict each other")
    return status, failure


def _tables(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise fields.bad("`tables` is not an object")
    return value


def _texts(value: Any, name: str) -> tuple[str, ...]:
    return tuple(fields.text(item, name) for item in fields.array(value, name))


def _optional_text(value: Any, name: str) -> str | None:
    return None if value is None else fields.text(value, name)


def _optional_flag(value: Any, name: str) -> bool | None:
    return None if value is None else fields.flag(value, name)


def _count(value: Any, name: str) -> int:
    if type(value) is not int or value < 0:
        raise fields.bad(f"`{name}` is not a whole number of at least 0")
    return value


def _number(value: Any, name: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not isfinite(value):
        raise fields.bad(f"`{name}` is not a finite number")
    return float(value)


def _optional_number(value: Any, name: str) -> float | None:
    return None if value is None else _number(value, name)


def _optional_numbers(value: Any, name: str) -> tuple[float | None, ...]:
    return tuple(_optional_number(item, name) for item in fields.array(value, name))
