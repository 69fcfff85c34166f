"""The JSON Schemas of commitments.jsonl and openings.jsonl: one line of what only redactable bundles have.

That lines are canonical and in order, that there is one for each part, and that what is given out was
committed to, no schema can say; `evalctl verify` checks it.
"""

from typing import Final

from launcher.spec.commitments import MAX_COLUMNS, SALT_BYTES
from launcher.spec.commitments import SCHEMA as COMMITMENTS
from launcher.spec.json_types import ANY, HEX, Schema, array, document, said, table
from launcher.spec.openings import SCHEMA as OPENINGS

_NAME: Final[Schema] = {"type": "string"}
_WHAT: Final = {
    "result": "A key of result.json, or `discrepancies-count`.",
    "file": "A file's path in the bundle.",
    "event": "The line of events.jsonl, from 0, in 9 digits: a step of the launcher, without its details.",
}
_SAMPLE: Final[Schema] = {
    "type": "string",
    "pattern": "^[0-9a-f]{32}$",
    "description": "The opaque name of one sample of one replicate.",
}
_FORM: Final[Schema] = table(
    {"form": {"enum": ["right", "class", "ranks", "number"]}},
    {"rank": {"type": "integer", "minimum": 0, "description": "The rank of the class it is about."}},
)


def commitments_schema() -> Schema:
    """Return the schema of one line of a bundle's commitments.jsonl."""
    header = table(
        {
            "schema": {"const": COMMITMENTS},
            "columns": said(
                array(_NAME, maxItems=MAX_COLUMNS, uniqueItems=True),
                "What of each sample is committed to: fields, and its contribution to each metric.",
            ),
            "metrics": said(array(_FORM, maxItems=MAX_COLUMNS), "How contributions to each metric look."),
        }
    )
    digest = said(HEX, "The salted SHA-256 of the part's value.")
    text = "One line of a redactable bundle's commitments.jsonl: RFC 8785, a header first."
    return document("commitments/v1", "commitments.jsonl", text, _lines(header, "commitment", digest))


def openings_schema() -> Schema:
    """Return the schema of one line of a redacted bundle's openings.jsonl."""
    salt = {"type": "string", "pattern": f"^[0-9a-f]{{{2 * SALT_BYTES}}}$"}
    opening: Schema = {
        "type": "array",
        "prefixItems": [salt, ANY],
        "items": False,
        "minItems": 2,
        "description": "The salt, and the value that was committed to with it.",
    }
    text = "One line of a redacted bundle's openings.jsonl: RFC 8785, a header first."
    header = table({"schema": {"const": OPENINGS}})
    return document("openings/v1", "openings.jsonl", text, _lines(header, "opening", opening))


def _lines(header: Schema, key: str, cell: Schema) -> Schema:
    """Return the schema of the header, or of a line that has `cell`, or a sample's cells, under `key`."""
    parts = [table({kind: said(_NAME, text), key: cell}) for kind, text in _WHAT.items()]
    cells: Schema = {"type": "object", "additionalProperties": cell, "maxProperties": MAX_COLUMNS}
    return {"oneOf": [header, *parts, table({"sample": _SAMPLE, key: cells})]}
