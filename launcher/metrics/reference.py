"""The definitions as the blueprint's reader asks about them, so that `spec` need not know `metrics`."""

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec import Struct

from launcher.metrics.definitions import Definition, definitions, problems
from launcher.spec.blueprint import Interval, Metric


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

    def parameter_faults(self, parameters: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """Yield a parameter's name and what is wrong with it; the empty name means the whole table."""
        of = "prediction" if self.definition.of == "prediction" else "scores.any"
        ci = Interval("bootstrap") if "resamples" in parameters else Interval()
        probe = Metric("metric", self.definition.name, of=of, parameters=parameters, ci=ci)
        for problem in problems(probe):
            named = next((name for name in parameters if f"`{name}`" in problem), "")
            yield named, problem


def references() -> Mapping[str, Reference]:
    """Return every definition by its name."""
    return {definition.name: Reference(definition) for definition in definitions()}
