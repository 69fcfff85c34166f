"""The JSON Schemas of samples and events: one line as a container leaves it, and as a bundle keeps it.

Lengths count characters here and bytes in the reader; how long a line may be, that a sample stands once, that
lines of a bundle are canonical and in order, and that integers have no fraction, no schema can say.
"""

from typing import Final

from launcher.spec.fields import TIME
from launcher.spec.json_types import ANY, COUNT, HEX, NUMBER, Schema, document, said, table
from launcher.spec.sample_fields import MAX_ERROR, MAX_NAMES, MAX_SEED, MAX_TEXT

_NAME: Final[Schema] = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
_NOT_NULL: Final[Schema] = {"not": {"type": "null"}}
_SCALAR: Final[Schema] = {"type": ["string", "boolean", "number"]}
_SECONDS: Final[Schema] = {"type": "number", "minimum": 0}
_INDEX: Final[Schema] = said(COUNT, "Which seed's container it was, from 0.")


def _names(item: Schema) -> Schema:
    return {
        "type": "object",
        "propertyNames": _NAME,
        "additionalProperties": item,
        "maxProperties": MAX_NAMES,
    }


_ID: Final[Schema] = said(_NAME, "What joins the sample to its label and to the same item of other runs.")
_FIELDS: Final[dict[str, Schema]] = {
    "prediction": said(
        _NOT_NULL, "What the program answered; without it and without scores the item failed."
    ),
    "target": said(_NOT_NULL, "The right answer, where it is not held out."),
    "scores": said(_names(NUMBER), "Numbers the program gave the item, measured as `scores.NAME`."),
    "groups": said(_names(_SCALAR), "What the item belongs to, for a metric's `where`."),
    "weight": {"type": "number", "exclusiveMinimum": 0, "description": "How much the item counts."},
    "input_sha256": said(HEX, "The SHA-256 of what was given to the model."),
    "seconds": said(_SECONDS, "How long it took; the bundle keeps it among the events."),
    "error": {"type": "string", "minLength": 1, "maxLength": MAX_ERROR, "description": "Why it failed."},
    "epoch": said(COUNT, "Which repetition of the same item it is."),
    "task": said(_NAME, "The task it belongs to, where there are several."),
}


def samples_schema() -> Schema:
    """Return the schema of one line of the samples.jsonl that a container writes."""
    text = "One line of /eval/out/samples.jsonl: one item of the evaluation."
    return document("samples/v1", "samples.jsonl", text, table({"id": _ID}, _FIELDS))


def bundle_samples_schema() -> Schema:
    """Return the schema of one line of a bundle's samples.jsonl."""
    text = "One line of a bundle's samples.jsonl: RFC 8785, ordered by replicate, task, id, epoch."
    seed = {"type": "integer", "minimum": 0, "maximum": MAX_SEED, "description": "Its EVALCTL_SEED."}
    rest = {name: schema for name, schema in _FIELDS.items() if name != "seconds"}
    schema = table({"id": _ID, "replicate": _INDEX, "seed": seed}, rest)
    return document("bundle-samples/v1", "samples.jsonl of a bundle", text, schema)


_STEP: Final[Schema] = {"type": "string", "minLength": 1, "description": "What was done."}
_EVENT: Final[dict[str, Schema]] = {
    "phase": {"type": "string", "description": "The part of the evaluation it belongs to."},
    "seconds": said(_SECONDS, "How long it took."),
    "detail": said(ANY, "Anything else worth keeping."),
}


def events_schema() -> Schema:
    """Return the schema of one line of the events.jsonl that a container may write."""
    text = "One line of /eval/out/events.jsonl: a step of the program, such as data loading or inference."
    return document("events/v1", "events.jsonl", text, table({"step": _STEP}, _EVENT))


def bundle_events_schema() -> Schema:
    """Return the schema of one line of a bundle's events.jsonl."""
    at = {"type": "string", "format": "date-time", "pattern": f"^{TIME}$"}
    launcher = table(
        {"source": {"const": "launcher"}, "step": _STEP},
        {
            "at": said(at, "When it began, UTC; an import, which has no clock, does not say."),
            "seconds": said(_SECONDS, "How long it took."),
            "detail": {"type": "object"},
        },
    )
    container = table({"source": {"const": "container"}, "replicate": _INDEX, "step": _STEP}, _EVENT)
    text = "One line of a bundle's events.jsonl: a step of the launcher, or one that a container told of."
    return document("bundle-events/v1", "events.jsonl of a bundle", text, {"oneOf": [launcher, container]})
