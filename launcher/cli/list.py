"""`evalctl list`."""

from collections.abc import Mapping
from typing import Any

from launcher.cli.connect import connect
from launcher.cli.options import Json
from launcher.cli.output import print_json, say
from launcher.errors import EvalctlError
from launcher.report.text import table
from launcher.runs.leftovers import reap_dead
from launcher.store.attempts import all_attempts
from launcher.store.home import find_home


def list_bundles(
    as_json: Json = False,
) -> int:
    """List the attempts and bundles of this home.

    Left-overs of launches that died are removed first.
    """
    home = find_home()
    try:
        reap_dead(home, connect)
    except EvalctlError as error:
        say(f"left-overs of a dead launcher could not be removed: {error.message}")
    keys = ("lock", "attempt", "name", "outcome", "failure", "bundle", "origin")
    attempts = [{key: state.get(key) for key in keys} for state in all_attempts(home)]
    if as_json:
        print_json({"attempts": attempts})
        return 0
    if attempts:
        print("\n".join(table([("bundle", "outcome", "attempt", "name"), *map(_row, attempts)])))
    else:
        say("nothing was launched from this home yet")
    return 0


def _row(attempt: Mapping[str, Any]) -> tuple[str, ...]:
    bundle = str(attempt["bundle"] or "none").removeprefix("sha256:")[:16]
    outcome = attempt["failure"] or attempt["outcome"]
    if attempt["origin"] and outcome == "succeeded":
        outcome = f"imported, {attempt['origin']} origin"
    return bundle, str(outcome), str(attempt["attempt"]), str(attempt["name"])
