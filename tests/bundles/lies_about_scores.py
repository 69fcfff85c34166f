"""Lies about scores that a trusted key signed: numbers that do not follow, samples that are not so."""

from collections.abc import Iterator
from typing import Any

from tests.bundles.case import Case, Forge, Row, rows
from tests.bundles.forging import result_file, samples, signed_rows

_FOLLOWS = "does not follow from the samples"


def cases() -> Iterator[Case]:
    """Yield the lies about scores."""
    yield from rows("lies", "metrics", signed_rows(_SCORES))
    yield from rows("lies", "metrics", signed_rows(_SAMPLES))
    yield from rows("lies", "contents", signed_rows(_RESULTS))


def _metric(**changes: Any) -> Forge:
    return result_file(lambda it: it["metrics"][0].update(changes))


def _replicate(number: int, **changes: Any) -> Forge:
    return result_file(lambda it: it["replicates"][number].update(changes))


def _each_sample(**changes: Any) -> Forge:
    return samples(lambda listed: [{**sample, **changes} for sample in listed])


_SCORES: dict[str, Row] = {
    "another-value": ("wrote a better value", _metric(value=0.95), _FOLLOWS),
    "value-in-the-twelfth-digit": (
        "changed the value's twelfth digit",
        _metric(value=0.900000000001),
        _FOLLOWS,
    ),
    "another-interval": ("wrote a narrower interval", _metric(ci=[0.89, 0.91]), _FOLLOWS),
    "no-interval": ("left the interval out", _metric(ci=None, ci_method=None, ci_level=None), _FOLLOWS),
    "another-level": ("called the interval one of 99 %", _metric(ci_level=0.99), _FOLLOWS),
    "another-method": ("called the interval another method's", _metric(ci_method="student"), _FOLLOWS),
    "another-count": ("counted more items", _metric(n=2000), _FOLLOWS),
    "fewer-errors": ("counted other errors", _metric(errors=1), _FOLLOWS),
    "another-verdict-of-a-metric": ("called a metric failed that passed", _metric(verdict="fail"), _FOLLOWS),
    "another-threshold": (
        "wrote another threshold",
        _metric(threshold={"min": 0.1, "on": "value"}),
        _FOLLOWS,
    ),
    "no-threshold": ("left the threshold out", _metric(threshold=None, verdict="none"), _FOLLOWS),
    "published-met": (
        "said that a published value was met, of which there is none",
        _metric(published={"value": 0.9, "decimals": 1, "source": "doi:x"}, published_met=True),
        _FOLLOWS,
    ),
    "another-direction": ("called lower values better", _metric(direction="lower"), _FOLLOWS),
    "not-primary": ("called the primary metric supplementary", _metric(primary=False), _FOLLOWS),
    "another-spread": ("wrote another spread", _metric(spread=0.5), _FOLLOWS),
    "other-replicates-values": (
        "wrote other values of replicates",
        _metric(per_replicate=[0.8, 1.0]),
        _FOLLOWS,
    ),
    "another-metric-name": ("gave the metric another name", _metric(name="f1"), _FOLLOWS),
    "another-definition": ("named another definition", _metric(definition="accuracy@2"), _FOLLOWS),
    "a-reason": ("gave a reason for what is not missing", _metric(reason="rounded"), _FOLLOWS),
    "another-verdict": (
        "called the whole passed what has another verdict",
        result_file(lambda it: it.update(verdict="inconclusive")),
        "the verdict",
    ),
    "another-count-of-samples": (
        "counted other samples",
        result_file(lambda it: it["samples"].update(n=2000)),
        "counts of samples",
    ),
    "another-table": (
        "changed the table of confusions",
        result_file(lambda it: it["tables"]["confusion"]["counts"][0].reverse()),
        "tables",
    ),
    "no-table": ("left the table of confusions out", result_file(lambda it: it.update(tables={})), "tables"),
    "one-table-more": ("added a table", result_file(lambda it: it["tables"].update(more={})), "tables"),
    "no-metric": ("left the metric out", result_file(lambda it: it.update(metrics=[])), "other metrics"),
    "one-metric-more": (
        "added a metric that the blueprint does not have",
        result_file(lambda it: it["metrics"].append({**it["metrics"][0], "name": "f1"})),
        "other metrics",
    ),
    "score-of-a-failure": (
        "called a run with a score failed",
        result_file(lambda it: it.update(status="failed", failure="candidate")),
        "a failed run has samples or a score",
    ),
}
_SAMPLES: dict[str, Row] = {
    "right-answers": (
        "made every answer right",
        samples(lambda listed: [{**one, "prediction": one["target"]} for one in listed]),
        _FOLLOWS,
    ),
    "one-right-answer": (
        "made one wrong answer right",
        samples(
            lambda listed: [
                {**one, "prediction": one["target"]} if one["id"] == "item-0009" else one for one in listed
            ]
        ),
        _FOLLOWS,
    ),
    "hard-items-dropped": (
        "dropped the items that were answered wrong",
        samples(lambda listed: [one for one in listed if one["prediction"] == one["target"]]),
        _FOLLOWS,
    ),
    "one-item-dropped": ("dropped an item of one replicate", samples(lambda listed: listed[1:]), ""),
    "no-samples": ("dropped all samples", samples(lambda listed: []), _FOLLOWS),
    "one-replicate-dropped": (
        "dropped the samples of a replicate",
        samples(lambda listed: [one for one in listed if one["replicate"] == 0]),
        "differs from replicate 0",
    ),
    "items-repeated-as-epochs": (
        "repeated the right answers as further epochs",
        samples(lambda listed: [{**one, "epoch": epoch} for one in listed for epoch in range(2)]),
        "tables",
    ),
    "weights": (
        "weighed the right answers more",
        samples(
            lambda listed: [{**one, "weight": 1 + 9 * (one["prediction"] == one["target"])} for one in listed]
        ),
        _FOLLOWS,
    ),
    "samples-of-another-seed": (
        "signed samples of another seed",
        _each_sample(seed=9),
        "is of replicate 0, seed 9",
    ),
    "samples-of-a-third-replicate": (
        "signed samples of a replicate that the lock does not have",
        samples(lambda listed: [*listed, {**listed[-1], "replicate": 2}]),
        "is of replicate 2",
    ),
    "errors-hidden": (
        "called wrong answers failures of the item",
        samples(
            lambda listed: [
                {key: value for key, value in one.items() if key != "prediction"} | {"error": "x"}
                if one["prediction"] != one["target"]
                else one
                for one in listed
            ]
        ),
        _FOLLOWS,
    ),
}
_RESULTS: dict[str, Row] = {
    "samples-backwards": (
        "wrote the samples in another order",
        samples(lambda listed: listed[::-1]),
        "out of order",
    ),
    "sample-twice": ("wrote a sample twice", samples(lambda listed: [listed[0], *listed]), "stands twice"),
    "unknown-field-of-the-result-file": (
        "added a field to `result.json`",
        result_file(lambda it: it.update(more=1)),
        "`result.json`",
    ),
    "result-v2": (
        "called the result one of a later version",
        result_file(lambda it: it.update(schema="evalctl/result/v2")),
        "`schema`",
    ),
    "attempt-negative": ("said attempt -1", result_file(lambda it: it.update(attempt=-1)), "`attempt`"),
    "attempt-fraction": (
        "said attempt 1.5",
        result_file(lambda it: it.update(attempt=1.5)),
        "`attempt`",
    ),
    "attempt-true": (
        "said attempt `true`",
        result_file(lambda it: it.update(attempt=True)),
        "`attempt`",
    ),
    "value-text": ("wrote a text for the value", _metric(value="0.9"), "`value`"),
    "value-true": ("wrote `true` for the value", _metric(value=True), "`value`"),
    "interval-of-three": ("wrote an interval of three ends", _metric(ci=[0.1, 0.5, 0.9]), "`ci`"),
    "metrics-object": (
        "wrote an object for the metrics",
        result_file(lambda it: it.update(metrics={})),
        "`metrics`",
    ),
    "tables-list": ("wrote a list for the tables", result_file(lambda it: it.update(tables=[])), "`tables`"),
    "exit-code-text": ("wrote a text for an exit code", _replicate(0, exit_code="0"), "`exit_code`"),
    "success-of-a-failure": (
        "called a replicate both failed and well",
        _replicate(0, status="failed"),
        "contradict each other",
    ),
    "origin-of-a-launched-result": (
        "said in the result that it was imported",
        result_file(lambda it: it.update(origin="unsigned")),
        "differ in the origin",
    ),
}
