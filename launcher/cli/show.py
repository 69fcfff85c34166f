"""`evalctl show`."""

from typing import Any

from msgspec.structs import replace

from launcher.cli.options import BundleName, Json
from launcher.cli.output import print_json
from launcher.cli.reproductions import counted_here, read_own_policy
from launcher.cli.results import as_object
from launcher.ledger.view import ledger_place
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
    policy = read_own_policy(home)
    place = ledger_place(home, path, lambda: policy)
    tally, words = counted_here(path, policy)
    if as_json:
        told: dict[str, Any] = {"signer": view.signer, "reproductions": view.reproductions}
        told |= {"reproduced": tally.as_json() if tally else None}
        told |= {"ledger": place.as_json() if place else None}
        print_json({**as_object(view, path), **told})
    else:
        print(full(replace(view, reproduced=words, place=place)))
    return 0
