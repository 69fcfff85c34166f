"""The reproduction predicate: somebody launched a bundle's lock again, and how the two compare."""

from collections.abc import Mapping
from typing import Any, Final, Literal, Self

from msgspec import Struct, field

from launcher.spec import fields
from launcher.spec.predicates import Builder

ReproductionVerdict = Literal["identical", "equivalent", "diverged", "inconclusive", "not-runnable"]
# What of a run was done again: all of it, only the scoring of what it predicted, or its first items.
ReproductionScope = Literal["full", "score-only", "samples"]

_BEST_FIRST: Final = ("identical", "equivalent", "inconclusive", "diverged", "not-runnable")


class MetricReproduction(Struct, frozen=True):
    """One metric in the original and when run again, as decimal strings, and how they compare."""

    name: str
    original: str | None
    reproduced: str | None
    verdict: ReproductionVerdict

    def as_json(self) -> dict[str, Any]:
        """Return `{"name", "original", "reproduced", "verdict"}`."""
        return {
            "name": self.name,
            "original": self.original,
            "reproduced": self.reproduced,
            "verdict": self.verdict,
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read `{"name", "original", "reproduced", "verdict"}`."""
        table = fields.table(value, "a metric", "name original reproduced verdict")
        return cls(
            name=fields.text(table["name"], "name"),
            original=fields.optional_decimal(table["original"], "original"),
            reproduced=fields.optional_decimal(table["reproduced"], "reproduced"),
            verdict=fields.one_of(table["verdict"], "verdict", ReproductionVerdict),
        )


class Reproduction(Struct, frozen=True):
    """Somebody launched the original's lock again; digests are `sha256:<hex>` of each bundle's SHA256SUMS.

    `samples` is (compared, equal) as counts; `environment` names what the machine was, as short texts. Of a
    `scope` other than the full one, metrics are compared over what was done again, and only samples counted.
    """

    original: str
    reproduced: str
    lock: str
    verifier: Builder
    evaluated_at: str
    verdict: ReproductionVerdict
    metrics: tuple[MetricReproduction, ...]
    samples: tuple[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)
    scope: ReproductionScope = "full"

    @property
    def contradicts_itself(self) -> bool:
        """Say whether it calls identical what differs, or the whole better than the worst metric."""
        same_figures = all(
            item.original == item.reproduced for item in self.metrics if item.verdict == "identical"
        )
        same_samples = self.samples[0] == self.samples[1]
        verdicts = [item.verdict for item in self.metrics]
        worst = max([self.verdict, *verdicts], key=_BEST_FIRST.index)
        return worst != self.verdict or not same_figures or ("identical" in verdicts and not same_samples)

    def as_json(self) -> dict[str, Any]:
        """Return the predicate; `scope` is in it where it is not the full one."""
        scope = {} if self.scope == "full" else {"scope": self.scope}
        return {
            **scope,
            "original": self.original,
            "reproduced": self.reproduced,
            "lock": self.lock,
            "verifier": self.verifier.as_json(),
            "evaluatedAt": self.evaluated_at,
            "verdict": self.verdict,
            "metrics": [metric.as_json() for metric in self.metrics],
            "samples": {"n": self.samples[0], "equal": self.samples[1]},
            "environment": dict(self.environment),
        }

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Read the predicate."""
        keys = "original reproduced lock verifier evaluatedAt verdict metrics samples environment"
        table = fields.table(value, "the reproduction", keys, optional="scope")
        samples = fields.table(table["samples"], "samples", "n equal")
        reproduction = cls(
            original=fields.digest(table["original"], "original"),
            reproduced=fields.digest(table["reproduced"], "reproduced"),
            lock=fields.digest(table["lock"], "lock"),
            verifier=Builder.from_json(table["verifier"]),
            evaluated_at=fields.time(table["evaluatedAt"], "evaluatedAt"),
            verdict=fields.one_of(table["verdict"], "verdict", ReproductionVerdict),
            metrics=tuple(map(MetricReproduction.from_json, fields.array(table["metrics"], "metrics"))),
            samples=(fields.count(samples["n"], "n"), fields.count(samples["equal"], "equal")),
            environment=fields.texts(table["environment"], "environment"),
            scope=fields.one_of(table.get("scope", "full"), "scope", ReproductionScope),
        )
        if int(reproduction.samples[1]) > int(reproduction.samples[0]):
            raise fields.bad("the reproduction counts more equal samples than it compared")
        if reproduction.contradicts_itself:
            raise fields.bad("the reproduction's verdict is not what it says of metrics and samples")
        return reproduction
