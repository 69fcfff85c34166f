"""Read a blueprint: every problem at once, each with its place and a way to mend it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Protocol

from msgspec.structs import replace

from launcher.errors import MalformedError, Problem
from launcher.spec.advice import advice
from launcher.spec.blueprint import Blueprint
from launcher.spec.document import Document, read_document, refusal
from launcher.spec.kinds import Fault, shown
from launcher.spec.language import BLUEPRINT
from launcher.spec.matrix import matrix_faults
from launcher.spec.pins import open_pins
from launcher.spec.positions import Path
from launcher.spec.unsupported import unsupported
from launcher.spec.work import place_beyond

MAX_PROBLEMS = 200


class Definition(Protocol):
    """What the reader asks of a metric's definition."""

    @property
    def intervals(self) -> Collection[str]:
        """The methods that `ci.method` may name."""

    @property
    def measures(self) -> Collection[str]:
        """What `of` may be: `prediction`, `scores` (any `scores.NAME`), or both."""

    def use_faults(self, parameters: Mapping[str, Any], method: str | None) -> Iterable[tuple[Path, str]]:
        """Yield what is wrong with a metric's `parameters`, alone and with its `ci.method`.

        Each fault has the key path inside the metric's table at which it stands.
        """

    def resamples(self, parameters: Mapping[str, Any], method: str | None) -> int:
        """Return how often a metric with right `parameters` is resampled for its interval."""


Definitions = Mapping[str, Definition]


def read_blueprint(
    data: bytes, *, file: str, definitions: Definitions | None = None, supported_only: bool = True
) -> Blueprint:
    """Return the blueprint in the TOML bytes `data`; `file` names it in problems.

    With `definitions` (by `NAME@VERSION`), metrics are checked against them. What this version cannot do yet
    is refused unless `supported_only` is false. Raises `MalformedError` (code `invalid-blueprint`) with every
    problem in the order of their places, and nothing else whatever bytes it is given.
    """
    document = read_document(data, file=file)
    faults: list[Fault] = []
    values = BLUEPRINT.read(document.values, (), faults)
    faults.extend(matrix_faults(values, BLUEPRINT))
    if definitions is not None:
        wrong = list(_metric_faults(values, definitions))
        faults.extend(wrong or _work_faults(values, definitions))
    if supported_only:
        faults.extend(unsupported(document.values))
    if faults:
        raise refused(document, faults)
    return _blueprint(document.text, BLUEPRINT.build(values))


def refused(document: Document, faults: list[Fault], *, command: str = "validate") -> MalformedError:
    """Return the error for a document with `faults`: each at its place, in the order of the places.

    `command` is the one to type again once they are mended.
    """
    positions = document.positions

    def offset(fault: Fault) -> int:
        return (positions.key if fault.at == "key" else positions.value)(fault.path)

    ordered = sorted(faults, key=lambda fault: (offset(fault), fault.message))
    problems = [
        Problem(document.file, *positions.place(offset(fault)), fault.message + advice(fault, BLUEPRINT))
        for fault in ordered[:MAX_PROBLEMS]
    ]
    hint = _hint(document, len(faults), command)
    return refusal(document.file, problems, len(faults) - len(problems), hint)


def _hint(document: Document, count: int, command: str) -> str:
    """Say what to type next: `pin`, where nothing but pins is missing, or where they are missing too."""
    pins = len(tuple(open_pins(document.values))) if command != "pin" else 0
    if pins and pins == count:
        return f"fill them in with `evalctl pin {document.file}`"
    if pins:
        return f"mend the lines named; `evalctl pin {document.file}` fills in digests and the commit"
    return f"mend the lines named, then `evalctl {command} {document.file}`"


def _metric_faults(values: Mapping[str, Any], definitions: Definitions) -> Iterator[Fault]:
    for index, metric in enumerate(values.get("metric", ())):
        name = metric.get("definition", "code:")
        if name.startswith("code:"):
            continue
        if name not in definitions:
            known = tuple(sorted(definitions))
            message = f"there is no metric definition {shown(name)}"
            yield Fault(("metric", index, "definition"), message, unknown=name, known=known)
            continue
        for fault in _use_faults(name, definitions[name], metric):
            yield fault._replace(path=("metric", index, *fault.path))


def _work_faults(values: Mapping[str, Any], definitions: Definitions) -> Iterator[Fault]:
    """Refuse metrics that take too much work however few the samples are."""
    metrics = values.get("metric", ())
    counts = [
        definitions[name].resamples(metric.get("parameters", {}), metric.get("ci", {}).get("method"))
        if (name := metric.get("definition")) in definitions
        else 0
        for metric in metrics
    ]
    place = place_beyond(counts, len(values.get("run", {}).get("seeds", (0,))))
    if place is not None:
        path: Path = ("metric", place)
        if "resamples" in metrics[place].get("parameters", {}):
            path = (*path, "parameters", "resamples")
        yield Fault(
            path,
            f"with this metric all together take too much work over any samples ({sum(counts)} resamples); "
            "lower `resamples`, or leave metrics or seeds out",
        )


def _use_faults(name: str, definition: Definition, metric: Mapping[str, Any]) -> Iterator[Fault]:
    measured = metric.get("of", "prediction")
    if measured.partition(".")[0] not in definition.measures:
        allowed = " or ".join(
            '`of = "scores.NAME"`' if word == "scores" else f'`of = "{word}"`' for word in definition.measures
        )
        yield Fault(("of",) if "of" in metric else (), f"`{name}` needs {allowed}")
    method = metric.get("ci", {}).get("method")
    if method is not None and method not in definition.intervals:
        known = tuple(definition.intervals)
        message = f"`{name}` has no interval method {shown(method)}"
        yield Fault(("ci", "method"), message, unknown=method, known=known)
        method = None
    for path, wrong in definition.use_faults(metric.get("parameters", {}), method):
        yield Fault(path, wrong)


def _blueprint(text: str, values: Mapping[str, Any]) -> Blueprint:
    metrics = values["metric"]
    if not any(metric.primary for metric in metrics):
        metrics = (replace(metrics[0], primary=True), *metrics[1:])
    return Blueprint(
        text=text,
        about=values["blueprint"],
        image=values["image"],
        code=values["code"],
        run=values["run"],
        metrics=metrics,
        inputs=(*values["model"], *values["data"]),
        config=values["config"],
        score=values["score"],
        services=values["service"],
        resources=values["resources"],
        sandbox=values["sandbox"],
        matrix=values["matrix"],
        redactable=values["bundle"]["redactable"],
    )
