"""The JSON Schema of a blueprint, made from the same declaration as its reader.

It says all that one document can say without following references: types, patterns, bounds, defaults. TOML
dates count as text. https://json-schema.org/draft/2020-12
"""

from typing import Any

from launcher.spec.blueprint import SCHEMA
from launcher.spec.kinds import FREE_DEFINITIONS
from launcher.spec.language import BLUEPRINT

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PREFIX = "https://w3id.org/evalctl-launcher/"


def blueprint_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a blueprint."""
    return {
        "$schema": DIALECT,
        "$id": f"{PREFIX}schemas/blueprint/v1",
        "title": SCHEMA,
        "description": BLUEPRINT.text,
        **BLUEPRINT.schema(),
        "$defs": dict(FREE_DEFINITIONS),
    }
