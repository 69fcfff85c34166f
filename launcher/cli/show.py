"""`evalctl show`."""

from launcher.cli.options import BundleName, Json
from launcher.cli.output import print_json
from launcher.cli.results import as_object
from launcher.report.reading import read_view
from launcher.report.terminal import full
from launcher.store.bundles import find_bundle
from launcher.store.home import find_home


def show(
    bundle: BundleName,
    as_json: Json = False,
) -> int:
    """Show a bundle's result in the terminal.

    Shows what the bundle says of itself. Nothing is checked: `evalctl verify` does that.
    """
    path = find_bundle(find_home(), bundle)
    view = read_view(path)
    if as_json:
        print_json({**as_object(view, path), "signer": view.signer, "reproductions": view.reproductions})
    else:
        print(full(view))
    return 0
