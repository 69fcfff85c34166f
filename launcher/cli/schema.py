"""`evalctl schema`."""

from typing import Annotated

import typer

from launcher.cli.options import Json
from launcher.errors import MalformedError


def schema(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which format: blueprint.")] = "blueprint",
    as_json: Json = False,
) -> int:
    """Print a JSON Schema: blueprint."""
    import json

    from launcher.spec.schema import blueprint_schema

    if name != "blueprint":
        raise MalformedError(
            f"there is no schema `{name}`", code="unknown-schema", hint="try `evalctl schema blueprint`"
        )
    print(json.dumps(blueprint_schema(), indent=None if as_json else 2))
    return 0
