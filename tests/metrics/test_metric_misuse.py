"""The definitions as the reader of blueprints asks them: every misuse is a problem with a place."""

from pathlib import Path

import pytest

from launcher.errors import MalformedError
from launcher.metrics.reference import references
from launcher.spec.reading import read_blueprint

DIGITS = Path(__file__).resolve().parents[2] / "blueprints" / "digits-svm" / "blueprint.toml"
MISUSED = """
[[metric]]
name = "average"
definition = "f1@1"
parameters = { average = "macro" }
ci = { method = "wilson" }
[[metric]]
name = "resampled"
definition = "accuracy@1"
parameters = { resamples = 500 }
[[metric]]
name = "nested"
definition = "accuracy@1"
where = { model = ["lda"] }
[[metric]]
name = "both"
definition = "recall@1"
parameters = { average = "macro", class = 1 }
"""


def test_every_misuse_of_a_definition_is_a_problem_at_its_place() -> None:
    text = DIGITS.read_text()
    first = text.count("\n") + 1
    with pytest.raises(MalformedError) as caught:
        read_blueprint((text + MISUSED).encode(), file="b.toml", definitions=references())
    found = [(problem.line - first, problem.message) for problem in caught.value.problems]
    assert [line for line, _ in found] == [5, 9, 13, 17]
    assert "`ci.method` of this metric is one of bootstrap" in found[0][1]
    assert "`resamples` needs `ci.method` bootstrap" in found[1][1]
    assert "`metric.where.model` must be text" in found[2][1]
    assert "one of the parameters `class` and `average`" in found[3][1]


def test_the_blueprint_that_ships_misuses_nothing() -> None:
    assert read_blueprint(DIGITS.read_bytes(), file="b.toml", definitions=references()).metrics
