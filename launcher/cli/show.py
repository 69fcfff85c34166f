"""`evalctl show`."""

from typing import Annotated

import typer

from launcher.cli.output import print_json
from launcher.cli.results import as_object
from launcher.report.reading import read_view
from launcher.report.terminal import full
from launcher.store.bundles import find_bundle
from launcher.store.home import find_home


def show(
    bundle: Annotated[
        str, typer.Argument(metavar="BUNDLE", help="A path, or a digest in this home's store.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> int:
    """Show a bundle's result in the terminal."""
    path = find_bundle(find_home(), bundle)
    view = read_view(path)
    if as_json:
        print_json({**as_object(view, path), "signer": view.signer, "reproductions": view.reproductions})
    else:
        print(full(view))
    return 0
