"""`evalctl schema`."""

from typing import Annotated

import typer

from launcher.errors import MalformedError


def schema(
    name: Annotated[str, typer.Argument(help="Which format: blueprint.")] = "blueprint",
    as_json: Annotated[bool, typer.Option("--json", help="The schema is JSON either way.")] = False,
) -> int:
    """Print a JSON Schema: blueprint."""
    import json

    from launcher.spec.schema import blueprint_schema

    del as_json
    if name != "blueprint":
        raise MalformedError(f"there is no schema `{name}`", code="unknown-schema", hint="try `blueprint`")
    print(json.dumps(blueprint_schema(), indent=2, ensure_ascii=False))
    return 0
