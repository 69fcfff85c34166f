"""The metric definitions: what each name means, for ever.

A definition never changes: another meaning gets another number after the `@`.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from msgspec import Struct, field

from launcher.errors import MalformedError
from launcher.metrics.correct_digits import MOST_DIGITS
from launcher.spec.blueprint import Metric
from launcher.spec.work import DEFAULT_RESAMPLES, MAX_RESAMPLES, MIN_RESAMPLES

# What computes is imported where it is asked for: blueprints are read far more often than samples.
if TYPE_CHECKING:
    from launcher.metrics.statistics import Statistic
    from launcher.metrics.tally import Tallied, View

Method = Literal["wilson", "bootstrap", "student"]

_AVERAGES: Final = ("macro", "micro", "weighted")
_CLASS_PARAMETERS: Final = {
    "class": "the label whose score this is (instead of `average`)",
    "average": 'over all labels that occur: "macro" (unweighted mean), "micro" (pooled counts) or "weighted" '
    "(by the labels' support); 0/0 counts as 0",
}
_ITEMS: Final = (
    " Labels are compared as JSON values: 1 and 1.0 are one label, "
    '"1" is another. A sample with an error or without prediction is wrong. Weights count.'
)
_MEASURED: Final = " A sample that lacks the number is refused, never left out. Weights count."


class Definition(Struct, frozen=True):
    """One definition; `methods` lists the intervals that fit it, the default first.

    `class_methods` is the same where the metric is about one class.
    """

    name: str
    summary: str
    of: Literal["prediction", "scores"]
    methods: tuple[Method, ...]
    class_methods: tuple[Method, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the item of `evalctl metrics --json`."""
        return {
            "name": self.name,
            "summary": self.summary,
            "of": "prediction" if self.of == "prediction" else "scores.NAME",
            "parameters": {
                **self.parameters,
                "resamples": f"of the bootstrap; {DEFAULT_RESAMPLES} if not given",
            },
            "ci_methods": list(self.methods),
            "ci_methods_of_one_class": list(self.class_methods),
        }


_DEFINITIONS: Final = (
    Definition(
        "accuracy@1",
        "Share of samples whose prediction equals the target." + _ITEMS,
        "prediction",
        ("wilson", "bootstrap"),
    ),
    Definition(
        "precision@1",
        "Share of the samples predicted as a label that have it: TP / (TP + FP)." + _ITEMS,
        "prediction",
        ("bootstrap",),
        ("wilson", "bootstrap"),
        _CLASS_PARAMETERS,
    ),
    Definition(
        "recall@1",
        "Share of the samples with a label that are predicted as it: TP / (TP + FN)." + _ITEMS,
        "prediction",
        ("bootstrap",),
        ("wilson", "bootstrap"),
        _CLASS_PARAMETERS,
    ),
    Definition(
        "f1@1",
        "Harmonic mean of precision and recall: 2 TP / (2 TP + FP + FN). Wilson's interval of one class is "
        "that of TP / (TP + FP + FN), carried over." + _ITEMS,
        "prediction",
        ("bootstrap",),
        ("wilson", "bootstrap"),
        _CLASS_PARAMETERS,
    ),
    Definition(
        "mean@1",
        "Mean of a number the container gave each sample." + _MEASURED,
        "scores",
        ("student", "bootstrap"),
    ),
    Definition("mae@1", "Mean of |prediction - target|." + _MEASURED, "prediction", ("student", "bootstrap")),
    Definition(
        "rmse@1",
        "Square root of the mean of (prediction - target) squared." + _MEASURED,
        "prediction",
        ("bootstrap",),
    ),
    Definition(
        "lre@1",
        "Mean of the log relative error, the number of correct digits: -log10(|prediction - target| / "
        "|target|), or -log10 |prediction| where the target is 0; below 0 it is 0, above `digits` it is "
        "`digits`. A sample with an error or without prediction has 0 digits, one without a number as "
        "prediction or target is refused. Weights count.",
        "prediction",
        ("student", "bootstrap"),
        parameters={"digits": f"how many digits of the targets are certain; {MOST_DIGITS} if not given"},
    ),
)


def definitions() -> tuple[Definition, ...]:
    """Return every definition, as `evalctl metrics` lists them."""
    return _DEFINITIONS


def definition_of(metric: Metric) -> Definition:
    """Return the metric's definition; raises `MalformedError` for an unknown one."""
    for definition in _DEFINITIONS:
        if definition.name == metric.definition:
            return definition
    raise MalformedError(
        f"the definition `{metric.definition}` is unknown{_advice(metric.definition)}",
        code="unknown-definition",
        hint="list them: `evalctl metrics`",
    )


def method_of(metric: Metric) -> Method:
    """Return the method of the metric's interval: the one asked for, or the definition's default."""
    methods = _methods(metric, definition_of(metric))
    return next((method for method in methods if method == metric.ci.method), methods[0])


def view_of(metric: Metric) -> "View":
    """Return what the metric looks at in a sample."""
    from launcher.metrics.views import Deviations, Digits, Labels, Scores

    name = definition_of(metric).name
    if name == "mean@1":
        return Scores(metric.of.removeprefix("scores."))
    if name in {"mae@1", "rmse@1"}:
        return Deviations(squared=name == "rmse@1")
    if name == "lre@1":
        return Digits(metric.parameters.get("digits", MOST_DIGITS))
    return Labels()


def statistic_of(metric: Metric, tally: "Tallied") -> "Statistic":
    """Return the metric's function of the tally's column sums."""
    from launcher.metrics.labels import label_key
    from launcher.metrics.statistics import Accuracy, AverageScore, ClassScore, Mean

    name = definition_of(metric).name
    if name == "accuracy@1":
        return Accuracy()
    if name in {"mean@1", "mae@1", "rmse@1", "lre@1"}:
        if tally.numbers is not None:
            scale = tally.numbers.scale()
        else:
            scale = max((outcome.as_integer_ratio()[1] for outcome in tally.outcomes), default=1)
        return Mean(scale, root=name == "rmse@1")
    score: Any = name.removesuffix("@1")
    if "class" in metric.parameters:
        return ClassScore(score, label_key(metric.parameters["class"]))
    labels = sorted({label for outcome in tally.outcomes for label in outcome} - {""})
    places = {label: place for place, label in enumerate(labels)}
    return AverageScore(score, metric.parameters["average"], places)


def problems(metric: Metric) -> tuple[str, ...]:
    """Return what is wrong with how a blueprint uses a definition, one sentence each."""
    try:
        definition = definition_of(metric)
    except MalformedError as error:
        return (error.message,)
    found = [text for _, text in parameter_problems(definition, metric.parameters)]
    if metric.of.partition(".")[0] != definition.of or metric.of == "scores.":
        wanted = "prediction" if definition.of == "prediction" else "scores.NAME"
        found.append(f"`{definition.name}` is of `{wanted}`, not of `{metric.of}`")
    if not found:
        found = list(interval_problems(metric, definition))
    for group, value in metric.where.items():
        if not isinstance(value, str | int | float):
            found.append(f"`where.{group}` is not a string, a number or a Boolean")
    return tuple(found)


def parameter_problems(definition: Definition, parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each wrong parameter and what is wrong with it; the empty name means all of them."""
    for name in parameters:
        if name not in {*definition.parameters, "resamples"}:
            known = ", ".join((*definition.parameters, "resamples"))
            yield name, f"`{definition.name}` has no parameter `{name}`; known: {known}"
    if "class" in definition.parameters:
        if ("class" in parameters) == ("average" in parameters):
            yield "", f"`{definition.name}` takes one of the parameters `class` and `average`"
        if parameters.get("average", "macro") not in _AVERAGES:
            yield "average", f"`average` is not one of {', '.join(_AVERAGES)}"
        if not isinstance(parameters.get("class", ""), str | int | float):
            yield "class", "`class` is not a string, a number or a Boolean"
    digits = parameters.get("digits", MOST_DIGITS)
    if "digits" in definition.parameters and (type(digits) is not int or not 1 <= digits <= MOST_DIGITS):
        yield "digits", f"`digits` is not a whole number from 1 to {MOST_DIGITS}"
    resamples = parameters.get("resamples", MAX_RESAMPLES)
    if type(resamples) is not int or not MIN_RESAMPLES <= resamples <= MAX_RESAMPLES:
        yield "resamples", f"`resamples` is not a whole number from {MIN_RESAMPLES} to {MAX_RESAMPLES}"


def interval_problems(metric: Metric, definition: Definition) -> Iterator[str]:
    """Yield what is wrong with the interval that a metric with right parameters asks for."""
    methods = _methods(metric, definition)
    if metric.ci.method not in {None, *methods}:
        yield f"`ci.method` of this metric is one of {', '.join(methods)}"
    elif "resamples" in metric.parameters and method_of(metric) != "bootstrap":
        yield "`resamples` needs `ci.method` bootstrap"
    if not 0 < metric.ci.level < 1:
        yield "`ci.level` is not between 0 and 1"


def _methods(metric: Metric, definition: Definition) -> tuple[Method, ...]:
    return definition.class_methods if "class" in metric.parameters else definition.methods


def _advice(name: str) -> str:
    import difflib

    if name.startswith("code:"):
        return ": metrics computed by a blueprint's own code are not there yet"
    close = difflib.get_close_matches(name, [definition.name for definition in _DEFINITIONS], 1, 0.5)
    return f"; did you mean `{close[0]}`?" if close else ""
