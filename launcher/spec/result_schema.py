"""The JSON Schema of result.json.

That the verdict follows from metrics and thresholds, that replicates are as many as seeds, and that integers
are written without a fraction, no schema can say; `evalctl verify` computes all of it again.
"""

from typing import Final, Literal

from launcher.canonical import MAX_INTEGER
from launcher.spec.blueprint import MAX_DECIMALS, Direction
from launcher.spec.fields import MAX_ITEMS, MAX_TEXT
from launcher.spec.json_types import (
    COUNT,
    DIGEST,
    FLAG,
    NUMBER,
    Schema,
    array,
    document,
    literal,
    optional,
    said,
    table,
    words,
)
from launcher.spec.predicates import Failure, Mark, Origin, Verdict
from launcher.spec.redaction import WITHHOLDABLE, Withheld
from launcher.spec.result import SCHEMA, Status

_TEXT: Final[Schema] = {"type": "string", "maxLength": MAX_TEXT}
_TEXTS: Final[Schema] = array(_TEXT, maxItems=MAX_ITEMS)
_ENDS: Final[Schema] = array(NUMBER, minItems=2, maxItems=2)
_INTEGER: Final[Schema] = {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER}
_NULL: Final[Schema] = {"type": "null"}
_MARKS: Final[Schema] = array(literal(Mark), maxItems=MAX_ITEMS, uniqueItems=True)
_THRESHOLD: Final[Schema] = table(
    {"on": literal(Literal["value", "ci-lower", "ci-upper"])}, {"min": NUMBER, "max": NUMBER}
)
_DECIMALS: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": MAX_DECIMALS}
_PUBLISHED: Final[Schema] = table({"value": NUMBER, "decimals": _DECIMALS, "source": _TEXT})
# Either it ended well and no failure is named, or it did not and one is.
_ENDING: Final[Schema] = {
    "oneOf": [
        {"properties": {"status": {"const": "succeeded"}, "failure": _NULL}},
        {"properties": {"status": {"const": "failed"}, "failure": literal(Failure)}},
    ]
}


def _interval(ci: Schema, method: Schema, level: Schema) -> Schema:
    return {"properties": {"ci": ci, "ci_method": method, "ci_level": level}}


_METRIC: Final[Schema] = {
    **table(
        {
            "name": _TEXT,
            "definition": said(_TEXT, "The versioned definition, `NAME@VERSION`."),
            "value": said(optional(NUMBER), "The mean over replicates; null where the samples give none."),
            "ci": said(optional(_ENDS), "The interval's lower and upper end."),
            "ci_method": optional(_TEXT),
            "ci_level": optional(NUMBER),
            "n": said(COUNT, "How many distinct items (task and id) are behind the value."),
            "errors": said(COUNT, "How many failed samples are among them."),
            "per_replicate": said(array(optional(NUMBER), maxItems=MAX_ITEMS), "One value a seed."),
            "spread": said(optional(NUMBER), "The sample standard deviation of `per_replicate`."),
            "direction": said(literal(Direction), "Which way is better."),
            "primary": said(FLAG, "Whether this metric decides."),
            "threshold": optional(_THRESHOLD),
            "verdict": literal(Verdict),
            "published": optional(_PUBLISHED),
            "published_met": said(optional(FLAG), "Whether the value rounds to the published figure."),
            "reason": said(optional(_TEXT), "Why there is no value, or no interval."),
        }
    ),
    "oneOf": [_interval(_NULL, _NULL, _NULL), _interval(_ENDS, _TEXT, NUMBER)],
}
_REPLICATE: Final[Schema] = {
    **table(
        {
            "replicate": COUNT,
            "seed": COUNT,
            "status": literal(Status),
            "failure": words((*literal(Failure)["enum"], None)),
            "exit_code": optional(_INTEGER),
        },
        {"attempt": said(COUNT, "The earlier attempt that ran it; absent: it was this one.")},
    ),
    **_ENDING,
}


_REDACTION: Final[Schema] = table(
    {
        "original": said(DIGEST, "The bundle that it was before."),
        "withheld": array(literal(Withheld), maxItems=len(WITHHOLDABLE), uniqueItems=True),
        "samples": said(COUNT, "How many samples are withheld whole."),
        "redacted": said(array(_TEXT, maxItems=8), "The files of which a part is left."),
    }
)


def result_schema() -> Schema:
    """Return the schema of result.json."""
    schema = table(
        {
            "schema": {"const": SCHEMA},
            "lock": said(DIGEST, "The run's identity: the SHA-256 of the lock's `identity`."),
            "attempt": said(COUNT, "Which try at this lock it was, from 1."),
            "invocation_id": _TEXT,
            "blueprint": table({"name": _TEXT, "version": _TEXT}),
            "status": literal(Status),
            "failure": said(words((*literal(Failure)["enum"], None)), "Why there is no score."),
            "verdict": literal(Verdict),
            "metrics": array(_METRIC, maxItems=MAX_ITEMS),
            "tables": {"type": "object", "description": "Views of the samples by name, as `confusion`."},
            "samples": table({"n": COUNT, "errors": COUNT}),
            "replicates": array(_REPLICATE, maxItems=MAX_ITEMS),
            "deviations": said(_TEXTS, "What differed from the plan."),
            "discrepancies": said(_TEXTS, "Where a claim of the program differs from what was computed."),
        },
        {
            "marks": said(_MARKS, "How the run falls short of a whole one; absent: it does not."),
            "redaction": said(_REDACTION, "What was taken away; absent: nothing."),
            "origin": said(
                literal(Origin), "Of imported logs, which nobody signed; absent: it was launched."
            ),
        },
    )
    text = "A bundle's result.json: what one attempt came to, computed by the launcher from the samples."
    return document("result/v1", SCHEMA, text, schema | _ENDING)
