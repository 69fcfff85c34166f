"""The JSON Schema of a lock.

That `identity` is what the blueprint inside gives under the pins, and that the bytes are canonical (RFC
8785), no schema can say; whoever reads a lock computes it again.
"""

from typing import Final, Literal, get_type_hints

from launcher.spec import grammars
from launcher.spec.blueprint import Determinism, Direction, Input, Run, Service, Unpack
from launcher.spec.json_types import (
    COUNT,
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
)
from launcher.spec.lock import SCHEMA
from launcher.spec.scalars import anchored

_TEXT: Final[Schema] = {"type": "string"}
_ENVIRONMENT: Final[Schema] = {"type": "object", "additionalProperties": _TEXT}
_OBJECT: Final[Schema] = {"type": "object"}
_FROZEN: Final[Schema] = {"$ref": "#/$defs/frozen-table"}
_DEFINITIONS: Final[Schema] = {
    "float": table({"$float": said(_TEXT, "The shortest decimal that reads back as the same double.")}),
    "datetime": table({"$datetime": said(_TEXT, "A TOML date or time, as ISO 8601.")}),
    "frozen": {
        "anyOf": [
            {"type": ["string", "boolean", "integer"]},
            {"$ref": "#/$defs/float"},
            {"$ref": "#/$defs/datetime"},
            {"type": "array", "items": {"$ref": "#/$defs/frozen"}},
            {"$ref": "#/$defs/frozen-table"},
        ]
    },
    "frozen-table": {
        "type": "object",
        "propertyNames": {"pattern": r"^(?!\$)"},
        "additionalProperties": {"$ref": "#/$defs/frozen"},
    },
}


def _pattern(expression: str) -> Schema:
    return {"type": "string", "pattern": anchored(expression)}


_IMAGE: Final[Schema] = table(
    {
        "index": said(optional(DIGEST), "Set where the blueprint named an image index."),
        "manifest": said(DIGEST, "Names the bytes in transport."),
        "config": said(DIGEST, "Survives recompression of the layers."),
        "diff_ids": said(array(DIGEST), "The layers uncompressed, lowest first."),
        "platform": _TEXT,
    }
)
_CODE: Final[Schema] = table(
    {
        "commit": _pattern(grammars.COMMIT),
        "path": _TEXT,
        "tree": said(_TEXT, "git's id of the commit's tree."),
        "content": said(HEX, "Of the lines `MODE SHA256  PATH` of all files, sorted by path bytes."),
        "lockfiles": {"type": "object", "additionalProperties": HEX},
    }
)
_INPUT: Final[Schema] = table(
    {
        "kind": literal(Literal["data", "model"]),
        "name": _pattern(grammars.NAME),
        "sha256": HEX,
        "size": COUNT,
        "unpack": literal(Unpack),
        "role": literal(get_type_hints(Input)["role"]),
        "split": literal(get_type_hints(Input)["split"]),
        "variant_of": optional(_TEXT),
    },
    {"tree": {"const": True, "description": "It was fetched as a folder; `sha256` is a tree digest."}},
)
_RUN: Final[Schema] = table(
    {
        "command": array(_TEXT, minItems=1),
        "env": _ENVIRONMENT,
        "seeds": array(COUNT, minItems=1),
        "timeout": said(COUNT, "Seconds."),
        "determinism": literal(Determinism),
        "format": literal(get_type_hints(Run)["format"]),
        "resumable": FLAG,
    }
)
_SCORE: Final[Schema] = {
    "oneOf": [
        {"type": "null"},
        table({"labels": _TEXT}),
        {"type": "object", "required": ["command", "timeout", "env", "resources", "sandbox"]},
    ]
}
_SERVICE: Final[Schema] = table(
    {
        "name": _pattern(grammars.NAME),
        "phase": literal(get_type_hints(Service)["phase"]),
        "image": _IMAGE,
        "command": array(_TEXT, minItems=1),
        "models": array(_pattern(grammars.NAME)),
        "ready": optional(table({"http": _TEXT, "timeout": said(COUNT, "Seconds.")})),
        "env": _ENVIRONMENT,
        "resources": _OBJECT,
        "sandbox": _OBJECT,
    }
)
_METRIC: Final[Schema] = table(
    {
        "name": _pattern(grammars.NAME),
        "definition": _TEXT,
        "of": _TEXT,
        "where": _FROZEN,
        "parameters": _FROZEN,
        "primary": FLAG,
        "direction": literal(Direction),
        "ci": _OBJECT,
        "threshold": optional(_OBJECT),
        "published": optional(_OBJECT),
        "reproduce": optional(_OBJECT),
    }
)


def lock_schema() -> Schema:
    """Return the schema of a lock: NAME.lock.json, and a bundle's lock.json."""
    identity = table(
        {
            "name": _pattern(grammars.BLUEPRINT_NAME),
            "version": _pattern(grammars.VERSION),
            "image": _IMAGE,
            "code": _CODE,
            "inputs": array(_INPUT),
            "config": _FROZEN,
            "run": _RUN,
            "score": _SCORE,
            "metrics": array(_METRIC, minItems=1),
            "resources": said(_OBJECT, "What `[resources]` says, defaults filled in, in bytes."),
            "sandbox": said(_OBJECT, "The sandbox profile, every value spelled out."),
            "redactable": FLAG,
        },
        {
            "limit": {"type": "integer", "minimum": 1, "description": "Only so many items are kept."},
            "patch": said(HEX, "The changes of a draft to the commit."),
            "predictions": said(array(HEX), "What each replicate left, where only the scoring is run."),
            "services": said(array(_SERVICE, minItems=1), "The containers beside `[run]` or `[score]`."),
        },
    )
    schema = table(
        {
            "schema": {"const": SCHEMA},
            "identity": said(identity, "Everything that decides the result; its SHA-256 names the run."),
            "blueprint": said(_TEXT, "The TOML it came from."),
        }
    )
    text = 'A lock: a resolved blueprint, every input pinned. Floats are objects: `{"$float": "0.1"}`.'
    return document("lock/v1", SCHEMA, text, schema | {"$defs": _DEFINITIONS})
