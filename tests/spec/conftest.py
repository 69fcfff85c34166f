from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pytest

from launcher.spec.reading import Definitions


class FakeDefinition(NamedTuple):
    """A metric definition that knows its parameters by name."""

    measures: tuple[str, ...]
    intervals: tuple[str, ...] = ("wilson", "bootstrap")
    parameters: tuple[str, ...] = ()

    def use_faults(
        self, parameters: Mapping[str, Any], method: str | None
    ) -> Iterable[tuple[tuple[str, ...], str]]:
        for name in parameters:
            if name not in self.parameters:
                yield (
                    ("parameters", name),
                    f"there is no parameter `{name}`; known: {', '.join(self.parameters)}",
                )

    def resamples(self, parameters: Mapping[str, Any], method: str | None) -> int:
        resampled = (method or self.intervals[0]) == "bootstrap"
        return parameters.get("resamples", 1000) if resampled else 0


def known_definitions() -> Definitions:
    """Return two definitions, one of each measure."""
    return {
        "accuracy@1": FakeDefinition(("prediction",), parameters=("average",)),
        "mean@1": FakeDefinition(("scores",), intervals=("bootstrap",), parameters=("resamples",)),
    }


@pytest.fixture(scope="session")
def definitions() -> Definitions:
    return known_definitions()
