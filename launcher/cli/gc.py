"""`evalctl gc`."""

from typing import Annotated

import typer

from launcher.cli.connect import EngineChoice, connect
from launcher.cli.options import Json
from launcher.cli.output import print_json, say
from launcher.errors import InfrastructureError
from launcher.report.text import amount
from launcher.runs.garbage import Garbage, collect_progress, dead_attempts
from launcher.runs.leftovers import reap_left_overs
from launcher.store.home import find_home

_WORDS = {
    "dead-attempt": "a dead attempt",
    "half-made": "a bundle that was being made",
    "replicates": "replicates that had ended well",
    "state": "`/eval/state` of a resumable run",
    "trash": "what could not be removed before",
}


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be removed, and its size.")
    ] = False,
    engine: EngineChoice = None,
    as_json: Json = False,
) -> int:
    """Remove what dead launches left, and what they kept.

    Containers, networks and volumes of dead launches; their half-made folders; replicates and states that
    were kept for the next attempt at a lock, which then starts from nothing. Never a bundle or a running
    launch, and not the cache of images, code and inputs, which may be fetched for a launch to come.
    """
    home = find_home()
    found: list[Garbage] = []
    if dry_run:
        found += dead_attempts(home)
    elif home.root.exists():
        reap_left_overs(home, lambda: connect(engine), say, everything=True)
    found += collect_progress(home, remove=not dry_run)
    if as_json:
        print_json({"dry_run": dry_run, "bytes": sum(each.bytes for each in found), "items": _items(found)})
    else:
        _show(found, dry_run=dry_run)
    stuck = [each for each in found if not each.gone]
    if stuck and not dry_run:
        raise InfrastructureError(
            f"`{stuck[0].path}` cannot be removed",
            code="not-removed",
            context="it holds folders of the container's user, which are not yours to empty",
            hint=f"sudo rm -rf {stuck[0].path}",
        )
    return 0


def _items(found: list[Garbage]) -> list[dict[str, object]]:
    return [
        {"what": each.what, "path": str(each.path), "bytes": each.bytes, "removed": each.gone}
        for each in found
    ]


def _show(found: list[Garbage], *, dry_run: bool) -> None:
    for each in found:
        print(f"{amount(each.bytes)}  {_WORDS[each.what]}: {each.path}")
    total = amount(sum(each.bytes for each in found))
    if not found:
        say("there is nothing to remove")
    elif dry_run:
        say(f"{total} would be removed: `evalctl gc` does it")
    else:
        say(f"removed {total}")
