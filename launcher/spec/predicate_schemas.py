"""The JSON Schemas of the predicates that evalctl signs, and of a launch's `externalParameters`.

That statements agree with each other and with the files, that a digest has an algorithm, that times are in
order and verdicts follow from figures, no schema can say; `evalctl verify` checks all of it.
"""

from typing import Final, get_args

from launcher.spec import predicates
from launcher.spec.fields import MAX_ITEMS, MAX_TEXT
from launcher.spec.imported import Harness
from launcher.spec.json_types import (
    DIGEST,
    FLAG,
    HEX,
    Schema,
    array,
    document,
    literal,
    optional,
    said,
    table,
    words,
)
from launcher.spec.redaction import WITHHOLDABLE, Withheld
from launcher.spec.reproduction import ReproductionScope, ReproductionVerdict

_TEXT: Final[Schema] = {"type": "string", "maxLength": MAX_TEXT}
_TEXTS: Final[Schema] = {"type": "object", "additionalProperties": _TEXT, "maxProperties": MAX_ITEMS}
_TIME: Final[Schema] = {
    "type": "string",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z$",
}
_DECIMAL: Final[Schema] = {
    "type": "string",
    "pattern": r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$",
    "maxLength": MAX_TEXT,
}
_COUNT: Final[Schema] = {"type": "string", "pattern": "^(?:0|[1-9][0-9]{0,15})$"}
_INVOCATION: Final[Schema] = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"}
_GIT_ID: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{40}$"}
_SUITE: Final[Schema] = said(table({"name": _TEXT, "version": _TEXT}), "The blueprint's name and version.")
_BUILDER: Final[Schema] = said(
    table({"id": _TEXT, "version": _TEXTS}),
    "The place that ran it, a URI, and the versions of what ran there.",
)
_LOCK: Final[Schema] = said(DIGEST, "The run's identity: the SHA-256 of the lock's `identity`.")
_DEPENDENCY: Final[Schema] = table(
    {
        "name": _TEXT,
        "digest": table({}, {"sha256": HEX, "gitCommit": _GIT_ID, "gitTree": _GIT_ID}) | {"minProperties": 1},
    },
    {"uri": _TEXT},
)
_DEPENDENCIES: Final[Schema] = array(_DEPENDENCY, maxItems=MAX_ITEMS)
_ON: Final = words(("value", "ci-lower", "ci-upper"))
_NULL: Final[Schema] = {"type": "null"}


def _verdict(word: str, passed: Schema) -> Schema:
    return {"properties": {"verdict": {"const": word}, "passed": passed}}


_CLAIM: Final[Schema] = {
    **table(
        {
            "metric": _TEXT,
            "definition": said(_TEXT, "The versioned definition, `NAME@VERSION`."),
            "value": said(optional(_DECIMAL), "Null where the samples give none."),
            "ci": said(optional(array(_DECIMAL, minItems=2, maxItems=2)), "The interval's two ends."),
            "n": said(_COUNT, "How many sample ids the value is over."),
            "threshold": optional(_DECIMAL),
            "comparator": words(("gte", "lte", None)),
            "on": said(words((*_ON["enum"], None)), "What is held against the threshold."),
            "primary": FLAG,
            "verdict": literal(predicates.Verdict),
            "passed": optional(FLAG),
        }
    ),
    "allOf": [
        {
            "oneOf": [
                {"properties": {"threshold": _NULL, "comparator": _NULL, "on": _NULL}},
                {"properties": {"threshold": _DECIMAL, "comparator": words(("gte", "lte")), "on": _ON}},
            ]
        },
        {
            "oneOf": [
                _verdict("pass", {"const": True}),
                _verdict("fail", {"const": False}),
                *(_verdict(word, _NULL) for word in ("inconclusive", "none")),
            ]
        },
    ],
}
_ENDING: Final[Schema] = {
    "oneOf": [
        {"properties": {"status": {"const": "succeeded"}, "failure": _NULL}},
        {"properties": {"status": {"const": "failed"}, "failure": literal(predicates.Failure)}},
    ]
}
_REDACTION: Final[Schema] = table(
    {
        "original": said(DIGEST, "The bundle that it was before."),
        "withheld": array(literal(Withheld), maxItems=len(WITHHOLDABLE), uniqueItems=True),
        "samples": said(_COUNT, "How many samples are withheld whole."),
        "redacted": said(array(_TEXT, maxItems=8, uniqueItems=True), "The files of which a part is left."),
    }
)


def launch_schema() -> Schema:
    """Return the schema of a launch's `externalParameters`."""
    schema = table({"lock": _LOCK, "blueprint": _SUITE})
    text = "What a launch was asked to do: SLSA's externalParameters of the build type launch/v1."
    return document("launch/v1", predicates.BUILD_TYPE, text, schema)


def provenance_schema() -> Schema:
    """Return the schema of the SLSA provenance that evalctl signs."""
    kinds = (predicates.BUILD_TYPE, predicates.IMPORT_BUILD_TYPE, predicates.REDACT_BUILD_TYPE)
    definition = table(
        {
            "buildType": words(kinds),
            "externalParameters": table({"lock": _LOCK, "blueprint": _SUITE}),
            "internalParameters": said(_TEXTS, "What the host added, such as the runtime."),
            "resolvedDependencies": said(_DEPENDENCIES, "Image, code and every input by digest."),
        }
    )
    metadata = table({"invocationId": _INVOCATION, "startedOn": _TIME, "finishedOn": _TIME})
    schema = table(
        {"buildDefinition": definition, "runDetails": table({"builder": _BUILDER, "metadata": metadata})}
    )
    text = "The predicate of attestations/provenance.sigstore.json, SLSA provenance v1."
    return document("provenance/v1", predicates.PROVENANCE_TYPE, text, schema)


def evaluation_schema() -> Schema:
    """Return the schema of the evaluation-result predicate."""
    schema = table(
        {
            "invocationId": _INVOCATION,
            "verifier": _BUILDER,
            "evaluatedAt": _TIME,
            "suite": _SUITE,
            "lock": _LOCK,
            "assuranceLevel": {"const": "self_attested"},
            "status": words(("succeeded", "failed")),
            "failure": words((*get_args(predicates.Failure), None)),
            "verdict": literal(predicates.Verdict),
            "sampleSize": _COUNT,
            "claims": array(_CLAIM, maxItems=MAX_ITEMS),
            "deviations": array(_TEXT, maxItems=MAX_ITEMS),
        },
        {
            "marks": array(literal(predicates.Mark), maxItems=MAX_ITEMS, uniqueItems=True),
            "origin": literal(predicates.Origin),
            "redaction": _REDACTION,
        },
    )
    text = "The predicate of attestations/result.sigstore.json; numbers are decimal strings."
    return document("evaluation-result/v1", predicates.RESULT_TYPE, text, schema | _ENDING)


def lock_statement_schema() -> Schema:
    """Return the schema of the lock predicate."""
    schema = table({"lock": _LOCK, "blueprint": _SUITE})
    text = "The predicate of attestations/lock.sigstore.json: who wanted this lock launched."
    return document("lock-statement/v1", predicates.LOCK_TYPE, text, schema)


def imported_schema() -> Schema:
    """Return the schema of the imported predicate."""
    schema = table(
        {
            "lock": _LOCK,
            "blueprint": _SUITE,
            "harness": literal(Harness),
            "origin": literal(predicates.Origin),
            "sources": said(_DEPENDENCIES, "The logs it was read from."),
        }
    )
    text = "The predicate of attestations/lock.sigstore.json in a bundle made of foreign logs."
    return document("imported/v1", predicates.IMPORTED_TYPE, text, schema)


def reproduction_schema() -> Schema:
    """Return the schema of the reproduction predicate."""
    verdict = literal(ReproductionVerdict)
    figures = {"original": optional(_DECIMAL), "reproduced": optional(_DECIMAL)}
    schema = table(
        {
            "original": said(DIGEST, "The bundle that was reproduced."),
            "reproduced": said(DIGEST, "The bundle that came of it."),
            "lock": _LOCK,
            "verifier": _BUILDER,
            "evaluatedAt": _TIME,
            "verdict": verdict,
            "metrics": array(table({"name": _TEXT, **figures, "verdict": verdict}), maxItems=MAX_ITEMS),
            "samples": table({"n": _COUNT, "equal": _COUNT}),
            "environment": said(_TEXTS, "What the reproducing machine was."),
        },
        {"scope": literal(ReproductionScope)},
    )
    text = "The predicate of attestations/reproduction-*.sigstore.json."
    return document("reproduction/v1", predicates.REPRODUCTION_TYPE, text, schema)


PREDICATE_SCHEMAS: Final = {
    "launch": launch_schema,
    "provenance": provenance_schema,
    "evaluation-result": evaluation_schema,
    "lock-statement": lock_statement_schema,
    "imported": imported_schema,
    "reproduction": reproduction_schema,
}
