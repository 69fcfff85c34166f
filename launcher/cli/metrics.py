"""`evalctl metrics`."""

import textwrap
from typing import Any

from launcher.cli.options import Json
from launcher.cli.output import print_json
from launcher.metrics.definitions import definitions

_INDENT: dict[str, Any] = {"initial_indent": "  ", "subsequent_indent": "    "}


def metrics(as_json: Json = False) -> int:
    """List the metric definitions."""
    if as_json:
        print_json({"definitions": [definition.as_json() for definition in definitions()]})
        return 0
    for definition in definitions():
        print(f"{definition.name}\n{textwrap.fill(definition.summary, 78, **_INDENT)}")
        for name, text in (definition.parameters or {}).items():
            print(textwrap.fill(f"{name}: {text}", 78, **_INDENT))
    return 0
