"""Pieces of JSON Schema that the schemas of several records share."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from launcher.canonical import MAX_INTEGER

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
PREFIX: Final = "https://w3id.org/evalctl-launcher/schemas/"

Schema = dict[str, Any]

ANY: Final[Schema] = {}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": MAX_INTEGER}
FLAG: Final[Schema] = {"type": "boolean"}
NUMBER: Final[Schema] = {"type": "number"}
HEX: Final[Schema] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
DIGEST: Final[Schema] = {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"}


def document(name: str, title: str, description: str, schema: Schema) -> Schema:
    """Return a whole schema: `name` ends its `$id`."""
    head = {"$schema": DIALECT, "$id": f"{PREFIX}{name}", "title": title, "description": description}
    return head | schema


def table(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    """Return the schema of an object with these fields and no other."""
    properties = {**required, **(optional or {})}
    result: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return result | ({"required": list(required)} if required else {})


def said(schema: Schema, description: str) -> Schema:
    """Return `schema` with its meaning in words."""
    return {**schema, "description": description}


def array(item: Schema, **bounds: Any) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": item, **bounds}


def optional(schema: Schema) -> Schema:
    """Return `schema`, or null."""
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def words(values: Iterable[Any]) -> Schema:
    """Return the schema of one of a few constants."""
    return {"enum": list(values)}


def literal(annotation: Any) -> Schema:
    """Return the schema of a `Literal`'s values."""
    return words(get_args(annotation))
