"""The definitions as the blueprint's reader asks about them, so that `spec` need not know `metrics`."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from launcher.metrics.definitions import (
    Definition,
    definitions,
    interval_problems,
    method_of,
    parameter_problems,
)
from launcher.spec.blueprint import Interval, Metric
from launcher.spec.work import DEFAULT_RESAMPLES


class Reference(Struct, frozen=True):
    """One definition's answers to the reader of a blueprint."""

    definition: Definition

    @property
    def intervals(self) -> tuple[str, ...]:
        """The methods that `ci.method` may name."""
        return tuple(dict.fromkeys((*self.definition.methods, *self.definition.class_methods)))

    @property
    def measures(self) -> tuple[str, ...]:
        """What `of` may be: `prediction` or `scores` (any `scores.NAME`)."""
        return (self.definition.of,)

    def use_faults(
        self, parameters: Mapping[str, Any], method: str | None
    ) -> Iterable[tuple[tuple[str, ...], str]]:
        """Yield what is wrong with `parameters`, and where they are right, with `method` beside them."""
        wrong = list(parameter_problems(self.definition, parameters))
        for name, problem in wrong:
            yield ("parameters", name) if name else ("parameters",), problem
        if not wrong:
            metric = Metric("", self.definition.name, parameters=parameters, ci=Interval(method))
            place = ("ci", "method") if method else ("parameters",)
            for problem in interval_problems(metric, self.definition):
                yield place, problem

    def resamples(self, parameters: Mapping[str, Any], method: str | None) -> int:
        """Return how often a metric with right `parameters` is resampled for its interval."""
        metric = Metric("", self.definition.name, parameters=parameters, ci=Interval(method))
        if method_of(metric) != "bootstrap":
            return 0
        count: int = parameters.get("resamples", DEFAULT_RESAMPLES)
        return count


def references() -> Mapping[str, Reference]:
    """Return every definition by its name."""
    return {definition.name: Reference(definition) for definition in definitions()}
