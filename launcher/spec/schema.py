"""The JSON Schemas of what people and programs read and write, by name.

The blueprint's is made from the same declaration as its reader. It says all that one document can say without
following references: types, patterns, bounds, defaults. TOML dates count as text.
https://json-schema.org/draft/2020-12
"""

from typing import Final

from launcher.spec.json_types import Schema, document

NAMES: Final = (
    *("blueprint", "lock", "samples", "events", "result"),
    *("bundle-samples", "bundle-events", "resources", "environment", "commitments", "openings"),
    *("launch", "provenance", "evaluation-result", "lock-statement", "imported", "reproduction"),
    *("ledger-entry", "trust"),
)


def schema_of(name: str) -> Schema:
    """Return the JSON Schema (draft 2020-12) that `NAMES` lists under `name`."""
    if name == "blueprint":
        return blueprint_schema()
    if name == "lock":
        from launcher.spec.lock_schema import lock_schema

        return lock_schema()
    if name == "result":
        from launcher.spec.result_schema import result_schema

        return result_schema()
    if name == "environment":
        from launcher.spec.environment_schema import environment_schema

        return environment_schema()
    if name == "trust":
        from launcher.spec.trust_schema import trust_schema

        return trust_schema()
    if name == "resources":
        from launcher.spec.usage_schema import resources_schema

        return resources_schema()
    from launcher.spec import commitments_schema, ledger_schema, predicate_schemas, record_schemas

    if name in predicate_schemas.PREDICATE_SCHEMAS:
        return predicate_schemas.PREDICATE_SCHEMAS[name]()

    return {
        "commitments": commitments_schema.commitments_schema,
        "openings": commitments_schema.openings_schema,
        "ledger-entry": ledger_schema.ledger_entry_schema,
        "samples": record_schemas.samples_schema,
        "events": record_schemas.events_schema,
        "bundle-samples": record_schemas.bundle_samples_schema,
        "bundle-events": record_schemas.bundle_events_schema,
    }[name]()


def blueprint_schema() -> Schema:
    """Return the JSON Schema of a blueprint."""
    from launcher.spec.blueprint import SCHEMA
    from launcher.spec.kinds import FREE_DEFINITIONS
    from launcher.spec.language import BLUEPRINT

    schema = {**BLUEPRINT.schema(), "$defs": dict(FREE_DEFINITIONS)}
    return document("blueprint/v1", SCHEMA, BLUEPRINT.text, schema)
