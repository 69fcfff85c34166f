"""The JSON Schema of what stands in a ledger: an attempt, or its outcome.

That an entry is canonical, that `data` is sorted, that a time exists, and that an outcome is of an attempt
that is there and positions count, no schema can say; `evalctl ledger verify` checks it.
"""

from typing import Final, Literal

from launcher.spec.fields import MAX_ITEMS, MAX_TEXT, TIME
from launcher.spec.grammars import BLUEPRINT_NAME, VERSION
from launcher.spec.json_types import (
    DIGEST,
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
from launcher.spec.predicates import PREFIX, Failure, Mark, Verdict

ENTRY_TYPE: Final = PREFIX + "ledger-entry/v1"
MAX_SIZE: Final = 1 << 40

_TEXT: Final[Schema] = {"type": "string", "maxLength": MAX_TEXT}
_TYPE: Final[Schema] = {"const": ENTRY_TYPE}
_TIME: Final[Schema] = {"type": "string", "pattern": f"^{TIME}$"}
_INVOCATION: Final[Schema] = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"}
# 43 letters of base64 have two bits too many, which are zero.
_SIGNER: Final[Schema] = {"type": "string", "pattern": "^SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]$"}
_POSITIVE: Final[Schema] = {"type": "integer", "minimum": 1, "exclusiveMaximum": MAX_SIZE}
_INDEX: Final[Schema] = {"type": "integer", "minimum": 0, "exclusiveMaximum": MAX_SIZE}
_MARKS: Final = {
    "marks": said(array(literal(Mark), uniqueItems=True, minItems=1), "Why it is less than a whole run.")
}


def _pattern(text: str) -> Schema:
    return {"type": "string", "pattern": f"^(?:{text})$", "maxLength": MAX_TEXT}


_ATTEMPT: Final[Schema] = table(
    {
        "type": _TYPE,
        "kind": {"const": "attempt"},
        "lock": said(DIGEST, "The run's identity."),
        "blueprint": table({"name": _pattern(BLUEPRINT_NAME), "version": _pattern(VERSION)}),
        "data": said(
            array(HEX, maxItems=MAX_ITEMS, uniqueItems=True), "The SHA-256 of each data input, sorted."
        ),
        "metrics": {
            "type": "object",
            "maxProperties": MAX_ITEMS,
            "propertyNames": {"maxLength": MAX_TEXT},
            "additionalProperties": array(_TEXT, maxItems=MAX_ITEMS),
            "description": "For each definition the names of the metrics that have it.",
        },
        "attempt": said(_POSITIVE, "How many attempts at this lock there were in this home."),
        "position": said(_POSITIVE, "How many attempts the ledger counts together with it, itself included."),
        "invocationId": _INVOCATION,
        "time": _TIME,
        "signer": said(_SIGNER, "The fingerprint of the key that is to sign the bundle."),
        "purpose": words(("launch", "reproduce")),
    },
    _MARKS,
)
_OUTCOME: Final[Schema] = {
    **table(
        {
            "type": _TYPE,
            "kind": {"const": "outcome"},
            "attempt": said(table({"index": _INDEX, "sha256": HEX}), "The attempt's entry."),
            "time": _TIME,
            "status": words(("succeeded", "failed", "interrupted")),
            "failure": said(literal(Literal[Failure, None]), "As in the result."),
            "verdict": literal(Verdict),
            "bundle": said(optional(DIGEST), "The bundle; null where none says how the attempt ended."),
        },
        _MARKS,
    ),
    "oneOf": [
        {"properties": {"status": {"const": "interrupted"}, "bundle": {"type": "null"}}},
        {
            "properties": {
                "status": {"const": "succeeded"},
                "failure": {"type": "null"},
                "bundle": {"type": "string"},
            }
        },
        {"properties": {"status": {"const": "failed"}, "bundle": {"type": "string"}}},
    ],
}


def ledger_entry_schema() -> Schema:
    """Return the schema of an entry of a ledger."""
    text = "An attempt, recorded before anything of it runs, or its outcome, once it is over."
    return document("ledger-entry/v1", ENTRY_TYPE, text, {"oneOf": [_ATTEMPT, _OUTCOME]})
