"""`evalctl schema`."""

from typing import Annotated

import typer

from launcher.cli.options import Json
from launcher.errors import MalformedError
from launcher.spec.schema import NAMES, schema_of


def schema(
    name: Annotated[
        str, typer.Argument(metavar="FORMAT", help=f"Which format: {', '.join(NAMES)}.")
    ] = "blueprint",
    as_json: Json = False,
) -> int:
    """Print a JSON Schema: blueprint, lock, samples, result...

    Of files that hold one object a line, the schema is a line's: `samples` and `events` as a container writes
    them, `bundle-samples`, `bundle-events` and `resources` as a bundle keeps them.
    """
    import json

    if name not in NAMES:
        raise MalformedError(
            f"there is no schema `{name}`",
            code="unknown-schema",
            context=f"there are {', '.join(NAMES)}",
            hint="try `evalctl schema blueprint`",
        )
    print(json.dumps(schema_of(name), indent=None if as_json else 2))
    return 0
