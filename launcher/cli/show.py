"""`evalctl show`."""

from msgspec.structs import replace

from launcher.cli.options import BundleName, Json
from launcher.cli.output import print_json
from launcher.cli.reproductions import counted_here, read_own_policy
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

    Shows what the bundle says of itself, and what this machine's policy counts of the reproductions
    attached to it. Nothing else is checked: `evalctl verify` does that.
    """
    home = find_home()
    path = find_bundle(home, bundle)
    view = read_view(path)
    tally, words = counted_here(path, read_own_policy(home))
    if as_json:
        told = {"signer": view.signer, "reproductions": view.reproductions}
        print_json({**as_object(view, path), **told, "reproduced": tally.as_json() if tally else None})
    else:
        print(full(replace(view, reproduced=words)))
    return 0
