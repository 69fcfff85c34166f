"""`evalctl validate`."""

from pathlib import Path
from typing import Annotated

import typer

from launcher.cli.output import print_json
from launcher.cli.targets import read_target


def validate(
    file: Annotated[Path, typer.Argument(help="A blueprint or a lock.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Check a blueprint; show every problem at once."""
    about = read_target(file).blueprint.about
    if as_json:
        print_json({"file": str(file), "valid": True, "name": about.name, "version": about.version})
    else:
        print(f"{file}: valid ({about.name} {about.version})")
    return 0
